import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { dataFiles, readTexts, type TextReadOptions } from "../../src/data/index.js";

const FOLDER = fileURLToPath(new URL("../odd-data/", import.meta.url));

/** A case as scripts/goldens/odd_data.py writes it. */
interface Case {
  /** A file or folder. */
  name: string;
  /** The split that is read of a folder. */
  split?: "train" | "validation";
  /** Options beside the name. */
  options?: Partial<TextReadOptions>;
  /** The reference's texts. */
  texts: string[];
}

const CASES: Case[] = JSON.parse(readFileSync(join(FOLDER, "cases.json"), "utf8"));

describe("odd but valid files of the libraries that people use", () => {
  test("are there", () => expect(CASES.length).toBeGreaterThanOrEqual(60));

  test.each(CASES)("$name", async ({ name, split, options, texts }) => {
    const rows = await readTexts(dataFiles([join(FOLDER, name)], split).files, { column: "text", ...options });
    expect(Array.from({ length: rows.length }, (_, i) => rows.text(i))).toEqual(texts);
  });
});
