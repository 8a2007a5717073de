// The end token of texts (add_eos), and texts with nothing to learn: which tokens the cache holds, which examples are left.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fileTexts, listCache, TokenDataset, Tokenizer, type TokenTable } from "../../src/data/index.js";
import { openModel } from "../../src/model/index.js";
import { packingHint, readTokens, readTrainingTexts, tellEnd, warnOfTokenizer } from "../../src/setup/texts.js";
import { editJson, errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { tableOf } from "../support/tokens.js";

const folder = temporaryFolders();
const EOS = 1;

function copyTokenizer(changes: Record<string, Record<string, unknown>>): string {
  const copy = folder();
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) cpSync(join(tinyBase, name), join(copy, name));
  for (const [name, keys] of Object.entries(changes)) editJson(join(copy, name), keys);
  return copy;
}

/** A post-processor that puts <s> before and </s> after a text. */
const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const bothEnds = {
  type: "TemplateProcessing",
  single: [special("<s>"), { Sequence: { id: "A", type_id: 0 } }, special("</s>")],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: {
    "<s>": { id: "<s>", ids: [0], tokens: ["<s>"] },
    "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] },
  },
};

const sequences = (table: TokenTable) =>
  Array.from({ length: table.length }, (_, i) => [...table.sequence(i).inputIds]);

describe("the end token", () => {
  const TEXTS = ["one two three four five six", "Hello there", "a", "ends with space ", "x</s>"];

  // tokenizer(text + eos_token, truncation=True, max_length=6) of transformers 5.24; where the tokenizer itself adds the end, tokenizer(text).
  test.each([
    [
      "after a text, cut with it",
      {},
      [
        [0, 630, 909, 1683, 2012, 284],
        [0, 41, 1904, 80, 583, 1],
        [0, 66, 1],
        [0, 367, 84, 350, 756, 662],
        [0, 89, 1],
      ],
    ],
    [
      "kept, where the beginning is cut",
      { "tokenizer_config.json": { truncation_side: "left" } },
      [
        [0, 284, 409, 272, 1427, 1],
        [0, 41, 1904, 80, 583, 1],
        [0, 66, 1],
        [0, 350, 756, 662, 222, 1],
        [0, 89, 1],
      ],
    ],
    [
      "before a special token of the tokenizer's own",
      { "tokenizer.json": { post_processor: bothEnds }, "tokenizer_config.json": { eos_token: "<s>" } },
      [
        [0, 630, 909, 1683, 2012, 1],
        [0, 41, 1904, 80, 583, 1],
        [0, 66, 0, 1],
        [0, 367, 84, 350, 756, 1],
        [0, 89, 1, 0, 1],
      ],
    ],
    [
      "once, where the tokenizer itself adds it",
      { "tokenizer.json": { post_processor: bothEnds } },
      [
        [0, 630, 909, 1683, 2012, 1],
        [0, 41, 1904, 80, 583, 1],
        [0, 66, 1],
        [0, 367, 84, 350, 756, 1],
        [0, 89, 1, 1],
      ],
    ],
  ])("%s", async (_, changes, expected) => {
    const tokenizer = await Tokenizer.open(copyTokenizer(changes));
    const table = await tableOf(TEXTS, { tokenizer, folder: folder(), maxLength: 6, addEos: true });
    expect(sequences(table)).toEqual(expected);
  });

  test("in the last of a text's chunks, and in each example of a pack", async () => {
    const tokenizer = await Tokenizer.open(tinyBase);
    const options = { tokenizer, folder: folder(), addEos: true };
    const chunked = await tableOf(TEXTS.slice(0, 1), { ...options, maxLength: 4, longText: "chunk" });
    const chunks = sequences(chunked);
    expect(chunks.flat()).toEqual([0, 630, 909, 1683, 2012, 284, 409, 272, 1427, EOS]);
    expect(chunks.map((ids) => ids.includes(EOS))).toEqual([false, false, true]);
    const table = await tableOf(TEXTS, { ...options, maxLength: 64 });
    const packed = new TokenDataset(table, table.learnable(), { packTo: 64 });
    expect(packed.length).toBe(1);
    for (const { inputIds } of packed.batch([0]).batch.sequences) expect(inputIds.at(-1)).toBe(EOS);
  });

  test("is part of the cache's key, where it changes the tokens", async () => {
    const [cache, tokenizer] = [folder(), await Tokenizer.open(tinyBase)];
    for (const addEos of [true, false]) await tableOf(TEXTS, { tokenizer, folder: cache, maxLength: 9, addEos });
    expect(listCache(cache)).toHaveLength(2);
    const endless = await Tokenizer.open(copyTokenizer({ "tokenizer_config.json": { eos_token: null } }));
    const own = folder();
    for (const addEos of [true, false]) await tableOf(TEXTS, { tokenizer: endless, folder: own, maxLength: 9, addEos });
    expect(listCache(own)).toHaveLength(1);
  });

  test("is announced, and a tokenizer without one is a warning", async () => {
    const said: string[] = [];
    const say = {
      note: (line: string) => said.push(`info ${line}`),
      warn: (line: string) => said.push(`warn ${line}`),
    };
    const endless = await Tokenizer.open(copyTokenizer({ "tokenizer_config.json": { eos_token: null } }));
    const render = { kind: "text", column: "text" } as const;
    tellEnd({ add_eos: true }, await Tokenizer.open(tinyBase), render, say);
    tellEnd({ add_eos: false }, endless, render, say);
    tellEnd({ add_eos: true }, endless, render, say);
    expect(said).toEqual([
      "info each text ends with </s> (add_eos)",
      "warn the tokenizer names no end token (eos_token): texts are learned without an end, as with --no-add_eos",
    ]);
  });
});

