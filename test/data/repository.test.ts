// Which files of a hub's data set are read, beside Python's datasets on the same files. The comparison runs where LOWRANK_PEER_PYTHON
// names a Python that has datasets.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { convertedFiles, folderFiles, repositoryFiles, type Selection } from "../../src/data/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { peerPython } from "../support/python.js";

const NAME = "someone/texts";
const temporary = temporaryFolders();
const card = (head: string) => `---\n${head}\n---\n# Texts\n`;

/** Names of files, and the card's settings. */
const TREES: Record<string, [string[], string?]> = {
  shards: [
    ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test_sft-00000-of-00001.parquet"],
  ],
  files: [["train.jsonl", "dev.jsonl", "eval.jsonl"]],
  folders: [["train/a.csv", "train/b.csv", "test/a.csv"]],
  "no split": [["one.jsonl", "b/two.jsonl"]],
  "a card's splits": [
    ["a/x.jsonl", "a/y.jsonl", "b.jsonl", "c.jsonl"],
    `configs:\n- config_name: default\n  data_files:\n  - split: train_sft\n    path: a/*.jsonl\n  - split: dev\n    path: [b.jsonl]`,
  ],
  "a card's configurations": [
    ["en/train.csv", "en/test.csv", "de/train.csv", "de/validation.csv"],
    "configs:\n- config_name: en\n  data_dir: en\n- config_name: de\n  data_dir: de\n  default: true",
  ],
  "a card's names alone": [
    ["one/train.csv", "one/test.csv", "two/x.csv"],
    "configs:\n- config_name: one\n- config_name: two\n  default: true",
  ],
  "a card's default by its name": [
    ["a.jsonl", "b.jsonl"],
    "configs:\n- config_name: other\n  data_files: a.jsonl\n- config_name: default\n  data_files: ['./b.jsonl']",
  ],
  "shards elsewhere": [["train-00000-of-00001.parquet", "data/dev.parquet", "__pycache__/train.parquet"]],
  "shards beside others": [
    ["data/train_x-00000-of-00001-ab.parquet", "data/gen-00000-of-00001.parquet", "data/more.parquet"],
  ],
  "languages without a card": [["en/train/x.parquet", "de/train/x.parquet", "en/test/y.parquet"]],
  "a card's pattern at every depth": [
    ["x/1.jsonl", "x/y/2.jsonl", "z.jsonl"],
    `configs:\n- config_name: some\n  data_files: "x/**/*.jsonl"\n- config_name: other\n  data_files: z.jsonl`,
  ],
};

function chosen(tree: string, wanted: "train" | "validation" = "train", selection: Selection = {}) {
  const [names, head] = TREES[tree]!;
  const all = [...names, ".gitattributes", ...(head === undefined ? [] : ["README.md"])];
  const { files, validation } = repositoryFiles(NAME, all, head && card(head), wanted, {
    validation: { split: undefined },
    ...selection,
  });
  return [files, validation];
}

