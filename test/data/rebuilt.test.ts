// Tokenizers that transformers 5 builds anew, against its ids (scripts/goldens/rebuilt_tokenizers.py).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Tokenizer } from "../../src/data/index.js";
import { rebuilt, rebuiltDifference } from "../../src/data/rebuilt.js";
import { temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const { texts, cases } = JSON.parse(
  readFileSync(new URL("../fixtures/rebuilt-tokenizers.json", import.meta.url), "utf8"),
) as { texts: string[]; cases: Record<string, { files: Record<string, object>; ids: number[][] }> };

async function idsOf(path: string): Promise<number[][]> {
  const tokenizer = await Tokenizer.open(path);
  const options = { maxLength: undefined, specialTokens: false };
  return (await tokenizer.encode(texts, options)).map((ids) => [...ids]);
}

test.each(Object.entries(cases))("%s", async (_, { files, ids }) => {
  const path = folder();
  for (const [name, content] of Object.entries(files)) writeIn(path, name, JSON.stringify(content));
  const file = join(path, "tokenizer.json");
  const own = await idsOf(path);
  const other = rebuilt(file);
  const theirs = folder();
  writeIn(theirs, "tokenizer.json", JSON.stringify(other?.json ?? files["tokenizer.json"]));
  expect(await idsOf(theirs)).toEqual(ids);
  const line = await rebuiltDifference(await Tokenizer.open(path));
  if (String(own) === String(ids)) expect(line).toBeUndefined();
  else
    expect(line).toMatch(
      /transformers 5 drops the file's normaliser and pre-tokenizer under tokenizer_class \w+, and gives ".*/,
    );
});
