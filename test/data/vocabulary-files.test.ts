// Tokenizers of folders without tokenizer.json, against transformers (scripts/goldens/vocabulary_files.py).
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { copyInto } from "../../src/checkpoint/files.js";
import { Tokenizer } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

interface Case {
  files: Record<string, unknown>;
  /** Of each text: ids and types, whole and cut at the left and at the right. */
  tokens: [ids: number[], types: number[]][][];
  pad: number | null;
}

const folder = temporaryFolders();
const golden = new URL("../fixtures/vocabulary-files.json", import.meta.url);
const { length, texts, cases }: { length: number; texts: [string, string?][]; cases: Record<string, Case> } =
  JSON.parse(readFileSync(golden, "utf8"));

function write(files: Record<string, unknown>): string {
  const path = folder();
  for (const [name, content] of Object.entries(files))
    writeIn(path, name, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const rows = texts.map(([text, pair]) => (pair === undefined ? { text } : { text, pair }));

async function typed(tokenizer: Tokenizer, maxLength: number, side: "left" | "right" | undefined) {
  const found = await tokenizer.encodeTyped(rows, { maxLength, side });
  return found.map(({ ids, types }) => [[...ids], [...types]]);
}

describe("tokens of a folder without tokenizer.json", () => {
  test.each(Object.entries(cases))("%s", async (_, { files, tokens, pad }) => {
    const path = write(files);
    const tokenizer = await Tokenizer.open(path);
    const expected = (i: number) => tokens.map((row) => row[i]);
    expect(await typed(tokenizer, 1000, undefined)).toEqual(expected(0));
    expect(await typed(tokenizer, length, "left")).toEqual(expected(1));
    expect(await typed(tokenizer, length, "right")).toEqual(expected(2));
    expect(tokenizer.padTokenId ?? null).toBe(pad);
    // Beside an adapter it is a tokenizer.json.
    const beside = join(path, "beside");
    mkdirSync(beside);
    await copyInto(beside, tokenizer.files);
    expect(readdirSync(beside)).toEqual(expect.arrayContaining(["tokenizer.json", "tokenizer_config.json"]));
    for (const name of ["vocab.txt", "vocab.json"]) rmSync(join(beside, name), { force: true });
    const copy = await Tokenizer.open(beside);
    expect(await typed(copy, 1000, undefined)).toEqual(expected(0));
  });
});

test("a class that is not built, a vocabulary without a special token and a damaged list of merges are errors", async () => {
  const { files } = cases.BERT!;
  const open = (changes: Record<string, unknown>, from = files) =>
    errorOf(() => Tokenizer.open(write({ ...from, ...changes })));
  const other = await open({ "tokenizer_config.json": { tokenizer_class: "BertJapaneseTokenizer" } });
  expect([other.code, other.message]).toEqual([
    "E_TOKENIZER",
    expect.stringMatching(
      /vocab\.txt without tokenizer\.json: of tokenizer_class BertJapaneseTokenizer.*BertTokenizer/,
    ),
  ]);
  expect((await open({ "config.json": { model_type: "xlm" } })).message).toMatch(/model_type "xlm"/);
  const less = await open({ "vocab.txt": "[PAD]\n[UNK]\n[CLS]\na\n" });
  expect(less.message).toMatch(/vocab\.txt has no token \[SEP\], the sep_token of BertTokenizer/);
  const damaged = await open({ "merges.txt": "#version: 0.2\na b\na\n" }, cases.RoBERTa!.files);
  expect(damaged.message).toMatch(/merges\.txt, line 3: expected two tokens/);
});

const minilm = new URL("../../../shared/models/minilm-l6-v2", import.meta.url).pathname;
const era = new URL("../../../shared/data/sotu-era-valid.csv", import.meta.url).pathname;

test.skipIf(!existsSync(minilm) || !existsSync(era))(
  "MiniLM's vocabulary alone gives the tokens of its tokenizer.json",
  async () => {
    const path = folder();
    for (const name of ["config.json", "tokenizer_config.json"]) cpSync(join(minilm, name), join(path, name));
    const { model } = JSON.parse(readFileSync(join(minilm, "tokenizer.json"), "utf8"));
    const tokens = Object.entries<number>(model.vocab).sort(([, a], [, b]) => a - b);
    writeFileSync(join(path, "vocab.txt"), tokens.map(([token]) => `${token}\n`).join(""));
    const lines = readFileSync(era, "utf8").split("\n");
    const rows = lines.map((text, i) => (i % 2 ? { text } : { text, pair: lines.at(-1 - i)! }));
    const [own, made] = await Promise.all(
      [minilm, path].map(async (place) => {
        const tokenizer = await Tokenizer.open(place);
        return tokenizer.encodeTyped(rows, { maxLength: 96, side: "left" });
      }),
    );
    expect(rows.length).toBeGreaterThan(400);
    expect(made).toEqual(own);
  },
);
