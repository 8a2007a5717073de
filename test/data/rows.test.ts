// Rows of several columns, also nested ones, of every format.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { exactJson, Float, readExactJson } from "../../src/base/exact-json.js";
import type { Column, ReadOptions } from "../../src/data/formats/format.js";
import { dataFiles } from "../../src/data/index.js";
import { firstRow, placesOf, readRows } from "../../src/data/rows.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const write = (name: string, content: string | Uint8Array) => writeIn(folder(), name, content);

const values = (...names: string[]): Column[] => names.map((name) => ({ name, holds: "values" }));
const texts = (...names: string[]): Column[] => names.map((name) => ({ name, holds: "texts" }));

async function read(files: string[], columns: Column[], options: ReadOptions = {}): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  for await (const block of readRows(files, columns, options)) rows.push(...block.rows.map((row) => row.values));
  return rows;
}

/** A value as the goldens have it: dates as texts, bigints as their digits and n, floats as numbers. */
function plain(value: unknown): unknown {
  if (value instanceof Float) return value.value;
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, one]) => [key, plain(one)]));
}

describe("nested columns of files that other libraries wrote", () => {
  const NESTED = fileURLToPath(new URL("../nested-rows/", import.meta.url));
  const RIGHT: Record<string, unknown>[] = JSON.parse(readFileSync(join(NESTED, "rows.json"), "utf8"));
  const ALL = Object.keys(RIGHT[0]!);
  /** Columns that some of the files have; the others have all. */
  const FEWER: [RegExp, string[]][] = [
    [/^(polars|duckdb)/, ["id", "messages", "lists", "meta", "text"]],
    [/^saved/, ["id", "messages", "lists", "text"]],
    // Not the numbers beyond 2^53, which JSON.parse rounds.
    [/^datasets/, ["messages", "lists", "text"]],
  ];
  const NAMES = readdirSync(NESTED).filter((name) => name !== "rows.json");

  test("are there", () => expect(NAMES.length).toBeGreaterThanOrEqual(15));

  test.each(NAMES)("%s", async (name) => {
    const names = FEWER.find(([pattern]) => pattern.test(name))?.[1] ?? ALL;
    const { files } = dataFiles([join(NESTED, name)]);
    const rows = await read(files, values(...names));
    expect(plain(rows)).toEqual(RIGHT.map((row) => names.map((column) => row[column])));
    // The columns in another order, with a column of texts between.
    const [first, last] = [names.at(-2)!, names[0]!];
    const some = await read(files, [...values(first), ...texts("text"), ...values(last)]);
    expect(plain(some)).toEqual(RIGHT.map((row) => [row[first], row.text, row[last]]));
  });

  test("that are damaged are an error or other rows, never another failure", async () => {
    for (const name of ["pyarrow-v2.parquet", "pyarrow-pages.parquet", "pyarrow.arrow", "pyarrow.arrows"]) {
      const bytes = readFileSync(join(NESTED, name));
      for (let i = 0; i < 60; i++) {
        const damaged = Buffer.from(bytes);
        damaged[(i * 7919) % bytes.length]! ^= 1 << (i % 8);
        const file = write(name, damaged);
        try {
          await read([file], values("messages", "lists"));
        } catch (error) {
          expect((error as { code: string }).code, `${name}, ${i}`).toMatch(/^E_/);
        }
      }
    }
  });
});

describe("columns beside the texts", () => {
  const GOLDENS = fileURLToPath(new URL("../goldens-data/", import.meta.url));
  const NAMES = readdirSync(GOLDENS).filter((name) => /\.(parquet|arrows?|ipc|feather)$/.test(name));
  const rows = Array.from({ length: 40 }, (_, i) => [
    i,
    i % 5 === 0 ? null : i % 2 === 0,
    Array(i % 3).fill("a"),
    { source: "x", score: i / 2 },
    `label ${i % 2}`,
  ]);

  test.each(NAMES)("%s", async (name) => {
    expect(plain(await read([join(GOLDENS, name)], values("id", "flag", "tags", "meta", "label")))).toEqual(rows);
  });

  test("a type that is not read is an error by name, alone or within", async () => {
    const { Field, Float16, List, Table, TimeSecond, tableToIPC, vectorFromArray } = await import("apache-arrow");
    const times = vectorFromArray([1], new TimeSecond());
    const lists = vectorFromArray([[1]], new List(new Field("item", new TimeSecond())));
    const halves = vectorFromArray([1], new Float16());
    const file = write("a.arrow", tableToIPC(new Table({ times, lists, halves }), "file"));
    for (const [column, type] of [
      ["times", "time"],
      ["lists", "time"],
      ["halves", "float of 16 bits"],
    ] as const) {
      const error = await errorOf(() => read([file], values(column)));
      expect(error).toMatchObject({ code: "E_DATA_ROW", where: file });
      expect(error.message).toContain(
        `${file}: column "${column}" holds values of type ${type}, which cannot be read.`,
      );
    }
  });
});

