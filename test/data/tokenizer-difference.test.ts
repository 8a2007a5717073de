// Two tokenizers have a difference where texts get other ids, and none where only their files differ.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Tokenizer, tokenizerDifference } from "../../src/data/index.js";
import { editJson, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";

interface Main {
  model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
  added_tokens: { id: number; content: string; special: boolean }[];
  [key: string]: unknown;
}

const folder = temporaryFolders();
const tokenizer = await Tokenizer.open(tinyBase);
const own = JSON.parse(readFileSync(join(tinyBase, "tokenizer.json"), "utf8")) as Main;

/** The difference from a tokenizer with changes in its files. */
function difference(main: (own: Main) => object, settings: Record<string, unknown> = {}) {
  const other = folder();
  writeFileSync(join(other, "tokenizer.json"), JSON.stringify(main(structuredClone(own))));
  cpSync(join(tinyBase, "tokenizer_config.json"), join(other, "tokenizer_config.json"));
  editJson(join(other, "tokenizer_config.json"), settings);
  return tokenizerDifference(tokenizer, other);
}

const added = (content: string) => ({ ...own.added_tokens[0]!, id: 2048, content });
const withMerges = (change: (merges: Main["model"]["merges"]) => Main["model"]["merges"]) => (main: Main) => ({
  ...main,
  model: { ...main.model, merges: change(main.model.merges) },
});

describe("a difference, with an example", () => {
  test("two tokens whose ids are exchanged", async () => {
    const exchanged = ({ model, ...others }: Main) => ({
      ...others,
      model: { ...model, vocab: { ...model.vocab, Ġmaterial: 2041, Ġbuilding: 2040 } },
    });
    expect(await difference(exchanged)).toMatch(
      /^"Ġ(material|building)" is token 204[01] there and token 204[01] here$/,
    );
  });

  test.each(["tokenizer.json", "tokenizer_config.json"])("a token that %s adds", async (file) => {
    const inMain = file === "tokenizer.json";
    const decoder = Object.fromEntries(own.added_tokens.map(({ id, ...token }) => [id, token]));
    const { id, ...token } = added("<|user|>");
    const found = inMain
      ? await difference((main) => ({ ...main, added_tokens: [...main.added_tokens, { id, ...token }] }))
      : await difference((main) => main, { added_tokens_decoder: { ...decoder, [id]: token } });
    expect(found).toBe('"<|user|>" is token 2048 there and no token here');
  });

  test("an added token that takes the spaces beside it", async () => {
    const strips = (main: Main) => ({
      ...main,
      added_tokens: main.added_tokens.map((token) =>
        token.content === "</s>" ? { ...token, lstrip: true, rstrip: true } : token,
      ),
    });
    expect(own.added_tokens.map(({ content }) => content)).toContain("</s>");
    expect(await difference(strips)).toMatch(/^"a <\/s> b" is \[\d.*\] there and \[\d.*\] here$/);
  });

  test.each<[string, (main: Main) => object]>([
    ["a normaliser", (main) => ({ ...main, normalizer: { type: "Lowercase" } })],
    [
      "a pre-tokenizer",
      (main) => ({ ...main, pre_tokenizer: { ...(main.pre_tokenizer as object), add_prefix_space: true } }),
    ],
    ["merges in another order", withMerges((merges) => merges.toReversed())],
    ["a merge that is not there", withMerges((merges) => merges.toSpliced(1000, 1))],
  ])("%s", async (_, main) => {
    expect(await difference(main)).toMatch(/^".+" is \[\d.*\] there and \[\d.*\] here$/);
  });
});

describe("none", () => {
  test("where padding, truncation and special tokens around a text differ", async () => {
    const padding = {
      ...{ strategy: "BatchLongest", direction: "Left", pad_to_multiple_of: 8 },
      ...{ pad_id: 1, pad_type_id: 0, pad_token: "</s>" },
    };
    const truncation = { direction: "Left", max_length: 4, strategy: "LongestFirst", stride: 0 };
    const settings = { padding_side: "left", truncation_side: "left", model_max_length: 4 };
    expect(
      await difference((main) => ({ ...main, padding, truncation, post_processor: null }), settings),
    ).toBeUndefined();
  });

  test("where merges and absent settings are spelled otherwise", async () => {
    const other = withMerges((merges) =>
      merges.map((one) => (typeof one === "string" ? one.split(" ") : one.join(" ")) as string),
    );
    expect(await difference(other)).toBeUndefined();
    const model = { ...own.model, ignore_merges: false, byte_fallback: undefined, dropout: null };
    expect(await difference((main) => ({ ...main, model }))).toBeUndefined();
  });

  test("where rows of the embedding that no text has are named, as in a GGUF file", async () => {
    const rows = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`[PAD${2048 + i}]`, 2048 + i]));
    const padded = ({ model, ...others }: Main) => ({
      ...others,
      model: { ...model, vocab: { ...model.vocab, ...rows } },
    });
    expect(await difference(padded)).toBeUndefined();
    // The other way round.
    const folderOf = folder();
    writeFileSync(join(folderOf, "tokenizer.json"), JSON.stringify(padded(structuredClone(own))));
    cpSync(join(tinyBase, "tokenizer_config.json"), join(folderOf, "tokenizer_config.json"));
    expect(await tokenizerDifference(await Tokenizer.open(folderOf), tinyBase)).toBeUndefined();
  });

  test("where a token to fill batches was added", async () => {
    const filled = (main: Main) => ({ ...main, added_tokens: [...main.added_tokens, added("[PAD]")] });
    expect(await difference(filled, { pad_token: "[PAD]" })).toBeUndefined();
    // One that ends texts, too, is a token of texts.
    expect(await difference(filled, { pad_token: "[PAD]", eos_token: "[PAD]" })).toContain(
      '"[PAD]" is token 2048 there',
    );
  });

  test("where the folder has no tokenizer that can be read", async () => {
    const damaged = folder();
    writeIn(damaged, "tokenizer.json", "{");
    expect(await tokenizerDifference(tokenizer, damaged)).toBeUndefined();
    expect(await tokenizerDifference(tokenizer, folder())).toBeUndefined();
  });
});
