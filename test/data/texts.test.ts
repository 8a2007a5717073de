import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readTexts } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const write = (name: string, content: string | Uint8Array) => writeIn(folder(), name, content);

async function read(files: string[], column = "text") {
  const rows = await readTexts(files, column);
  return Array.from({ length: rows.length }, (_, i) => ({ text: rows.text(i), where: rows.where(i) }));
}

const TEXTS = ["first", 'say "hi", then go', "Ünïcödé 🙂 日本", "tab\tand , comma"];
const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;

describe("formats", () => {
  test.each([
    ["a.jsonl", TEXTS.map((text) => JSON.stringify({ id: 1, text })).join("\n")],
    ["a.ndjson", TEXTS.map((text) => `${JSON.stringify({ text })}\r\n`).join("")],
    ["a.JSONL", `\uFEFF${TEXTS.map((text) => JSON.stringify({ text })).join("\n")}\n\n`],
    ["a.json", JSON.stringify(TEXTS.map((text) => ({ text, more: [1] })))],
    [
      "a.json",
      `\uFEFF \n${JSON.stringify(
        TEXTS.map((text) => ({ text })),
        null,
        2,
      )}\n`,
    ],
    ["a.json", TEXTS.map((text) => JSON.stringify({ text })).join("\n")],
    ["a.csv", `\uFEFFid,text\n${TEXTS.map((text, i) => `${i},${quote(text)}\n`).join("")}`],
    ["a.csv", `text,id\r\n${TEXTS.map((text, i) => `${quote(text)},${i}\r\n`).join("")}`],
    ["a.tsv", `id\ttext\n${TEXTS.map((text, i) => `${i}\t${quote(text)}`).join("\n")}`],
    ["a.txt", TEXTS.join("\n")],
    [
      "without-last-line-end.csv",
      ["text,id", ...TEXTS.map((text, i) => `${i},${quote(text)}`)].join("\r\n").replace("text,id", "id,text"),
    ],
  ])("%s, %j", async (name, content) => {
    expect((await read([write(name, content)])).map(({ text }) => text)).toEqual(TEXTS);
  });

  test("a text names its file and line", async () => {
    const jsonl = write("a.jsonl", '{"text":"a"}\n\n{"text":"b"}\n');
    const json = write("b.json", '[{"text":"c"},\n\n{"text":"d"}]');
    const txt = write("c.txt", "e\n\nf");
    expect(await read([jsonl, json, txt])).toEqual([
      { text: "a", where: `${jsonl}, line 1` },
      { text: "b", where: `${jsonl}, line 3` },
      { text: "c", where: `${json}, row 1` },
      { text: "d", where: `${json}, row 2` },
      { text: "e", where: `${txt}, line 1` },
      { text: "f", where: `${txt}, line 3` },
    ]);
    expect((await readTexts([jsonl, txt], "text")).files).toEqual([jsonl, txt]);
  });

  test("quoted fields hold newlines, and lines are counted through them", async () => {
    const file = write("a.csv", 'text,label\n"two\nlines",1\n\n"and\r\n\r\n""three""",2\nplain,3');
    expect(await read([file])).toEqual([
      { text: "two\nlines", where: `${file}, line 2` },
      { text: 'and\r\n\r\n"three"', where: `${file}, line 5` },
      { text: "plain", where: `${file}, line 8` },
    ]);
  });

  test("a file of many chunks, with lines longer than one", async () => {
    const texts = Array.from({ length: 50 }, (_, i) => `${i}: ${"é🙂".repeat(i % 10 === 0 ? 400_000 : 3)}`);
    const jsonl = write("a.jsonl", texts.map((text) => JSON.stringify({ text })).join("\n"));
    const csv = write("a.csv", `text\n${texts.join("\n")}`);
    for (const file of [jsonl, csv]) {
      const rows = await readTexts([file], "text");
      expect(rows.length).toBe(50);
      for (const [i, text] of texts.entries()) expect(rows.text(i) === text).toBe(true);
    }
  });

  test("thousands of CSV rows", async () => {
    const file = write("a.csv", `n,text\n${Array.from({ length: 5000 }, (_, i) => `${i},row ${i}\n`).join("")}`);
    const rows = await readTexts([file], "text");
    expect([rows.length, rows.text(4999), rows.where(4999)]).toEqual([5000, "row 4999", `${file}, line 5001`]);
  });

  test("another column, an empty text", async () => {
    expect((await read([write("a.csv", 'text,body\na,b\nc,""\n')], "body")).map(({ text }) => text)).toEqual(["b", ""]);
  });

  test("a row that is not there", async () => {
    const rows = await readTexts([write("a.txt", "a\n")], "text");
    for (const i of [-1, 1, 0.5]) expect((await errorOf(() => rows.text(i))).code).toBe("E_ARGUMENT");
  });
});