describe("several columns of text formats", () => {
  const conversation = [
    { role: "user", content: "hi" },
    { role: "assistant", content: null, calls: [{ n: [1.5] }] },
  ];
  const rows = [
    { prompt: "a\nb", n: 1, completion: "ü", messages: conversation },
    { prompt: "", n: null, completion: "c", messages: [] },
  ];
  const jsonl = rows.map((row) => JSON.stringify(row)).join("\n");
  const wanted = [...texts("completion"), ...values("messages", "n"), ...texts("prompt")];
  const right = rows.map((row) => [row.completion, row.messages, row.n, row.prompt]);

  test.each<[string, string | Uint8Array, ReadOptions]>([
    ["a.jsonl", jsonl, {}],
    ["a.jsonl.gz", gzipSync(jsonl), {}],
    ["a.json", JSON.stringify(rows), {}],
    ["a.json", JSON.stringify(rows, null, 2), {}],
    ["a.json", rows.map((row) => JSON.stringify(row, null, 2)).join("\n"), {}],
    ["a.json", JSON.stringify({ version: "1", data: rows }), { jsonField: "data" }],
    ["a.json.gz", gzipSync(JSON.stringify({ data: rows })), { jsonField: "data" }],
  ])("%s, %j", async (name, content, options) => {
    expect(plain(await read([write(name, content)], wanted, options))).toEqual(right);
  });

  test("CSV and TSV", async () => {
    const columns = [...values("c"), ...texts("a")];
    expect(await read([write("a.csv", 'a,b,c\n"1,5",,x\n2,3,"y\nz"\n')], columns)).toEqual([
      ["x", "1,5"],
      ["y\nz", "2"],
    ]);
    expect(await read([write("a.tsv", "a\tb\tc\n1\t2\t3\n")], columns)).toEqual([["3", "1"]]);
    expect(await read([write("a.csv.gz", gzipSync("c,a\n1,2\n"))], columns)).toEqual([["1", "2"]]);
  });

  test("plain text has one", async () => {
    expect(await read([write("a.txt", "one\ntwo\n")], texts("text"))).toEqual([["one"], ["two"]]);
    const error = await errorOf(() => read([write("a.txt", "one\n")], texts("text", "label")));
    expect(error.message).toContain('there is no column "label"');
  });

  test("NaN and large rows keep what is in their lists", async () => {
    const long = Array.from({ length: 3000 }, (_, i) => ({ role: "user", content: "x".repeat(i % 900) }));
    const lines = [`{"messages":[{"score":NaN,"low":-Infinity}]}`, JSON.stringify({ messages: long })];
    const found = await read([write("a.jsonl", lines.join("\n"))], values("messages"));
    expect(plain(found)).toEqual([[[{ score: Number.NaN, low: Number.NEGATIVE_INFINITY }]], [long]]);
  });
});

describe("exact values", () => {
  const VALUES = '{"a":1.0,"b":[1,-0.0,1e+21,12345678901234567890],"10":null,"1":{"x":true,"y":NaN,"z":-Infinity}}';

  test("of JSON come back from their text", async () => {
    const [[value]] = (await read([write("a.jsonl", `{"messages":${VALUES}}`)], values("messages"))) as [[unknown]];
    expect(exactJson(value)).toBe(VALUES);
    expect(exactJson(readExactJson(exactJson(value)))).toBe(VALUES);
    expect(exactJson({ a: ["x", 1, null, true] })).toBe('{"a":["x",1,null,true]}');
  });

  test.each(['1.5 and 2, 3.0 "4.5": NaN', 'x", 1.5, "12":', "\\", '\\": 1.5, "7": 1'])(
    "numbers within the text %j count for nothing",
    (text) => {
      const value = { a: [text], b: 1, [text]: null };
      expect(readExactJson(JSON.stringify(value))).toEqual(value);
      const withFloat = readExactJson(JSON.stringify(value).replace('"b":1', '"b":1.0')) as Map<string, unknown>;
      expect([...withFloat]).toEqual([
        ["a", [text]],
        ["b", new Float(1)],
        [text, null],
      ]);
    },
  );

  test("floats of Parquet and Arrow stay apart from whole numbers", async () => {
    for (const name of ["plain.parquet", "file.arrow"]) {
      const file = fileURLToPath(new URL(`../goldens-data/${name}`, import.meta.url));
      const rows = await read([file], values("id", "meta"));
      expect(rows.slice(0, 2).map((row) => row.map(exactJson))).toEqual([
        ["0", '{"source":"x","score":0.0}'],
        ["1", '{"source":"x","score":0.5}'],
      ]);
    }
  });
});

