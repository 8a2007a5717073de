// tokenizer.model alone, against the ids of the sentencepiece package (scripts/goldens/sentence_piece.py).
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Tokenizer } from "../../src/data/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { type MetaValue, ONE_BLOCK, writeGguf } from "../support/gguf.js";

const fixtures = new URL("../fixtures/sentence-piece/", import.meta.url).pathname;
interface Fixture {
  texts: string[];
  ids: Record<string, number[][]>;
  /** Pieces of "bpe" with scores and llama.cpp's kinds. */
  gguf: [string, number, number][];
}
const { texts, ids, gguf }: Fixture = JSON.parse(readFileSync(join(fixtures, "ids.json"), "utf8"));
const newFolder = temporaryFolders();

function folderOf(name: string, settings?: object): string {
  const folder = newFolder();
  copyFileSync(join(fixtures, `${name}.model`), join(folder, "tokenizer.model"));
  if (settings) writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(settings));
  return folder;
}

const options = { maxLength: undefined };

test.each(Object.keys(ids))("%s: the package's ids", async (name) => {
  const tokenizer = await Tokenizer.open(folderOf(name));
  const found = await tokenizer.encode(texts, options);
  for (const [i, text] of texts.entries()) expect([...found[i]!], JSON.stringify(text)).toEqual(ids[name]![i]);
});

/** A GGUF file with the vocabulary of "bpe". */
function ggufOf(more: Record<string, MetaValue> = {}): string {
  const scores = Buffer.alloc(16 + 4 * gguf.length);
  scores.writeUInt32LE(9, 0);
  scores.writeUInt32LE(6, 4);
  scores.writeBigUInt64LE(BigInt(gguf.length), 8);
  for (const [i, [, score]] of gguf.entries()) scores.writeFloatLE(score, 16 + 4 * i);
  return writeGguf(
    join(newFolder(), "model.gguf"),
    {
      ...ONE_BLOCK,
      "tokenizer.ggml.model": "llama",
      "tokenizer.ggml.pre": "default",
      "tokenizer.ggml.tokens": gguf.map(([token]) => token),
      "tokenizer.ggml.scores": { raw: scores },
      "tokenizer.ggml.token_type": gguf.map(([, , kind]) => kind),
      "tokenizer.ggml.bos_token_id": { u32: 1 },
      "tokenizer.ggml.eos_token_id": { u32: 2 },
      ...more,
    },
    [],
  );
}

test("a GGUF file's pieces: the package's ids after bos; a space before each part, as llama.cpp has it", async () => {
  const tokenizer = await Tokenizer.open(ggufOf());
  const found = await tokenizer.encode(texts, options);
  for (const [i, text] of texts.entries()) expect([...found[i]!], JSON.stringify(text)).toEqual([1, ...ids.bpe![i]!]);
  const [parts] = await tokenizer.encode(["x</s>x"], options);
  const [x] = ids.bpe!.slice(texts.indexOf("x"));
  expect([...parts!]).toEqual([1, ...x!, 2, ...x!]);
});

test("a GGUF file of pieces without scores, or of another model, is refused by its key", async () => {
  const short = await errorOf(() => Tokenizer.open(ggufOf({ "tokenizer.ggml.token_type": [1, 2] })));
  expect([short.code, short.message]).toEqual([
    "E_TOKENIZER",
    expect.stringMatching(/token_type is a list of 2, expected one number for each of \d+ tokens/),
  ]);
  const other = await errorOf(() => Tokenizer.open(ggufOf({ "tokenizer.ggml.model": "t5" })));
  expect(other.message).toMatch(
    /tokenizer\.ggml\.model is "t5" \(SentencePiece unigram\); supported in GGUF files: gpt2 \(byte-level BPE\), llama \(SentencePiece BPE\)/,
  );
});

describe("the tokens of roles", () => {
  test("are those of the model; a class of LLaMA begins texts with bos", async () => {
    const plain = await Tokenizer.open(folderOf("unigram-bytes"));
    expect([plain.bosTokenId, plain.eosTokenId, plain.padTokenId]).toEqual([1, 2, 3]);
    const llama = await Tokenizer.open(folderOf("bpe", { tokenizer_class: "LlamaTokenizer", add_eos_token: true }));
    const [found] = await llama.encode([texts[0]!], options);
    expect([...found!]).toEqual([1, ...ids.bpe![0]!, 2]);
  });

  test("a text comes back", async () => {
    const tokenizer = await Tokenizer.open(folderOf("bpe"));
    const [found] = await tokenizer.encode(["naïve  😀 people"], options);
    expect(tokenizer.decode(found!, { skipSpecialTokens: true })).toBe("naïve  😀 people");
  });
});

describe("what is refused", () => {
  const model = readFileSync(join(fixtures, "bpe.model"));
  test.each([
    ["a file cut short", model.subarray(0, 1000), /is no SentencePiece model: it is cut short or damaged/],
    ["an empty file", Buffer.alloc(0), /is no SentencePiece model: it has no pieces/],
    ["text", Buffer.from("a protocol buffer"), /is no SentencePiece model/],
    ["words", Buffer.concat([model, Buffer.from([0x12, 2, 0x18, 3])]), /is of the type word, expected bpe or unigram/],
    ["spaces as they are", Buffer.concat([model, Buffer.from([0x1a, 2, 0x28, 0])]), /has escape_whitespaces false/],
  ])("%s", async (_, bytes, message) => {
    const folder = newFolder();
    writeFileSync(join(folder, "tokenizer.model"), bytes);
    const error = await errorOf(() => Tokenizer.open(folder));
    expect([error.code, error.message]).toEqual(["E_TOKENIZER", expect.stringMatching(message)]);
  });
});
