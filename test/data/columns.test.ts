import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { Table, tableToIPC, Utf8, vectorFromArray } from "apache-arrow";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, test } from "vitest";
import { readTexts } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const write = (name: string, content: string | Uint8Array) => writeIn(folder(), name, content);

const GOLDENS = fileURLToPath(new URL("../goldens-data/", import.meta.url));
const golden = (name: string) => join(GOLDENS, name);
const RIGHT = (JSON.parse(readFileSync(golden("texts.json"), "utf8")) as { text: string }[]).map(({ text }) => text);
const NAMES = readdirSync(GOLDENS).filter((name) => /\.(parquet|arrows?|ipc|feather)$/.test(name));

async function textsOf(file: string, column = "text"): Promise<string[]> {
  const rows = await readTexts([file], column);
  return Array.from({ length: rows.length }, (_, i) => rows.text(i));
}

describe("files that pyarrow wrote", () => {
  test("are there", () => expect(NAMES.length).toBeGreaterThanOrEqual(23));

  test.each(NAMES.filter((name) => !name.startsWith("nulls")))("%s", async (name) => {
    expect(await textsOf(golden(name))).toEqual(RIGHT);
  });

  test.each(["nulls.parquet", "nulls.arrow"])("%s names the row of the null", async (name) => {
    const error = await errorOf(() => textsOf(golden(name)));
    expect(error).toMatchObject({ code: "E_DATA_ROW", where: golden(name) });
    expect(error.message).toContain(`${golden(name)}, row 18: column "text" is null, expected a text.`);
  });

  test.each(["none.parquet", "file.arrow", "stream.arrows"])("%s without the wanted column", async (name) => {
    const missing = await errorOf(() => textsOf(golden(name), "txt"));
    expect(missing.code).toBe("E_TEXT_COLUMN");
    expect(missing.message).toMatch(/no column "txt".*text.*Columns found: id, flag, tags, meta, text, label\./s);
    for (const [column, type] of [
      ["id", /int/],
      ["flag", /bool/],
      ["tags", /nested|list/],
      ["meta", /nested|struct/],
    ] as const) {
      const wrong = await errorOf(() => textsOf(golden(name), column));
      expect(wrong.code).toBe("E_DATA_ROW");
      expect(wrong.message).toMatch(new RegExp(`column "${column}" is of .*${type.source}.*, expected texts\\.`));
    }
  });

  test.each(["none.parquet", "file.arrow", "dictionary.arrows"])("%s has another column of texts", async (name) => {
    const labels = RIGHT.map((_, i) => `label ${i % 2}`);
    expect(await textsOf(golden(name), "label")).toEqual(labels);
  });
});

describe("the same rows in every format", () => {
  const texts = Array.from(
    { length: 2500 },
    (_, i) => `${i}: ${["ünï 🙂", 'say "a,\tb"', "x".repeat(i % 300)][i % 3]}`,
  );
  const quoted = texts.map((text) => `"${text.replaceAll('"', '""')}"`);
  const jsonl = texts.map((text) => JSON.stringify({ text })).join("\n");
  const table = new Table({ n: vectorFromArray(texts.map((_, i) => i)), text: vectorFromArray(texts, new Utf8()) });
  const parquet = (codec: "UNCOMPRESSED" | "SNAPPY") =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: "n", data: texts.map((_, i) => i), type: "INT32" },
          { name: "text", data: texts, type: "STRING" },
        ],
        codec,
        rowGroupSize: 700,
      }),
    );

  test.each<[string, () => string | Uint8Array]>([
    ["a.jsonl", () => jsonl],
    ["a.jsonl.gz", () => gzipSync(jsonl)],
    ["a.json", () => JSON.stringify(texts.map((text) => ({ text })))],
    ["a.csv", () => `text\n${quoted.join("\n")}`],
    ["a.tsv", () => `text\n${quoted.join("\n")}`],
    ["a.parquet", () => parquet("UNCOMPRESSED")],
    ["a.PQ", () => parquet("SNAPPY")],
    ["a.arrow", () => tableToIPC(table, "file")],
    ["a.arrows", () => tableToIPC(table, "stream")],
  ])("%s", async (name, content) => {
    const rows = await readTexts([write(name, content())], "text");
    expect(Array.from({ length: rows.length }, (_, i) => rows.text(i))).toEqual(texts);
    expect(rows.where(2499)).toMatch(/(line|row) (2500|2501)$/);
  });
});

describe("damaged files", () => {
  test.each(NAMES)("%s that is cut is an error", async (name) => {
    const bytes = readFileSync(golden(name));
    for (const length of [0, 3, 11, 100, bytes.length >> 1, bytes.length - 9, bytes.length - 1]) {
      // A stream is whole before its last mark.
      if (name.endsWith(".arrows") && length === bytes.length - 9) continue;
      const file = write(name, bytes.subarray(0, length));
      const error = await errorOf(() => textsOf(file));
      expect(error).toMatchObject({ code: name.endsWith(".parquet") ? "E_PARQUET" : "E_ARROW", where: file });
      expect(error.message).toMatch(/is not a whole (Parquet|Arrow) file: .*\. Copy or write it again\.$/);
    }
  });

  test("a page that differs from its checksum", async () => {
    const bytes = readFileSync(golden("plain.parquet"));
    bytes[bytes.indexOf("again and")]! ^= 1;
    const error = await errorOf(() => textsOf(write("a.parquet", bytes)));
    expect(error.message).toContain("a page differs from its checksum");
  });

  test("a file packed as a whole says so", async () => {
    for (const name of ["a.parquet.gz", "a.arrow.gz"]) {
      const bytes = gzipSync(readFileSync(golden(name.startsWith("a.parquet") ? "none.parquet" : "file.arrow")));
      const error = await errorOf(() => textsOf(write(name, bytes)));
      expect(error.message).toMatch(/is packed as a whole with gzip, which a (Parquet|Arrow) file must not be/);
    }
  });

  test("another file under the name", async () => {
    for (const name of ["a.parquet", "a.arrow"]) {
      const error = await errorOf(() => textsOf(write(name, `{"text":"${"a".repeat(100)}"}`)));
      expect(error.message).toMatch(/is not a whole (Parquet|Arrow) file/);
    }
  });
});
