// Names of the hub in the place of paths: the commands and the library, against a hub of the tests' own.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { loadAdapter, Model, Trainer } from "../../src/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { type Fault, HubServer } from "../support/hub-server.js";
import { type Finished, jsonLines, lowrank, type RunOptions, someTexts, tinyBase } from "../support/tiny.js";

const NAME = "someone/tiny-base";
const ADAPTER = "someone/lora";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const TOKEN = "hf_secretSecretSecret";
const SMALL = ["--lora_r", "2", "--max_seq_length", "16", "--per_device_train_batch_size", "1", "--threads", "2"];
const QUIET = ["--eval_strategy", "no", "--num_samples", "0", "--logging_steps", "1", "--no-merge"];

const folder = temporaryFolders();
const filesOf = (path: string, wanted = /./) =>
  Object.fromEntries(
    readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isFile() && wanted.test(entry.name))
      .map(({ name }) => [name, readFileSync(join(path, name))]),
  );
const texts = someTexts(join(folder(), "train.jsonl"), 12);
const base: Record<string, Buffer | string> = { ...filesOf(tinyBase), "README.md": "not needed" };
const weightsSize = readFileSync(join(tinyBase, "model.safetensors")).length;
/** Everything that any command has printed. */
let printed = "";
const hub = HubServer.forTests();
/** The cache of most tests, into which the first one downloads. */
const cache = folder();

beforeEach(() => {
  hub.repositories.set(NAME, { commit: COMMIT, files: base });
});

const online = (from = cache) => ({
  HF_ENDPOINT: hub.endpoint,
  HF_HUB_CACHE: from,
  HF_HUB_OFFLINE: "",
  HF_TOKEN: TOKEN,
});
async function run(args: string[], env: NodeJS.ProcessEnv, more: RunOptions = {}): Promise<Finished> {
  const finished = await lowrank(args, { env, ...more });
  printed += finished.stdout + finished.stderr;
  return finished;
}
const training = (output: string, more: string[] = []) => [
  ...["train", "--base_model", NAME, "--train_file", texts, "--output_dir", output],
  ...[...SMALL, ...QUIET, ...more],
];

