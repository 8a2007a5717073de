import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { dataFiles, requireApart } from "../../src/data/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";

const temporary = temporaryFolders();

function tree(...names: string[]): string {
  const folder = temporary();
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), "");
  }
  return folder;
}

/** The files that are chosen in a folder, and the notes, without the folder's name. */
function chosen(folder: string, wanted: "train" | "validation" = "train") {
  const { files, validation, notes } = dataFiles([folder], wanted);
  const within = (paths: string[]) => paths.map((path) => relative(folder, path));
  return {
    files: within(files),
    validation: within(validation),
    notes: notes.map((note) => note.replace(folder, "F")),
  };
}

describe("which files of a folder are data", () => {
  test.each<[string, string[], string[]]>([
    [
      "a card, licences and what is hidden",
      ["README.md", "LICENSE", "LICENSE.txt", ".gitattributes", ".cache/x.jsonl", "a.jsonl"],
      ["a.jsonl"],
    ],
    [
      "other documents",
      ["readme.zh.md", "Licence-APACHE.txt", "CHANGELOG.md", "requirements.txt", "dataset_card.md", "a.csv"],
      ["a.csv"],
    ],
    [
      "descriptions",
      ["dataset_infos.json", "dataset_info.json", "config.json", "a.json", "b.json"],
      ["a.json", "b.json"],
    ],
    [
      "every depth, by path",
      ["b/2.jsonl", "a.jsonl", "b/1.jsonl", "b/c/0.jsonl", "b.jsonl"],
      ["a.jsonl", "b.jsonl", "b/1.jsonl", "b/2.jsonl", "b/c/0.jsonl"],
    ],
    [
      "Spark's",
      [
        "_SUCCESS",
        "._SUCCESS.crc",
        "_committed_1",
        "_started_1",
        ".part-0.crc",
        "_temporary/0/part-9.snappy.parquet",
      ].concat(["part-00001-a.c000.snappy.parquet", "part-00000-a.c000.snappy.parquet"]),
      ["part-00000-a.c000.snappy.parquet", "part-00001-a.c000.snappy.parquet"],
    ],
    [
      "Hive's",
      ["year=2024/month=2/0.parquet", "year=2023/month=10/0.parquet"],
      ["year=2023/month=10/0.parquet", "year=2024/month=2/0.parquet"],
    ],
    ["Delta Lake's", ["_delta_log/00.json", "_delta_log/00.checkpoint.parquet", "part-0.parquet"], ["part-0.parquet"]],
    [
      "Dask's",
      ["_metadata", "_common_metadata", "part.0.parquet", "part.1.parquet"],
      ["part.0.parquet", "part.1.parquet"],
    ],
    ["what datasets caches beside", ["cache-0123456789abcdef.arrow", "x.arrow"], ["x.arrow"]],
    ["Markdown beside data", ["notes.md", "about.md", "a.txt"], ["a.txt"]],
    ["Markdown alone", ["README.md", "one.md", "b/two.md"], ["b/two.md", "one.md"]],
  ])("%s", (_, names, files) => {
    expect(chosen(tree(...names)).files).toEqual(files);
  });

  test.each<[string[], string[], string]>([
    [["a.csv", "b.jsonl", "c.jsonl", "d.pdf"], ["b.jsonl", "c.jsonl"], "left out: a.csv, d.pdf."],
    [["a.txt", "b.jsonl"], ["b.jsonl"], "left out: a.txt."],
    [["a.parquet", "b.jsonl"], ["a.parquet"], "left out: b.jsonl."],
    [["a.csv", "b.json"], ["b.json"], "left out: a.csv."],
    [["a.jsonl.gz", "b.jsonl.zst"], ["a.jsonl.gz"], "left out: b.jsonl.zst."],
    [
      ["a.txt", ...Array.from({ length: 7 }, (_, i) => `${i}.csv`), "b.txt", "c.txt"],
      Array.from({ length: 7 }, (_, i) => `${i}.csv`),
      "left out: a.txt, b.txt, c.txt.",
    ],
  ])("%j: one format, and a note of the rest", (names, files, note) => {
    const { files: found, notes } = chosen(tree(...names));
    expect(found).toEqual(files);
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(/^folder F: \d files? with \..* read; left out: /);
    expect(notes[0]).toContain(note);
  });

  test("nothing is said where nothing is left out", () => {
    expect(chosen(tree("README.md", "a.jsonl", "b.jsonl")).notes).toEqual([]);
  });

  test.each<string[]>([
    ["out/adapter_config.json"],
    ["out/model.safetensors", "out/tokenizer.json"],
    ["out/model-00001-of-00002.safetensors"],
    ["out/checkpoint-2/lowrank_state.json", "out/checkpoint-2/a.jsonl"],
    ["out/.checkpoint-2.tmp/x", "out/metrics.jsonl", "out/train.log"],
    ["out/sweep.json", "out/r4/adapter_config.json"],
  ])("results are none: %s", (...names) => {
    const folder = tree("a.json", "b/c.json", ...names, "out/tokenizer_config.json", "out/own/x.json");
    const { files, notes } = chosen(folder);
    expect([files, notes]).toEqual([
      ["a.json", "b/c.json"],
      ["folder F: folders of models, adapters and runs are left out: out"],
    ]);
    const named = (pattern: string) => dataFiles([join(folder, pattern)]).files.map((file) => relative(folder, file));
    expect(named("**/*.json")).toEqual(files);
    // Named itself it is read.
    expect(named("out/own")).toEqual(["out/own/x.json"]);
    expect(named("out")).toContain("out/tokenizer_config.json");
  });

  test("the folder that the run itself writes into is none, however it is called", () => {
    const folder = tree("a.jsonl", "out/b.jsonl");
    symlinkSync(join(folder, "out"), join(folder, "linked"));
    const read = (output?: string) => dataFiles([folder], "train", output).files.map((file) => relative(folder, file));
    expect(read(join(folder, "linked"))).toEqual(["a.jsonl"]);
    expect(read(join(folder, "none"))).toEqual(["a.jsonl", "linked/b.jsonl"]);
    expect(read(folder)).toEqual(["a.jsonl", "linked/b.jsonl"]);
  });

  test("links are followed, but not in a circle", () => {
    const folder = tree("a.jsonl");
    const other = tree("b.jsonl");
    symlinkSync(other, join(folder, "linked"));
    symlinkSync(folder, join(folder, "circle"));
    symlinkSync(join(other, "b.jsonl"), join(folder, "c.jsonl"));
    expect(chosen(folder).files).toEqual(["a.jsonl", "c.jsonl", "linked/b.jsonl"]);
  });

  test("a pipe among the files is refused by name", async () => {
    const folder = tree("a.jsonl");
    execFileSync("mkfifo", [join(folder, "b.jsonl")]);
    const error = await errorOf(() => dataFiles([folder]));
    expect(error).toMatchObject({ code: "E_FILE", where: join(folder, "b.jsonl") });
    expect(error.message).toMatch(/b\.jsonl cannot be read: it is a pipe, not a file/);
  });

  test("a folder of documents alone", async () => {
    const folder = tree("README.md", "LICENSE", "picture.png");
    const error = await errorOf(() => dataFiles([folder]));
    expect(error.code).toBe("E_DATA_FILES");
    expect(error.message).toMatch(/holds no data file among the 2 found, such as .*(LICENSE|picture\.png); expected/);
  });

  describe("a subfolder that cannot be read", () => {
    afterEach(() => process.seteuid?.(process.getuid!()));

    test("names itself", async () => {
      const folder = tree("a.jsonl", "closed/b.jsonl");
      chmodSync(join(folder, "closed"), 0);
      for (let parent = folder; parent.length > "/tmp".length; parent = dirname(parent)) chmodSync(parent, 0o755);
      // Root may read everything.
      if (process.getuid!() === 0) process.seteuid!(65534);
      const error = await errorOf(() => dataFiles([folder]));
      expect(error).toMatchObject({ code: "E_FILE", where: join(folder, "closed") });
      expect(error.message).toMatch(/Data folder .*closed cannot be read: permission denied/);
    });
  });
});