describe("the files of a repository", () => {
  test.each<[string, Selection, string[], string[]]>([
    ["shards", {}, ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"], []],
    [
      "shards",
      { validation: { split: "test_sft" } },
      ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
      ["data/test_sft-00000-of-00001.parquet"],
    ],
    ["shards", { split: "test_sft" }, ["data/test_sft-00000-of-00001.parquet"], []],
    ["files", {}, ["train.jsonl"], ["dev.jsonl"]],
    ["files", { split: "test" }, ["eval.jsonl"], []],
    ["no split", { split: "train" }, ["b/two.jsonl", "one.jsonl"], []],
    ["a card's splits", { split: "train_sft", validation: { split: "dev" } }, ["a/x.jsonl", "a/y.jsonl"], ["b.jsonl"]],
    ["a card's configurations", {}, ["de/train.csv"], ["de/validation.csv"]],
    ["a card's configurations", { config: "en" }, ["en/train.csv"], []],
    ["a card's pattern at every depth", { config: "some" }, ["x/1.jsonl", "x/y/2.jsonl"], []],
  ])("%s, %j", (tree, selection, files, validation) => {
    expect(chosen(tree, "train", selection)).toEqual([files, validation]);
  });

  test("to evaluate on are those of the validation split, else the test split", () => {
    expect(chosen("files", "validation")).toEqual([["dev.jsonl"], []]);
    expect(chosen("folders", "validation")).toEqual([["test/a.csv"], []]);
  });

  test.each<[string, Selection, RegExp]>([
    ["files", { validation: { split: "dev_x" } }, /has no split dev_x/],
    ["files", { config: "en" }, /has no configuration en. Its card \(README.md\) names none: leave it out/],
    ["a card's configurations", { config: "fr" }, /has no configuration fr. It has en, de\./],
    [
      "a card's pattern at every depth",
      {},
      /Data set someone\/texts holds several data sets, by its README.md: some, other. Name one with --dataset_config_name/,
    ],
  ])("%s, %j: an error that says what there is", async (tree, selection, message) => {
    const error = await errorOf(() => chosen(tree, "train", selection));
    expect([error.code, error.message]).toEqual(["E_DATA_FILES", expect.stringMatching(message)]);
  });

  test("that the hub has converted are by configuration and split", async () => {
    const paths = [
      "en/train/0000.parquet",
      "en/train/0001.parquet",
      "en/train_x/0000.parquet",
      "de/partial-train/0000.parquet",
    ];
    const files = (selection: Selection) => convertedFiles(NAME, paths, "train", selection);
    expect(files({ config: "en" }).files).toEqual(["en/train/0000.parquet", "en/train/0001.parquet"]);
    expect(files({ config: "en", split: "train_x" }).files).toEqual(["en/train_x/0000.parquet"]);
    expect(files({ config: "de" }).notes.at(-1)).toMatch(/has converted a part of this split only/);
    const error = await errorOf(() => files({}));
    expect(error.message).toMatch(/has several configurations. It has de, en: name one with --dataset_config_name/);
  });
});

const { python, reason } = peerPython("datasets");
if (reason) console.log(`skipped: files of data sets beside Python's datasets (${reason})`);

/** Asks datasets for the files of every configuration and split of some folders. */
const SCRIPT = `import json, os, sys
from datasets import get_dataset_config_names, load_dataset_builder
found = {}
for name, folder in json.load(sys.stdin).items():
    configs = {}
    for config in get_dataset_config_names(folder):
        files = load_dataset_builder(folder, config).config.data_files
        configs[config] = {str(split): sorted(os.path.relpath(file, folder) for file in some) for split, some in files.items()}
    found[name] = configs
print(json.dumps(found))`;

test.skipIf(reason !== undefined)("datasets chooses the same files for every split", { timeout: 300_000 }, () => {
  const folders: Record<string, string> = {};
  for (const [tree, [names, head]] of Object.entries(TREES)) {
    const folder = temporary();
    folders[tree] = folder;
    for (const name of names) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), '{"text": "a"}\n');
    }
    if (head !== undefined) writeFileSync(join(folder, "README.md"), card(head));
  }
  const { stdout, stderr } = spawnSync(python, ["-c", SCRIPT], { input: JSON.stringify(folders), encoding: "utf8" });
  expect(stdout, stderr).not.toBe("");
  const theirs = JSON.parse(stdout) as Record<string, Record<string, Record<string, string[]>>>;
  let compared = 0;
  for (const [tree, configs] of Object.entries(theirs)) {
    for (const [config, splits] of Object.entries(configs)) {
      for (const [split, files] of Object.entries(splits)) {
        const ours = chosen(tree, "train", { config, split })[0]!;
        expect([...ours].sort(), `${tree}, ${config}, ${split}`).toEqual(files);
        const named = folderFiles(folders[tree]!, "train", { config, split }).files;
        expect(named.sort(), `folder of ${tree}`).toEqual(files.map((file) => join(folders[tree]!, file)));
        compared++;
      }
    }
  }
  expect(compared).toBeGreaterThan(12);
});
