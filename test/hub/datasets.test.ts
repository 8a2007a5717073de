// Data sets by name, against a hub of the tests' own.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type DataFile, pathOf } from "../../src/data/index.js";
import { type Download, Model, Trainer } from "../../src/index.js";
import { type DatasetOptions, namedFiles, trainingFiles } from "../../src/setup/dataset.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";
import { HubServer, type Stored } from "../support/hub-server.js";
import { lowrank, tinyBase } from "../support/tiny.js";

const NAME = "someone/texts";
const commit = "0123456789abcdef0123456789abcdef01234567";
const line = (text: string) => `${JSON.stringify({ text })}\n`;
const texts = (count: number) => Array.from({ length: count }, (_, i) => line(`text number ${i}`)).join("");
const PLAIN: Stored = {
  type: "dataset",
  commit,
  files: {
    "README.md": `---\nconfigs:\n- config_name: small\n  default: true\n  data_files:\n  - split: train\n    path: small/a-*.jsonl\n  - split: validation\n    path: small/held.jsonl\n- config_name: large\n  data_files: large.jsonl\n---\n`,
    "small/a-1.jsonl": texts(3),
    "small/a-2.jsonl": texts(4),
    "small/held.jsonl": texts(2),
    "large.jsonl": texts(9),
    "picture.png": "not needed",
  },
};

const folder = temporaryFolders();
const hub = HubServer.forTests();
let cache: string;
let said: string[];

beforeEach(() => {
  hub.repositories.set(NAME, PLAIN);
  said = [];
  cache = folder();
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
  vi.stubEnv("HF_HUB_CACHE", cache);
  vi.stubEnv("HF_HUB_OFFLINE", "");
});
afterEach(() => vi.unstubAllEnvs());

const say = (message: string) => void said.push(message);
const snapshot = (of = commit) => join(cache, "datasets--someone--texts", "snapshots", of);
/** Paths of the chosen files within the snapshot. */
async function chosen(o: DatasetOptions = {}, of = commit) {
  const named = { dataset_name: NAME, train_file: undefined, validation_file: undefined, ...o };
  const { train_file, validation_file = [] } = await trainingFiles<string[]>(named, { warn: say, note: say });
  for (const file of [...train_file, ...validation_file]) expect(existsSync(pathOf(file))).toBe(true);
  const shown = (file: DataFile) => {
    const path = relative(snapshot(of), pathOf(file));
    return typeof file === "string" ? path : `${path} ${file.from} ${file.to}`;
  };
  return [train_file, validation_file].map((files) => files.map(shown));
}
const offline = () => vi.stubEnv("HF_HUB_OFFLINE", "1");

describe("a data set by name", () => {
  test("gives the files of its splits, and is found offline", async () => {
    const files = [["small/a-1.jsonl", "small/a-2.jsonl"], ["small/held.jsonl"]];
    expect(await chosen()).toEqual(files);
    expect(said).toEqual([`data set ${NAME}: the train split is read (2 files)`]);
    expect(readdirSync(snapshot()).sort()).toEqual(["README.md", "small"]);
    hub.seen.length = 0;
    offline();
    expect(await chosen()).toEqual(files);
    expect(await namedFiles({ dataset_name: `${NAME}@${commit}` }, undefined, "validation", { warn: say })).toEqual([
      join(snapshot(), "small/held.jsonl"),
    ]);
    expect(hub.seen).toEqual([]);
    expect((await errorOf(() => chosen({ dataset_config_name: "large" }))).code).toBe("E_HUB_OFFLINE");
  });

  test("of which a file is gone from the cache is not taken for whole", async () => {
    await chosen();
    rmSync(join(snapshot(), "small/a-2.jsonl"));
    offline();
    expect((await errorOf(() => chosen())).code).toBe("E_HUB_OFFLINE");
  });

  test("has the configuration and the split that are named", async () => {
    expect(await chosen({ dataset_config_name: "large" })).toEqual([["large.jsonl"], []]);
    expect(await chosen({ dataset_split: "validation", dataset_validation_split: "train" })).toEqual([
      ["small/held.jsonl"],
      ["small/a-1.jsonl", "small/a-2.jsonl"],
    ]);
    const error = await errorOf(() => chosen({ dataset_split: "test" }));
    expect(error.message).toMatch(/Data set someone\/texts has no split test. It has train, validation\./);
    expect((await errorOf(() => chosen({ dataset_name: undefined, dataset_split: "x" }))).message).toBe(
      "dataset_split needs dataset_name.",
    );
  });
});

describe("parts of splits", () => {
  test("are rows of their files, trained on and evaluated on", async () => {
    const o = { dataset_split: "train[:-2] + validation[1:]", dataset_validation_split: "train[-2:]" };
    expect(await chosen(o)).toEqual([
      ["small/a-1.jsonl 0 3", "small/a-2.jsonl 0 2", "small/held.jsonl 1 2"],
      ["small/a-2.jsonl 2 4"],
    ]);
    expect(said).toEqual([
      `data set ${NAME}: the train split is read (2 files)`,
      `data set ${NAME}: the validation split is read (1 file)`,
      `data set ${NAME}, train[:-2]: rows 1 to 5 of 7`,
      `data set ${NAME}, validation[1:]: rows 2 to 2 of 2`,
      `data set ${NAME}, train[-2:]: rows 6 to 7 of 7`,
    ]);
  });

  test("the usual validation split is evaluated on, where it is not trained on", async () => {
    expect((await chosen({ dataset_split: "train[:1]" }))[1]).toEqual(["small/held.jsonl"]);
    const both = ["small/a-1.jsonl", "small/a-2.jsonl", "small/held.jsonl"];
    expect(await chosen({ dataset_split: "train+validation" })).toEqual([both, []]);
  });
});