describe("folders that datasets saved", () => {
  const saved = (state: object, ...files: string[]) => {
    const folder = tree("dataset_info.json", "cache-0123456789abcdef.arrow", ...files);
    writeFileSync(join(folder, "state.json"), JSON.stringify(state));
    return folder;
  };
  const data = (...names: string[]) => ({ _data_files: names.map((filename) => ({ filename })) });

  test("their files in the order of their rows, and no others", () => {
    expect(chosen(saved(data("b.arrow", "a.arrow"), "a.arrow", "b.arrow", "c.arrow")).files).toEqual([
      "b.arrow",
      "a.arrow",
    ]);
  });

  test.each<[object, RegExp]>([
    [{}, /state\.json: it names no data files \(_data_files\)\. Save the dataset again/],
    [{ _data_files: ["a.arrow"] }, /state\.json: a data file has no name/],
    [
      data("a.arrow", "gone.arrow"),
      /state\.json: its data file gone\.arrow is not there\. Copy the whole folder again/,
    ],
    [
      { ...data("a.arrow"), _indices_data_files: [{ filename: "indices.arrow" }] },
      /the rows are in an order of their own, which only datasets can read\. Load it .* flatten_indices\(\)/,
    ],
  ])("%j", async (state, message) => {
    const folder = saved(state, "a.arrow");
    const error = await errorOf(() => dataFiles([folder]));
    expect(error).toMatchObject({ code: "E_DATA_FILES", where: join(folder, "state.json") });
    expect(error.message).toMatch(message);
  });

  test("a list of splits that is none", async () => {
    const folder = tree("train/a.arrow");
    writeFileSync(join(folder, "dataset_dict.json"), '{"splits": {}}');
    expect((await errorOf(() => dataFiles([folder]))).message).toMatch(/dataset_dict\.json: it names no splits/);
  });
});