describe("errors", () => {
  const latin1 = (text: string) => Buffer.from(text, "latin1");
  test.each<[string, string | Uint8Array, string, RegExp]>([
    [
      "a.jsonl",
      '{"text":"a"}\n{"text":"b"}\n{"text": oops}\n',
      "E_JSON",
      /a\.jsonl, line 3, column 10: not valid JSON: Unexpected token 'o'/,
    ],
    ["a.jsonl", '{"text":"a"}\n{"text":"b"', "E_JSON", /a\.jsonl, line 2, column \d+: not valid JSON/],
    [
      "a.json",
      '[{"text":"a"},\n {"text":"b"},\n {"text" "c"}]',
      "E_JSON",
      /a\.json, line 3, column \d+: not valid JSON/,
    ],
    ["a.jsonl", '{"text":"a"}\n["b"]', "E_DATA_ROW", /a\.jsonl, line 2: found an array, expected an object/],
    ["a.json", '[{"text":"a"}, "b"]', "E_DATA_ROW", /a\.json, row 2: found the text "b", expected an object/],
    [
      "a.jsonl",
      '{"text":"a"}\n\n{"text":7}',
      "E_DATA_ROW",
      /a\.jsonl, line 3: column "text" is the number 7, expected a text/,
    ],
    ["a.jsonl", '{"text":null}', "E_DATA_ROW", /line 1: column "text" is null, expected a text/],
    [
      "a.jsonl",
      '{"txt":"a","id":1}',
      "E_TEXT_COLUMN",
      /line 1: there is no column "text" \(did you mean "txt"\?\)\. Columns found: txt, id\. Name one with --text_column/,
    ],
    ["a.jsonl", '{"text":"a"}\n{}', "E_TEXT_COLUMN", /line 2: there is no column "text"\. Columns found: none/],
    ["a.csv", "body,label\na,1\n", "E_TEXT_COLUMN", /line 1: there is no column "text"\. Columns found: body, label/],
    ["a.csv", "text,label\na,1\nb\n", "E_CSV", /a\.csv, line 3: not as many fields as the header has/],
    [
      "a.csv",
      'text,label\n"a\nb",1\n"c,2\nd,3\n',
      "E_CSV",
      /a\.csv, line 4: a quote that opens a field is never closed/,
    ],
    ["a.csv", 'text\n"a"b\n', "E_CSV", /a\.csv, line 2: text after a closing quote/],
    ["a.jsonl", "", "E_DATA_EMPTY", /a\.jsonl holds no texts/],
    ["a.jsonl", "\n \n", "E_DATA_EMPTY", /a\.jsonl holds no texts/],
    ["a.json", "[]", "E_DATA_EMPTY", /a\.json holds no texts/],
    ["a.csv", "text,label\n", "E_DATA_EMPTY", /a\.csv holds no texts: it is empty or has a header only/],
    ["a.txt", "\n\n", "E_DATA_EMPTY", /a\.txt holds no texts/],
    ["a.jsonl", latin1('{"text":"a"}\n{"text":"caf\xe9"}'), "E_UTF8", /a\.jsonl, line 2: not valid UTF-8/],
    ["a.csv", latin1("text\na\nb\ncaf\xe9\n"), "E_UTF8", /a\.csv, line 4: not valid UTF-8/],
    ["a.txt", latin1("caf\xe9"), "E_UTF8", /a\.txt, line 1: not valid UTF-8/],
    ["a.json", latin1('[{"text":"caf\xe9"}]'), "E_UTF8", /a\.json, row 1: not valid UTF-8/],
    [
      "a.pdf",
      "%PDF",
      "E_DATA_FORMAT",
      /has the extension \.pdf, expected a file with one of \.jsonl, .*\.csv, .*\.txt/,
    ],
    ["a.parquet.bz2", "PAR1", "E_DATA_FORMAT", /has the extension \.bz2, expected/],
    ["texts", "a", "E_DATA_FORMAT", /texts has no extension, expected/],
  ])("%s, %j", async (name, content, code, message) => {
    const file = write(name, content);
    const error = await errorOf(() => readTexts([file], "text"));
    expect(error.message).toMatch(message);
    expect(error).toMatchObject({ code, where: file });
    expect(error.message).toContain(file);
  });

  test.each(["jsonl", "json", "csv", "txt"])("a missing .%s file", async (extension) => {
    const parent = folder();
    const missing = join(parent, `missing.${extension}`);
    const error = await errorOf(() => readTexts([missing], "text"));
    expect(error).toMatchObject({ code: "E_FILE_MISSING", where: missing });
    expect(error.message).toMatch(/Data file .* cannot be read: there is no such file/);
  });

  test("plain text has the one column text", async () => {
    const error = await errorOf(() => readTexts([write("a.txt", "a")], "body"));
    expect(error.message).toMatch(/there is no column "body"\. Columns found: text/);
  });

  test("the second of two files", async () => {
    const good = write("a.jsonl", '{"text":"a"}');
    const bad = write("b.jsonl", '{"text":"a"}\n{');
    expect((await errorOf(() => readTexts([good, bad], "text"))).message).toContain(`${bad}, line 2`);
  });
});
