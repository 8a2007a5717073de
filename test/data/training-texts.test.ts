// Which texts a run is trained and evaluated on.
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { givenTexts, Tokenizer } from "../../src/data/index.js";
import { readTrainingTexts } from "../../src/setup/texts.js";
import { errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const tokenizer = await Tokenizer.open(tinyBase);
const VOCABULARY = 4096;
const cache = folder();

const lines = (texts: string[]) => texts.map((text) => JSON.stringify({ text })).join("\n");
const texts = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name} text ${i}`);

/** A folder with 20 texts to train on, 3 to evaluate on and 2 of a test split. */
function splits(): string {
  const made = folder();
  writeIn(made, "train.jsonl", lines(texts("train", 20)));
  writeIn(made, "validation.jsonl", lines(texts("validation", 3)));
  writeIn(made, "test.jsonl", lines(texts("test", 2)));
  return made;
}

interface Named {
  train_file: string[];
  validation_file?: string[];
}

async function read({ train_file, validation_file }: Named) {
  const notes: string[] = [];
  const o = {
    ...({ text_column: "text", max_seq_length: 32, long_text: "truncate", add_eos: true, cache_dir: cache } as const),
    ...{ cache_limit_gb: 1, threads: 1, packing: false, pad_to_max_length: false, seed: 0 },
    ...{ train_file, validation_file },
  };
  const reading = { warn: () => {}, note: (line: string) => void notes.push(line) };
  const { training, validation, hashes } = await readTrainingTexts(o, tokenizer, VOCABULARY, reading);
  return { counts: [training.examples, validation.examples], isSplit: hashes.validation === null, notes };
}

test("a folder's validation split is evaluated on, and that is said", async () => {
  const from = splits();
  const { counts, isSplit, notes } = await read({ train_file: [from] });
  expect(counts).toEqual([20, 3]);
  expect(isSplit).toBe(false);
  expect(notes).toEqual([
    `folder ${from}: the train split is read (1 file)`,
    `the validation split is evaluated on, instead of a tenth of the training texts: ${join(from, "validation.jsonl")}`,
    "each text ends with </s> (add_eos)",
  ]);
});

test("validation_file decides, where it is named", async () => {
  const from = splits();
  const other = writeIn(folder(), "a.jsonl", lines(texts("other", 4)));
  expect((await read({ train_file: [from], validation_file: [other] })).counts).toEqual([20, 4]);
  expect((await read({ train_file: [from], validation_file: [from] })).counts).toEqual([20, 3]);
});

test("without a validation split a tenth is held out, and the test split is not read", async () => {
  const from = folder();
  writeIn(from, "train.jsonl", lines(texts("train", 20)));
  writeIn(from, "test.jsonl", lines(texts("test", 2)));
  expect(await read({ train_file: [from] })).toMatchObject({ counts: [18, 2], isSplit: true });
  expect((await read({ train_file: [join(from, "train.jsonl")] })).counts).toEqual([18, 2]);
});

test("a file on both sides is an error that names it", async () => {
  const from = splits();
  const trained = join(from, "train.jsonl");
  const link = join(folder(), "held.jsonl");
  symlinkSync(trained, link);
  mkdirSync(join(from, "x"));
  for (const validation of [trained, link, `${join(from, "x")}/../train.jsonl`, `${from}/*.jsonl`]) {
    const error = await errorOf(() => read({ train_file: [from], validation_file: [validation] }));
    expect(error.code).toBe("E_DATA_FILES");
    expect(error.message).toMatch(/(train|held)\.jsonl.* is both trained on and evaluated on/);
  }
});

test("texts of a program are not files", async () => {
  const o = {
    ...({ text_column: "text", max_seq_length: 32, long_text: "truncate", add_eos: true, cache_dir: cache } as const),
    ...{ cache_limit_gb: 1, threads: 1, packing: false, pad_to_max_length: false, seed: 0 },
    ...{ train_file: givenTexts(texts("given", 10)), validation_file: [writeIn(folder(), "a.txt", "one\ntwo\n")] },
  };
  const { training, validation } = await readTrainingTexts(o, tokenizer, VOCABULARY, { warn: () => {} });
  expect([training.examples, validation.examples]).toEqual([10, 2]);
});