describe("splits by name", () => {
  test.each<[string, string[], string[], string[]]>([
    [
      "shards of a hub's repository",
      [
        "README.md",
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002-0af.parquet",
        "data/validation-00000-of-00001.parquet",
        "data/test-00000-of-00001.parquet",
      ],
      ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002-0af.parquet"],
      ["data/validation-00000-of-00001.parquet"],
    ],
    ["files", ["train.jsonl", "valid.jsonl", "test.jsonl"], ["train.jsonl"], ["valid.jsonl"]],
    ["dev", ["my_train.csv", "my_dev.csv", "my_test.csv"], ["my_train.csv"], ["my_dev.csv"]],
    [
      "val",
      ["data/train_0.txt", "data/train_1.txt", "data/val_0.txt"],
      ["data/train_0.txt", "data/train_1.txt"],
      ["data/val_0.txt"],
    ],
    [
      "test alone is evaluated on",
      ["training-a.jsonl", "evaluation.jsonl"],
      ["training-a.jsonl"],
      ["evaluation.jsonl"],
    ],
    [
      "folders",
      ["train/a.jsonl", "train/b/c.jsonl", "dev/a.jsonl", "notes-train.txt"],
      ["train/a.jsonl", "train/b/c.jsonl"],
      ["dev/a.jsonl"],
    ],
    [
      "folders with more in their names",
      ["x-train 1/a.txt", "x-validation 1/a.txt"],
      ["x-train 1/a.txt"],
      ["x-validation 1/a.txt"],
    ],
    [
      "Hive's column split",
      ["split=train/0.parquet", "split=validation/0.parquet"],
      ["split=train/0.parquet"],
      ["split=validation/0.parquet"],
    ],
    [
      "datasets' order of patterns",
      ["a-train.txt", "train.txt", "training.txt", "val.txt"],
      ["train.txt", "a-train.txt", "training.txt"],
      ["val.txt"],
    ],
    [
      "no split: words within words",
      ["trainer.jsonl", "contest.jsonl"],
      ["contest.jsonl", "trainer.jsonl"],
      ["contest.jsonl", "trainer.jsonl"],
    ],
  ])("%s", (_, names, training, validation) => {
    const folder = tree(...names);
    expect(chosen(folder).files).toEqual(training);
    expect(chosen(folder, "validation").files).toEqual(validation);
  });

  test("the validation split of a folder to train on is there for evaluation, the test split is not", () => {
    const folder = tree("train.jsonl", "validation.jsonl", "test.jsonl", "other.jsonl");
    expect(chosen(folder)).toEqual({
      files: ["train.jsonl"],
      validation: ["validation.jsonl"],
      notes: [
        "folder F: the train split is read (1 file)",
        "folder F: 1 file with .jsonl, .ndjson, .json read; left out: other.jsonl. Name them to read them, too.",
      ],
    });
    expect(chosen(tree("train.jsonl", "test.jsonl")).validation).toEqual([]);
    expect(chosen(tree("a.jsonl", "b.jsonl")).validation).toEqual([]);
  });

  test("what is read in place of a validation split is said", () => {
    expect(chosen(tree("train.jsonl", "test.jsonl"), "validation").notes).toEqual([
      "folder F: the test split is read (1 file), as it has no validation split",
    ]);
  });

  test("several data sets of one repository are told apart, by its card", async () => {
    const folder = tree("main/train-0.parquet", "main/test-0.parquet", "more/train-0.parquet", "more/test-0.parquet");
    const card = (configs: string) =>
      writeFileSync(join(folder, "README.md"), `---\nlicense: mit\nconfigs:\n${configs}tags:\n- a\n---\n`);
    const files = (name: string) => `- config_name: ${name}\n  data_files: ${name}/train-*\n`;
    card(files("main") + files("more"));
    const error = await errorOf(() => dataFiles([folder]));
    expect(error).toMatchObject({ code: "E_DATA_FILES", where: folder });
    expect(error.message).toMatch(
      /holds several data sets, by its README\.md: main, more\. Name the folder or the files of one, such as .*\/main\/train-\*\.$/,
    );
    expect(chosen(join(folder, "main")).files).toEqual(["train-0.parquet"]);
    card("- config_name: main\n- config_name: more\n");
    expect((await errorOf(() => dataFiles([folder]))).message).toMatch(/: main, more\. .* such as .*\/main\.$/);
    card(`${files("main")}${files("more")}  default: true\n`);
    expect(chosen(folder).files).toEqual(["more/train-0.parquet"]);
    card(files("main") + files("absent"));
    expect(chosen(folder).files).toEqual(["main/train-0.parquet"]);
    card("- config_name: default\n  data_files: elsewhere/*\n");
    expect(chosen(folder).files).toEqual(["main/train-0.parquet", "more/train-0.parquet"]);
  });

  test.each<[string, string, string[], string[]]>([
    [
      "splits of files whose names tell none",
      "- config_name: default\n  data_files:\n  - split: train\n    path: main.jsonl\n  - split: test\n    path: held.jsonl\n",
      ["main.jsonl"],
      ["held.jsonl"],
    ],
    [
      "lists of paths, CRLF",
      "  - config_name: default\r\n    data_files:\r\n      - split: train\r\n        path:\r\n          - b/two.jsonl\r\n          - ./main.jsonl\r\n      - split: dev\r\n        path: 'b/o*.jsonl'\r\n",
      ["b/two.jsonl", "main.jsonl"],
      ["b/one.jsonl"],
    ],
    ["one pattern for training", '- config_name: default\n  data_files: "b/*"\n', ["b/one.jsonl", "b/two.jsonl"], []],
    ["patterns at every depth", "- config_name: x\n  data_files: '**/t[a-z]o.jsonl'\n", ["b/two.jsonl"], []],
    ["a folder", "- config_name: x\n  data_dir: b\n", ["b/one.jsonl", "b/two.jsonl"], ["b/one.jsonl", "b/two.jsonl"]],
    [
      "a folder and paths within",
      "- config_name: x\n  data_dir: ./b/\n  data_files:\n  - split: train\n    path: one*\n",
      ["b/one.jsonl"],
      [],
    ],
    [
      "no YAML",
      "- [",
      ["b/one.jsonl", "b/two.jsonl", "held.jsonl", "main.jsonl"],
      ["b/one.jsonl", "b/two.jsonl", "held.jsonl", "main.jsonl"],
    ],
  ])("a card's data_files decide: %s", async (_, configs, files, validation) => {
    const folder = tree("main.jsonl", "held.jsonl", "b/one.jsonl", "b/two.jsonl");
    const end = configs.includes("\r") ? "\r\n" : "\n";
    writeFileSync(join(folder, "README.md"), `---${end}configs:${end}${configs}---${end}# Texts\n`);
    expect(chosen(folder).files.sort()).toEqual(files);
    if (validation.length > 0) expect(chosen(folder, "validation").files).toEqual(validation);
    else expect(await errorOf(() => dataFiles([folder], "validation"))).toMatchObject({ code: "E_DATA_FILES" });
  });

  test("a single split of another name is trained on", () => {
    expect(chosen(tree("data/corpus-00000-of-00001.parquet")).files).toEqual(["data/corpus-00000-of-00001.parquet"]);
  });

  test.each<[string[], "train" | "validation", RegExp]>([
    [
      ["data/train_sft-00000-of-00001.parquet", "data/test_sft-00000-of-00001.parquet"],
      "train",
      /has the splits train_sft, test_sft|has the splits test_sft, train_sft/,
    ],
    [
      ["test.jsonl", "valid.jsonl"],
      "train",
      /has the splits validation, test, none of them for training\. Name the files to read/,
    ],
    [
      ["train.jsonl"],
      "validation",
      /has the splits train, none of them for validation\. Name the files to read, such as .*train\.jsonl\./,
    ],
  ])("%j for %s: an error that lists them", async (names, wanted, message) => {
    const folder = tree(...names);
    const error = await errorOf(() => dataFiles([folder], wanted));
    expect(error).toMatchObject({ code: "E_DATA_FILES", where: folder });
    expect(error.message).toMatch(message);
  });
});

describe("a file that is trained on is not evaluated on", () => {
  test.each<[string, (file: string) => string]>([
    ["itself", (file) => file],
    ["another spelling", (file) => join(dirname(file), ".", "x", "..").concat("/./a.jsonl")],
    [
      "a link",
      (file) => {
        symlinkSync(file, `${file}.link`);
        return `${file}.link`;
      },
    ],
    [
      "a hard link",
      (file) => {
        linkSync(file, `${file}.hard`);
        return `${file}.hard`;
      },
    ],
  ])("%s", async (_, other) => {
    const folder = tree("a.jsonl", "b.jsonl", "x/y");
    const file = join(folder, "a.jsonl");
    const second = other(file);
    requireApart([file], [join(folder, "b.jsonl")]);
    const error = await errorOf(() => requireApart([file, join(folder, "b.jsonl")], [second]));
    expect(error).toMatchObject({ code: "E_DATA_FILES", where: second });
    expect(error.message).toContain("is both trained on and evaluated on");
    if (second !== file) expect(error.message).toContain(`${second}, which is ${file},`);
  });
});
