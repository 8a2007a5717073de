// Tokens that only the files beside tokenizer.json name, as transformers reads them (scripts/goldens/added_tokens.py).
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Tokenizer } from "../../src/data/index.js";
import { QuickEncoder } from "../../src/data/tokenise/quick-encoder.js";
import { quickPlan } from "../../src/data/tokenise/quick-plan.js";
import { paddingToken } from "../../src/setup/texts.js";
import { errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";

interface Case {
  files: Record<string, object>;
  ids: number[][];
  decoded: string[];
  pad: number | null;
  eos: number | null;
}

const folder = temporaryFolders();
const golden = new URL("../fixtures/added-tokens.json", import.meta.url);
const { texts, cases }: { texts: string[]; cases: Record<string, Case> } = JSON.parse(readFileSync(golden, "utf8"));

function write(files: Record<string, object>): string {
  const path = folder();
  cpSync(join(tinyBase, "tokenizer.json"), join(path, "tokenizer.json"));
  for (const [name, content] of Object.entries(files)) writeIn(path, name, JSON.stringify(content));
  return path;
}

async function opened(path: string): Promise<{ tokenizer: Tokenizer; warnings: string[] }> {
  const warnings: string[] = [];
  return { tokenizer: await Tokenizer.open(path, (message) => warnings.push(message)), warnings };
}

const whole = { maxLength: undefined };
const lists = (ids: Int32Array[]) => ids.map((each) => [...each]);

describe("a token", () => {
  test.each(Object.entries(cases))("%s", async (_, { files, ids, decoded, pad, eos }) => {
    const path = write(files);
    const { tokenizer } = await opened(path);
    expect(lists(await tokenizer.encode(texts, whole))).toEqual(ids);
    expect(ids.map((each) => tokenizer.decode(each, { skipSpecialTokens: true }))).toEqual(decoded);
    expect([tokenizer.padTokenId ?? null, tokenizer.eosTokenId ?? null]).toEqual([pad, eos]);
    const file = join(path, "tokenizer.json");
    expect(lists(await new QuickEncoder(quickPlan(file)!).encode(texts, whole))).toEqual(ids);
  });
});

describe("ids that are not those of tokenizer.json", () => {
  const decoder = (added_tokens_decoder: object) => ({ "tokenizer_config.json": { added_tokens_decoder } });

  test.each([
    ["at the id of another", { 1: { content: "<|tool|>" } }, /"<\|tool\|>" has the id 1, but .* it is 2048/],
    [
      "after a gap",
      { 3000: { content: "<|tool|>" }, 3001: { content: "b!" } },
      /id 3000 \(and 1 more\), but .* it is 2048/,
    ],
    ["of a token that it has", { 7: { content: "</s>" } }, /"<\/s>" has the id 7, but .* it is 1/],
  ])("%s", async (_, entries, message) => {
    expect((await opened(write(decoder(entries)))).warnings).toEqual([expect.stringMatching(message)]);
  });

  test("the same ids are no warning", async () => {
    const entries = { 0: { content: "<s>" }, 2048: { content: "<|tool|>" } };
    expect((await opened(write(decoder(entries)))).warnings).toEqual([]);
    expect((await opened(tinyBase)).warnings).toEqual([]);
  });

  test.each([
    ["a text", decoder({ 5: "<|tool|>" }), /added_tokens_decoder has the text "<\|tool\|>" for 5, expected an object/],
    ["a name", decoder({ x: { content: "a" } }), /added_tokens_decoder has the id "x", expected a number/],
    ["a list", decoder([]), /added_tokens_decoder is an array, expected an object of tokens by their ids/],
    ["no id", { "added_tokens.json": { a: "b" } }, /added_tokens.json: the id of "a" is the text "b"/],
  ])("%s is an error", async (_, files, message) => {
    const error = await errorOf(() => Tokenizer.open(write(files)));
    expect(error.code).toBe("E_TOKENIZER");
    expect(error.message).toMatch(message);
  });
});

test("added_tokens.json belongs to the cache's name of a tokenizer", async () => {
  const hashes = [2048, 2049].map(async (id) => {
    return (await Tokenizer.open(write({ "added_tokens.json": { a: 2048, b: id } }))).sha256;
  });
  expect(new Set(await Promise.all(hashes)).size).toBe(2);
});

test("a padding token that the model lacks is not used", async () => {
  const { tokenizer } = await opened(write({ "tokenizer_config.json": { pad_token: "<|pad|>", eos_token: "</s>" } }));
  expect([paddingToken(tokenizer, 2049), paddingToken(tokenizer, 2048), paddingToken(tokenizer, 1)]).toEqual([
    2048, 1, 0,
  ]);
});