describe("a run by name", () => {
  const output = join(folder(), "out");

  test("downloads its base, and names it in what it writes", async () => {
    const { code, stderr, stdout } = await run(training(output, ["--max_steps", "2", "--json"]), online());
    expect([code, stderr]).toEqual([0, expect.stringContaining(`downloading ${NAME} from ${hub.endpoint}: `)]);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ type: "download", name: NAME, revision: "main", commit: COMMIT });
    expect(hub.fetched().some((path) => path.endsWith("README.md"))).toBe(false);
    const config = JSON.parse(readFileSync(join(output, "adapter_config.json"), "utf8"));
    expect(config.base_model_name_or_path).toBe(NAME);
    expect(config).not.toHaveProperty("revision");
    expect(readFileSync(join(output, "README.md"), "utf8")).toMatch(new RegExp(`^---\nbase_model: ${NAME}\n`));
    // Nothing that is meant for others says where the cache is.
    for (const name of ["adapter_config.json", "README.md", "metrics.jsonl", "trainer_state.json"]) {
      const file = [output, join(output, "checkpoint-2")]
        .map((each) => join(each, name))
        .find((each) => existsSync(each))!;
      expect(readFileSync(file, "utf8")).not.toMatch(new RegExp(`snapshots|${TOKEN}`));
    }
  });

  test("goes on offline from its checkpoint, also where its revision is given", async () => {
    const more = ["--max_steps", "3", "--resume", "--revision", COMMIT];
    const { code, stderr } = await run(training(output, more), { ...online(), HF_HUB_OFFLINE: "1" });
    expect([code, stderr]).toEqual([0, expect.stringContaining("going on after step 2")]);
    expect(hub.seen).toEqual([]);
    expect(jsonLines(join(output, "metrics.jsonl")).filter(({ loss }) => loss !== undefined)).toHaveLength(3);
    const config = JSON.parse(readFileSync(join(output, "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({ base_model_name_or_path: NAME, revision: COMMIT });
  });

  test("gives an adapter that is used by name, with the base that it names", async () => {
    hub.repositories.set(ADAPTER, { commit: COMMIT, files: filesOf(output, /^(adapter_.*|README.md)$/) });
    const fresh = folder();
    const prompt = ["--prompt", "The", "--max_new_tokens", "1", "--threads", "2"];
    const { code, stderr } = await run(["generate", "--adapter", ADAPTER, ...prompt], online(fresh));
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/downloading someone\/lora .*\n.*downloading someone\/tiny-base@0123/),
    ]);
    const about = await run(["inspect", ADAPTER], { ...online(fresh), HF_HUB_OFFLINE: "1" });
    expect(about.stdout).toMatch(/^LoRA adapter: .*\n +base +someone\/tiny-base\n/);
    // In a folder of a repository, beside others.
    const inFolders = Object.entries(filesOf(output, /^adapter_/)).flatMap(([name, content]) => [
      [`first/${name}`, content],
      [`second/${name}`, content],
    ]);
    hub.repositories.set(ADAPTER, { commit: COMMIT.replace("0", "1"), files: Object.fromEntries(inFolders) });
    hub.seen.length = 0;
    const inFolder = await run(["inspect", `hf://${ADAPTER}/second`], online(fresh));
    expect([inFolder.code, inFolder.stdout]).toEqual([0, expect.stringMatching(/^LoRA adapter: .*\/second\n/)]);
    expect(hub.fetched().filter((path) => path.includes("first"))).toEqual([]);
    const none = await run(["generate", "--adapter", ADAPTER, ...prompt], online(fresh));
    expect([none.code, none.stderr]).toEqual([
      1,
      expect.stringContaining("its adapters are in folders: name one, as hf://OWNER/NAME/first (first, second)"),
    ]);
    const merged = join(folder(), "merged");
    const merge = await run(["merge", "--adapter", `hf://${ADAPTER}/second`, "--output_dir", merged], {
      ...online(fresh),
      HF_HUB_OFFLINE: "1",
    });
    expect([merge.code, existsSync(join(merged, "model.safetensors"))]).toEqual([0, true]);
  });
});

test("preview fetches configuration and tokenizer, and no weights", async () => {
  const args = ["preview", "--base_model", NAME, "--train_file", texts, "--num_rows", "1", "--threads", "2"];
  const { code, stdout } = await run(args, online(folder()));
  expect([code, stdout]).toEqual([0, expect.stringContaining("tokens beyond the embedding")]);
  const names = new Set(hub.fetched().map((path) => basename(path)));
  expect([...names].filter((name) => !name.includes("?")).sort()).toEqual(
    Object.keys(base)
      .filter((name) => /^(config|tokenizer.*|special.*)\.json$/.test(name))
      .sort(),
  );
  expect(hub.seen.filter(({ host, path }) => host === "store" && path.includes("safetensors"))).toEqual([]);
});