const tokenizer = await Tokenizer.open(tinyBase);
const defaults = {
  text_column: "text",
  max_seq_length: 32,
  long_text: "truncate",
  add_eos: true,
  cache_limit_gb: 1,
  threads: 1,
} as const;
const VOCABULARY = 2048;
const lines = (texts: string[]) => texts.map((text) => JSON.stringify({ text })).join("\n");

/** The data sets that a run makes of some texts. */
async function training(train: string[], validation: string[] | null, o: object = {}, vocabSize = VOCABULARY) {
  const from = folder();
  const warnings: string[] = [];
  const options = {
    ...{ ...defaults, cache_dir: folder(), packing: false, pad_to_max_length: false, seed: 42 },
    train_file: [writeIn(from, "train.jsonl", lines(train))],
    validation_file: validation ? [writeIn(from, "valid.jsonl", lines(validation))] : undefined,
    ...o,
  };
  const warn = (message: string) => void warnings.push(message.replaceAll(`${from}/`, ""));
  const texts = await readTrainingTexts(options, tokenizer, vocabSize, { warn });
  return { ...texts, options, warnings };
}

describe("texts with nothing to learn", () => {
  const words = Array.from({ length: 9 }, (_, i) => `text number ${i}`);

  test.each([1, 4, 10])(
    "are left out, named in one warning; any batch size of the rest, %d, has something",
    async (size) => {
      const blank = ["", " \n\t", "", "", "", ""];
      const { training: dataset, validation, warnings } = await training([...words, ...blank], ["", "a"]);
      expect([dataset.examples, validation.examples]).toEqual([9, 1]);
      expect(warnings).toEqual([
        "6 training texts are left out, as they are blank or a single token, with nothing to learn: train.jsonl, line 10; train.jsonl, line 11; train.jsonl, line 12; and 3 more",
        "1 validation text is left out, as it is blank or a single token, with nothing to learn: valid.jsonl, line 1",
      ]);
      for (let at = 0; at < dataset.length; at += size) {
        const positions = Array.from({ length: Math.min(size, dataset.length - at) }, (_, i) => at + i);
        expect(dataset.batch(positions).supervisedTokens).toBeGreaterThan(0);
      }
    },
  );

  test("are in neither side of the default split", async () => {
    const blanks = await training(["", ...words, ""], null);
    const whole = await training(words, null);
    expect([blanks.training.examples, blanks.validation.examples]).toEqual([8, 1]);
    const held = (of: typeof blanks) => [...of.validation.batch([0]).batch.sequences[0]!.inputIds];
    expect(held(blanks)).toEqual(held(whole));
    expect(whole.warnings).toEqual([]);
  });

  test("a single token is left out without its end, and learned with it", async () => {
    const bare = await Tokenizer.open(copyTokenizer({ "tokenizer.json": { post_processor: null } }));
    const file = writeIn(folder(), "a.jsonl", lines(["a", "a text"]));
    const read = (add_eos: boolean) =>
      readTokens(
        fileTexts([file], { column: "text" }),
        bare,
        VOCABULARY,
        { ...defaults, add_eos, cache_dir: folder() },
        { warn: () => {} },
      );
    expect([(await read(true)).examples, (await read(false)).examples]).toEqual([
      Int32Array.of(0, 1),
      Int32Array.of(1),
    ]);
  });

  test.each([
    [["", ""], words, "train.jsonl, line 1"],
    [words, [" ", ""], "valid.jsonl, line 1"],
  ])("are an error where there are no others", async (train, valid, where) => {
    const error = await errorOf(() => training(train, valid));
    expect([error.code, error.message.includes(where)]).toEqual(["E_ALL_MASKED", true]);
    expect(error.message).toContain(`any of the 2 ${where.startsWith("train") ? "training" : "validation"} texts`);
  });
});