describe("a data set that a script makes", () => {
  const converted: Stored = {
    commit: "f".repeat(40),
    files: {
      "default/train/0000.parquet": "rows",
      "default/train/0001.parquet": "rows",
      "default/test/0000.parquet": "rows",
    },
  };
  const script = { ...PLAIN, files: { ...PLAIN.files, "texts.py": "import datasets" } };

  test("is read as the hub has converted it, also offline", async () => {
    hub.repositories.set(NAME, { ...script, converted });
    const files = [["default/train/0000.parquet", "default/train/0001.parquet"], []];
    expect(await chosen({}, converted.commit)).toEqual(files);
    offline();
    expect(await chosen({}, converted.commit)).toEqual(files);
  });

  test("is refused where the hub has not", async () => {
    hub.repositories.set(NAME, script);
    const error = await errorOf(() => chosen());
    expect([error.code, error.message]).toEqual([
      "E_DATA_FILES",
      expect.stringMatching(
        /is made by a script of its own \(texts.py\), which is not run, and the hub has not converted it/,
      ),
    ]);
    expect(hub.fetched().filter((path) => path.includes("jsonl"))).toEqual([]);
  });
});

test("the command trains on a data set by name, and shows one", async () => {
  const output = join(folder(), "out");
  const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HUB_OFFLINE: "" };
  const base = ["--base_model", tinyBase, "--dataset_name", NAME, "--threads", "2", "--max_seq_length", "16"];
  const run = ["--max_steps", "1", "--lora_r", "2", "--num_samples", "0", "--no-merge", "--output_dir", output];
  const trained = await lowrank(["train", ...base, ...run], { env });
  expect([trained.code, trained.stderr]).toEqual([
    0,
    expect.stringContaining(`downloading ${NAME} from ${hub.endpoint}: `),
  ]);
  expect(trained.stderr).toContain("7 texts to train on, 2 to evaluate on");
  expect(readFileSync(join(output, "README.md"), "utf8")).toContain(`datasets:\n- ${NAME}\n`);
  const shown = await lowrank(["preview", ...base, "--dataset_split", "train[-50%:]", "--num_rows", "1"], {
    env: { ...env, HF_HUB_OFFLINE: "1" },
  });
  expect([shown.code, shown.stdout]).toEqual([0, expect.stringMatching(/^ *texts +4$/m)]);
  expect(shown.stdout).toContain("small/a-2.jsonl, line 1");
});

test("eval with the file of a training run measures what the run evaluates on", async () => {
  const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HUB_OFFLINE: "", XDG_CACHE_HOME: folder() };
  const own = writeIn(folder(), "own.jsonl", texts(5));
  const options = `base_model: ${tinyBase}\ndataset_name: ${NAME}\nmax_seq_length: 16\nthreads: 2\n`;
  const succeeds = async (args: string[]) => {
    const finished = await lowrank(args, { env });
    expect(finished.code, finished.stderr).toBe(0);
    return finished;
  };
  /** Numbers of texts of the run; whether eval's losses are those of texts that the command line names. */
  const measured = async (more: string, named: string[]) => {
    const config = writeIn(folder(), "run.yaml", options + more);
    const dry = await succeeds(["train", "--config", config, "--dry_run"]);
    const found = await succeeds(["eval", "--config", config, "--json"]);
    const wanted = await succeeds(["eval", "--base_model", tinyBase, "--max_seq_length", "16", "--json", ...named]);
    const counts = /(\d+) texts to train on, (\d+)/.exec(dry.stderr)?.slice(1);
    return [counts, JSON.parse(found.stdout).eval_loss === JSON.parse(wanted.stdout).eval_loss];
  };
  const split = "dataset_split: train[:90%]\n";
  const held = ["--dataset_name", NAME, "--dataset_split", "validation"];
  expect(await measured(`${split}dataset_validation_split: validation\n`, held)).toEqual([["6", "2"], true]);
  expect(await measured(split, held)).toEqual([["6", "2"], true]);
  expect(await measured(`${split}validation_file: ${own}\n`, ["--validation_file", own])).toEqual([["6", "5"], true]);
});

test("the library trains on a data set by name, and tells how far the download is", async () => {
  await using model = await Model.open(tinyBase, { threads: 1 });
  const progress: string[] = [];
  const on_download = ({ name, done, total }: Download) => progress.push(`${name} ${done === total}`);
  const options = { dataset_name: NAME, dataset_validation_split: "train", lora_r: 2, max_seq_length: 16, on_download };
  const error = await errorOf(() => Trainer.create(model, options));
  expect(error.message).toContain("both trained on and evaluated on");
  expect(progress.at(-1)).toBe(`${NAME} true`);
  await using trainer = await Trainer.create(model, { ...options, dataset_validation_split: undefined });
  expect(trainer.state).toBe("idle");
  const both = await errorOf(() => Trainer.create(model, { ...options, train: ["a text"] }));
  expect([both.code, both.message]).toEqual([
    "E_USAGE",
    expect.stringContaining("dataset_name is given beside train or train_file"),
  ]);
  const held = await errorOf(() => Trainer.create(model, { ...options, validation: ["a text"] }));
  expect(held.message).toContain("dataset_validation_split is given beside validation_file");
});