describe("a plan", () => {
  const from = folder();
  const weightsAsked = () => hub.seen.filter(({ host }) => host === "store").map(({ range }) => range);

  test("inspect reads the headers of weights that the cache does not have", async () => {
    const [named, here] = [
      await run(["inspect", NAME, "--json"], online(from)),
      await run(["inspect", tinyBase, "--json"], {}),
    ];
    const about = ({ stdout }: Finished) => {
      const { memory, config, dtype, parameters, precision, target_modules } = JSON.parse(stdout);
      const items = memory.items.filter(({ name }: { name: string }) => name !== "process so far");
      return { items, config, dtype, parameters, precision, target_modules };
    };
    expect(about(named)).toEqual(about(here));
    expect(JSON.parse(named.stdout).folder).toBe(null);
    expect(named.stderr).toContain(`the weights of ${NAME} (1.9 MiB) are not downloaded: their headers are read`);
    const files = readdirSync(join(from, "models--someone--tiny-base/snapshots", COMMIT));
    expect(files).not.toContain("model.safetensors");
    expect(weightsAsked().filter((range) => range !== undefined)).toEqual([`bytes=0-${(1 << 18) - 1}`]);
    expect((await run(["inspect", NAME], online(from))).stdout).toMatch(new RegExp(`^Model: ${NAME}\n`));
  });

  test("--dry_run of a run downloads no weights; the run does", async () => {
    const dry = await run(training(join(folder(), "out"), ["--max_steps", "1", "--dry_run"]), online(from));
    expect([dry.code, dry.stderr]).toEqual([0, expect.stringContaining("their headers are read")]);
    expect(dry.stdout + dry.stderr).toMatch(/1 step/);
    hub.seen.length = 0;
    const wet = await run(training(join(folder(), "out"), ["--max_steps", "1"]), online(from));
    expect([wet.code, weightsAsked().length > 0]).toEqual([0, true]);
  });

  test("weights that were saved quantised are downloaded: they hold facts about themselves", async () => {
    const config = JSON.stringify({
      ...JSON.parse(String(base["config.json"])),
      quantization_config: { quant_method: "gptq" },
    });
    hub.repositories.set(NAME, { commit: COMMIT, files: { ...base, "config.json": config } });
    const { code, stderr } = await run(["inspect", NAME], online(folder()));
    expect([code, stderr]).toEqual([1, expect.stringContaining("gptq")]);
    expect(weightsAsked()).toContain(undefined);
  });
});

const answering =
  (status: number, code: string): Fault =>
  (_, response) => {
    response.writeHead(status, { "x-error-code": code, "content-length": "0" }).end();
    return true;
  };

describe("what cannot be downloaded is one error, and leaves the output folder alone", () => {
  test.each<[string, string, RegExp, () => NodeJS.ProcessEnv | undefined]>([
    [
      "a gated model",
      "E_HUB_ACCESS",
      /is gated: accept its conditions at .*\/someone\/tiny-base/,
      () => {
        hub.fault = answering(403, "GatedRepo");
        return undefined;
      },
    ],
    [
      "a name that is none",
      "E_HUB_MISSING",
      /is neither a folder here nor a repository at .*: check the spelling/,
      () => {
        hub.repositories.clear();
        return undefined;
      },
    ],
    [
      "a file with the wrong hash",
      "E_HUB_FILE",
      /model.safetensors of someone\/tiny-base came wrong/,
      () => {
        hub.fault = ({ host }, response, body) => {
          if (host !== "store" || body.length !== weightsSize) return false;
          response.end(Buffer.alloc(body.length, 1));
          return true;
        };
        return undefined;
      },
    ],
    [
      "a name offline, of which the cache has nothing",
      "E_HUB_OFFLINE",
      /Run once without HF_HUB_OFFLINE, or name a folder/,
      () => ({ HF_HUB_OFFLINE: "1" }),
    ],
  ])("%s", async (_, kind, message, prepare) => {
    const more = prepare();
    const output = join(folder(), "out");
    const { code, stderr } = await run(training(output), { ...online(folder()), ...more });
    const lines = stderr.trim().split("\n");
    expect([code, lines.at(-1)]).toEqual([1, expect.stringMatching(message)]);
    expect(lines.filter((line) => line.startsWith("error "))).toEqual([expect.stringContaining(`error ${kind}: `)]);
    expect(existsSync(output)).toBe(false);
  });

  test("a missing file of texts is told before the base is downloaded", async () => {
    const args = training(join(folder(), "out")).map((arg) => (arg === texts ? "/nowhere/texts.jsonl" : arg));
    const { code, stderr } = await run(args, online(folder()));
    expect([code, stderr]).toEqual([1, expect.stringContaining("/nowhere/texts.jsonl")]);
    expect(hub.fetched().filter((path) => path.includes("resolve"))).toEqual([]);
  });
});