describe("tokens beyond the embedding", () => {
  // "six" is token 1427 in "one two three four five six".
  const small = 1427;

  test.each([
    [["a", "b c", "", "one two three four five six"], ["a"], "train.jsonl, line 4"],
    [["a"], ["b", "one two three four five six"], "valid.jsonl, line 2"],
  ])("are refused before anything is trained, with text and token", async (train, valid, where) => {
    const error = await errorOf(() => training(train, valid, {}, small));
    expect(error.code).toBe("E_TOKENIZER");
    expect(error.message).toMatch(
      new RegExp(`${where}: token ".*" has number \\d+.*ends with 1426 \\(vocab_size 1427\\)`),
    );
    expect((await training(train, valid, {}, VOCABULARY)).training.examples).toBeGreaterThan(0);
  });

  test("are no matter where no text has one", async () => {
    const { training: dataset } = await training(["a", "b c"], ["a"], {}, small);
    expect(dataset.examples).toBe(2);
  });
});

describe("a tokenizer with tokens beyond the embedding", () => {
  test("is a warning, where the model has fewer", async () => {
    const warnings: string[] = [];
    const model = openModel(tinyBase);
    for (const vocabSize of [VOCABULARY, VOCABULARY - 2])
      await warnOfTokenizer({ ...model, config: { ...model.config, vocabSize } }, (line) => warnings.push(line));
    expect(warnings).toEqual([
      expect.stringMatching(
        /^the tokenizer has 2 tokens that the model has no embedding for \(vocab_size 2046\): ".+" is number 2046; /,
      ),
    ]);
  });
});

describe("short texts", () => {
  test("get the hint to pack, with the number of packs", async () => {
    const many = Array.from({ length: 40 }, (_, i) => `text ${i}`);
    const texts = await training(many, ["a"]);
    const packs = (await training(many, ["a"], { packing: true })).training.length;
    expect(packingHint(texts, texts.options)).toMatch(
      new RegExp(
        `^the texts are short, \\d tokens in the mean: --packing would make ${packs} packs of these 40 texts$`,
      ),
    );
    expect(packingHint(texts, { ...texts.options, packing: true })).toBeUndefined();
    const long = await training(many, ["a"], { max_seq_length: 8 });
    expect(packingHint(long, long.options)).toBeUndefined();
  });
});