describe("optional columns", () => {
  const wanted: Column[] = [{ name: "none", holds: "values", isOptional: true }, ...values("label")];

  test.each(["plain.parquet", "file.arrow", "stream.arrows"])("that %s lacks are null", async (name) => {
    const file = fileURLToPath(new URL(`../goldens-data/${name}`, import.meta.url));
    expect((await read([file], wanted)).slice(0, 2)).toEqual([
      [null, "label 0"],
      [null, "label 1"],
    ]);
    expect(await read([file], wanted.slice(0, 1)).catch((error) => error.code)).toBe("E_DATA_EMPTY");
  });

  test("that rows of text formats lack are null", async () => {
    const lines = '{"label":"a","none":[]}\n{"label":"b"}';
    expect(await read([write("a.jsonl", lines)], wanted)).toEqual([
      [[], "a"],
      [null, "b"],
    ]);
    expect(await read([write("a.csv", "label,x\na,b\n")], wanted)).toEqual([[null, "a"]]);
    const text: Column[] = [wanted[0]!, { name: "text", holds: "values", isOptional: true }];
    expect(await read([write("a.txt", "one\n")], text)).toEqual([[null, "one"]]);
    expect(await read([write("a.json", '["one"]')], text)).toEqual([[null, "one"]]);
  });
});

describe("errors name file, line or row, and column", () => {
  const two = [...texts("prompt"), ...values("messages")];
  const deep = `${"[".repeat(5000)}${"]".repeat(5000)}`;

  test.each<[string, string, string, string]>([
    [
      "a.jsonl",
      '{"prompt":"a","messages":[]}\n\n{"prompt":"a"}',
      "E_TEXT_COLUMN",
      'line 3: there is no column "messages"',
    ],
    ["a.json", '[{"messages":[]}]', "E_TEXT_COLUMN", 'row 1: there is no column "prompt"'],
    [
      "a.csv",
      "prompt,message\na,b\n",
      "E_TEXT_COLUMN",
      'line 1: there is no column "messages" (did you mean "message"?)',
    ],
    ["a.jsonl", '{"prompt":7,"messages":[]}', "E_DATA_ROW", 'line 1: column "prompt" is the number 7, expected a text'],
    [
      "a.jsonl",
      '{"prompt":"","messages":[{"content":"\\ud83d"}]}',
      "E_DATA_ROW",
      'line 1: column "messages" holds half a character, \\ud83d without its other half',
    ],
    ["a.jsonl", `{"prompt":"","messages":${deep}}`, "E_DATA_ROW", 'column "messages" is nested more than 100 deep'],
    ["a.jsonl", '{"prompt":"","messages":1,"messages":2}', "E_DATA_ROW", 'the key "messages" is given twice'],
  ])("%s, %#", async (name, content, code, message) => {
    const file = write(name, content);
    const error = await errorOf(() => read([file], two));
    expect(error).toMatchObject({ code, where: file });
    expect(error.message).toContain(file);
    expect(error.message).toContain(message);
  });

  test("places of rows are found again", async () => {
    const file = write("a.jsonl", '{"prompt":"a","messages":1}\n\n{"prompt":"b","messages":2}');
    expect(await placesOf([file], two, {}, [1])).toEqual([`${file}, line 3`]);
  });
});

test.each(["rows.jsonl", "rows.json", "rows.csv", "utf16.jsonl"])(
  "a look at the first row leaves %s closed",
  async (name) => {
    const rows = Array.from({ length: 100 }, (_, i) => ({ text: `text ${i}` }));
    const content = {
      "rows.jsonl": rows.map((row) => JSON.stringify(row)).join("\n"),
      "rows.json": JSON.stringify(rows),
      "rows.csv": ["text", ...rows.map(({ text }) => text)].join("\n"),
      "utf16.jsonl": Buffer.from(`\ufeff${rows.map((row) => JSON.stringify(row)).join("\n")}`, "utf16le"),
    }[name]!;
    const file = write(name, content);
    const column: Column = { name: "text", holds: "values", isOptional: true };
    expect(await firstRow([file], [column], {})).toEqual(["text 0"]);
    const isOpen = (descriptor: string) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`) === file;
      } catch {
        return false;
      }
    };
    await expect.poll(() => readdirSync("/proc/self/fd").filter(isOpen)).toEqual([]);
  },
);