test("Ctrl-C ends a download at once; the next run goes on from there", async () => {
  const from = folder();
  const half = Math.floor(weightsSize / 2);
  let child: Parameters<NonNullable<RunOptions["onOutput"]>>[0] | undefined;
  let interrupted: Promise<void> | undefined;
  hub.fault = ({ host }, response, body) => {
    if (host !== "store" || body.length !== weightsSize) return false;
    response.writeHead(200, { "content-length": body.length });
    // Flushed to the other side before the signal is sent, and nothing after it.
    response.write(body.subarray(0, half), () => {
      interrupted = interrupt();
      interrupted.catch(() => {});
    });
    return true;
  };
  const partial = () => {
    const blobs = join(from, "models--someone--tiny-base", "blobs");
    const name = existsSync(blobs) ? readdirSync(blobs).find((each) => each.endsWith(".incomplete")) : undefined;
    // That of another file may be gone by now.
    return name === undefined ? 0 : (statSync(join(blobs, name), { throwIfNoEntry: false })?.size ?? 0);
  };
  const interrupt = async () => {
    const isHalf = vi.waitUntil(() => child !== undefined && partial() === half, { timeout: 20_000, interval: 20 });
    await isHalf.finally(() => child?.kill("SIGINT"));
  };
  const output = join(folder(), "out");
  const onOutput: RunOptions["onOutput"] = (process) => {
    child = process;
  };
  const stopped = await run(training(output, ["--max_steps", "1"]), online(from), { onOutput });
  await interrupted;
  expect([stopped.code, stopped.signal, stopped.stderr]).toEqual([130, null, expect.not.stringContaining("error")]);
  expect([partial(), existsSync(output)]).toEqual([half, false]);
  hub.fault = () => false;
  hub.seen.length = 0;
  const next = await run(training(output, ["--max_steps", "1"]), online(from));
  expect([next.code, next.stderr]).toEqual([0, expect.stringContaining("saved the adapter")]);
  expect(hub.seen.filter(({ range }) => range === `bytes=${half}-`)).not.toEqual([]);
});

describe("the library", () => {
  const stub = (env: NodeJS.ProcessEnv) => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  };

  test("opens models and adapters by name, and tells how far a download is", async () => {
    stub(online(folder()));
    try {
      const progress: [string, number, number][] = [];
      await using model = await Model.open(NAME, {
        threads: 1,
        on_download: ({ name, done, total }) => progress.push([name, done, total]),
      });
      expect(model.source.origin).toEqual({ name: NAME, revision: undefined });
      const [name, done, total] = progress.at(-1)!;
      expect([name, done]).toEqual([NAME, total]);
      const options = {
        train: ["one text", "another text", "and one more"],
        max_steps: 1,
        lora_r: 2,
        max_seq_length: 16,
      };
      const saved = join(folder(), "saved");
      {
        await using trainer = await Trainer.create(model, options);
        await trainer.save(saved);
      }
      expect(JSON.parse(readFileSync(join(saved, "adapter_config.json"), "utf8")).base_model_name_or_path).toBe(NAME);
      hub.repositories.set(ADAPTER, { commit: COMMIT, files: filesOf(saved, /^adapter_/) });
      expect((await loadAdapter(model, ADAPTER)).spec.rank).toBe(2);
      await using trainer = await Trainer.create(model, { ...options, init_adapter: ADAPTER });
      expect(trainer.state).toBe("idle");
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test("ends a download with its signal's reason", async () => {
    stub(online(folder()));
    try {
      const abort = new AbortController();
      const reason = new Error("enough");
      const opening = Model.open(NAME, { signal: abort.signal, on_download: () => abort.abort(reason) });
      await expect(opening).rejects.toBe(reason);
      expect((await errorOf(() => Model.open(`${NAME}@v1`, { revision: "v2" }))).message).toMatch(
        /give the revision once/,
      );
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

test("no command has printed the token", () => {
  expect(printed.length).toBeGreaterThan(1000);
  expect(printed).not.toContain(TOKEN);
  expect(printed).not.toContain("Signature=");
});
