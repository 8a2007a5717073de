// CSV and TSV as people have them. The results were compared with pandas 3.1 and datasets 5.2. The texts are theirs, except that an
// empty field is an empty text and NA, null or 1.0 stay as written. Where they drop quotes or shift columns, there is an error.
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { TextReadOptions } from "../../src/data/index.js";
import { readTexts } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const write = (name: string, content: string | Uint8Array) => writeIn(folder(), name, content);

async function read(name: string, content: string | Uint8Array, more: Partial<TextReadOptions> = {}) {
  const rows = await readTexts([write(name, content)], { column: "text", ...more });
  return Array.from({ length: rows.length }, (_, i) => [rows.text(i), Number(/line (\d+)$/.exec(rows.where(i))![1])]);
}

async function problem(name: string, content: string | Uint8Array, more: Partial<TextReadOptions> = {}) {
  const error = await errorOf(() => read(name, content, more));
  expect(error.message).toContain(`/${name}`);
  return `${error.code}: ${error.message.replace(/^(Data file )?\S*\//, "")}`;
}

describe("line ends", () => {
  test.each<[string, [string, number][]]>([
    [
      "id,text\r\n1,a\n2,b\r\n3,c\r4,d",
      [
        ["a", 2],
        ["b", 3],
        ["c", 4],
        ["d", 5],
      ],
    ],
    [
      "id,text\r\n1,a\n2,b\n",
      [
        ["a", 2],
        ["b", 3],
      ],
    ],
    [
      "id,text\n1,a\r\n2,b\r\n",
      [
        ["a", 2],
        ["b", 3],
      ],
    ],
    [
      "id,text\n1,a\n2,b\r\n3,c\n",
      [
        ["a", 2],
        ["b", 3],
        ["c", 4],
      ],
    ],
    [
      "id,text\r1,a\r2,b",
      [
        ["a", 2],
        ["b", 3],
      ],
    ],
    [
      "id,text\r1,a\r\r2,b\r",
      [
        ["a", 2],
        ["b", 4],
      ],
    ],
    [
      "text,id\r\na,1\r\nb,2",
      [
        ["a", 2],
        ["b", 3],
      ],
    ],
    [
      "text\r\na\r\n\r\nb",
      [
        ["a", 2],
        ["b", 4],
      ],
    ],
    [
      'id,text\n1,"a\r\nb"\r2,"c\rd"\r\n3,"e\nf"\n4,g',
      [
        ["a\r\nb", 2],
        ["c\rd", 4],
        ["e\nf", 6],
        ["g", 8],
      ],
    ],
    [
      'text\r\n"a\r\n\r\nb"\r\nc',
      [
        ["a\r\n\r\nb", 2],
        ["c", 5],
      ],
    ],
  ])("%j", async (content, expected) => {
    expect(await read("a.csv", content)).toEqual(expected);
    expect(await read("a.csv.gz", gzipSync(content))).toEqual(expected);
  });

  test("an error names its line whatever ends it", async () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const content = ["text,id", '"a', 'b",1', "", "c,2", "d", ""].join(end);
      expect(await problem("a.csv", content)).toContain(
        "a.csv, line 6: not as many fields as the header has (1, not 2)",
      );
    }
  });

  test("records over the ends of chunks", async () => {
    const texts = Array.from({ length: 3000 }, (_, i) =>
      ["ü\r\n", '"', "x", ",", "\r", "\n\r"][i % 6]!.repeat(i % 997),
    );
    const written = texts.map((text, i) => `"${text.replaceAll('"', '""')}",${i}`);
    for (const end of ["\n", "\r\n", "\r"]) {
      const rows = await read("a.csv", ["text,id", ...written, ""].join(end));
      expect(rows.map(([text]) => text)).toEqual(texts);
      let line = 2;
      for (const [i, text] of texts.entries()) {
        expect(rows[i]![1]).toBe(line);
        line += text.split(/\r\n|\r|\n/).length;
      }
    }
  });
});

describe("columns", () => {
  test.each([
    ["text,id,text\na,1,b\n", "text", "a"],
    ["text,id,text\na,1,b\n", "text.1", "b"],
    ['text,id,"text"\na,1,b\n', "text", "a"],
    ["\uFEFFtext,id,text\na,1,b\n", "text", "a"],
    ['\uFEFF"text",id,text\na,1,b\n', "text", "a"],
    ["id, text,text\n1,a,b\n", "text", "b"],
    [",text\n0,a\n", "text", "a"],
    ["text,id,\na,1,\n", "text", "a"],
  ])("%j has %s", async (content, column, text) => {
    expect(await read("a.csv", content, { column })).toEqual([[text, 2]]);
  });

  test.each<[string, string, RegExp]>([
    ["id, text\n1, a\n", "E_TEXT_COLUMN", /line 1: there is no column "text" \(did you mean " text"\?\)/],
    [
      "text;id\na;1\n",
      "E_TEXT_COLUMN",
      /line 1: there is no column "text"\. .*seems to be another: read it with --csv_separator semicolon\.$/,
    ],
    ["id\ttext\n1\ta\n", "E_TEXT_COLUMN", /--csv_separator tab\.$/],
    ['"text";"id"\n"a";1\n', "E_CSV", /line 1: text after a closing quote.*--csv_separator semicolon\.$/],
    ["text,id\na,1\nb,1,2\n", "E_CSV", /line 3: not as many fields as the header has \(3, not 2\)/],
    ["text\nhello, world\n", "E_CSV", /line 2: not as many fields as the header has \(2, not 1\)/],
    ["text,id\na\nb,1\n", "E_CSV", /line 2: not as many fields as the header has \(1, not 2\)/],
    ["text,id\na,1,\n", "E_CSV", /line 2: not as many fields as the header has \(3, not 2\)/],
  ])("%j", async (content, code, message) => {
    const found = await problem("a.csv", content);
    expect(found).toMatch(message);
    expect(found).toContain(code);
  });

  test("another separator", async () => {
    expect(await read("a.csv", "id;text\n1;a, b\n", { csvSeparator: "semicolon" })).toEqual([["a, b", 2]]);
    expect(await read("a.tsv", "id|text\n1|a\tb\n", { csvSeparator: "pipe" })).toEqual([["a\tb", 2]]);
    expect(await read("a.csv", "id\ttext\n1\ta\n", { csvSeparator: "tab" })).toEqual([["a", 2]]);
    expect(await read("a.tsv", "id,text\n1,a\n", { csvSeparator: "comma" })).toEqual([["a", 2]]);
  });
});

describe("quotes", () => {
  test.each([
    ["a.csv", 'text\na"b"\n', 'a"b"'],
    ["a.csv", "text,id\n'a,1\n", "'a"],
    ["a.csv", 'text\n "a"\n', ' "a"'],
    ["a.csv", 'text,id\n"a ""b"", c",1\n', 'a "b", c'],
    ["a.csv", 'text,id\n"""a""",1\n', '"a"'],
    ["a.csv", 'text,id\n"a\\",1\n', "a\\"],
    ["a.tsv", 'id\ttext\n1\the said "hi" to me\n', 'he said "hi" to me'],
    ["a.tsv", 'id\ttext\n1\tinch 5"\n', 'inch 5"'],
    ["a.tsv", 'id\ttext\n1\t"a\tb"\n', "a\tb"],
    ["a.tsv", 'id\ttext\n1\t"qu""oted"', 'qu"oted'],
  ])("%s %j", async (name, content, text) => {
    expect(await read(name, content)).toEqual([[text, 2]]);
  });

  test.each<[string, string, number, string]>([
    ["a.tsv", 'id\ttext\n1\t"hi" he said\n2\tb\n', 2, "text after a closing quote"],
    ["a.tsv", 'id\ttext\n1\t"open\n2\tb\n3\tc\n', 2, "a quote that opens a field is never closed"],
    ["a.tsv", 'id\ttext\n1\ta\n2\t"open\n3\t"close"\n', 3, "text after a closing quote"],
    ["a.csv", 'text,id\n"a\\"b",1\n', 2, "text after a closing quote"],
    ["a.csv", 'text,id\n"a \\"b\\" c, d",1\n', 2, "text after a closing quote"],
    ["a.csv", 'text\n"a"b\n', 2, "text after a closing quote"],
    ["a.csv", 'text,id\na,1\n"b,1\nc,2\n', 3, "a quote that opens a field is never closed"],
  ])("%s %j", async (name, content, line, found) => {
    const message = await problem(name, content);
    expect(message).toContain(`E_CSV: ${name}, line ${line}: ${found}`);
    expect(message).toMatch(/--csv_quoting none\.$/);
  });

  test("that may have no meaning", async () => {
    const doubtful = 'id\ttext\n1\ta\n2\t"To be\n3\tb\n4\tor not"\n';
    expect(await problem("a.tsv", doubtful)).toMatch(
      /E_CSV: a\.tsv, line 3: .* --csv_quoting none .* --csv_quoting minimal\.$/,
    );
    const minimal = await read("a.tsv", doubtful, { csvQuoting: "minimal" });
    expect(minimal).toEqual([
      ["a", 2],
      ["To be\n3\tb\n4\tor not", 3],
    ]);
    expect((await read("a.tsv", doubtful, { csvQuoting: "none" })).length).toBe(4);
    const clear = 'id\ttext\n1\t"To be\nor\tnot\n\nto be"\n';
    expect(await read("a.tsv", clear)).toEqual([["To be\nor\tnot\n\nto be", 2]]);
    expect(await read("a.csv", doubtful.replaceAll("\t", ","))).toHaveLength(2);
    expect(await read("a.tsv", 'text\n"a\nb"\n')).toEqual([["a\nb", 2]]);
  });

  test("as characters like any other", async () => {
    const content = 'id\ttext\n1\t"hi" he said\n2\t"open\n3\tclose"\n4\t""\n5\t"a ""b"""\n';
    expect(await read("a.tsv", content, { csvQuoting: "none" })).toEqual([
      ['"hi" he said', 2],
      ['"open', 3],
      ['close"', 4],
      ['""', 5],
      ['"a ""b"""', 6],
    ]);
  });
});

describe("lines and values", () => {
  test.each<[string, [string, number][]]>([
    [
      "text,id\na,1\n\n\nb,2\n",
      [
        ["a", 2],
        ["b", 5],
      ],
    ],
    [
      "\n \ntext\na\n \t\nb\n\n",
      [
        ["a", 4],
        ["b", 6],
      ],
    ],
    [
      'text,id\n"",1\n,2\n"  ",3\n',
      [
        ["", 2],
        ["", 3],
        ["  ", 4],
      ],
    ],
    [
      "text\nNA\nnull\n1.0\nTrue\n",
      [
        ["NA", 2],
        ["null", 3],
        ["1.0", 4],
        ["True", 5],
      ],
    ],
    ["text\n a \n", [[" a ", 2]]],
    ["id,text\n1,", [["", 2]]],
  ])("%j", async (content, expected) => {
    expect(await read("a.csv", content)).toEqual(expected);
  });

  test("UTF-16 with its mark is read", async () => {
    const content = 'id,text\r\n1,"Ünï 🙂"\r\n2,b\r\n';
    const little = Buffer.from(`\uFEFF${content}`, "utf16le");
    for (const bytes of [little, Buffer.from(little).swap16()]) {
      expect(await read("a.csv", bytes)).toEqual([
        ["Ünï 🙂", 2],
        ["b", 3],
      ]);
      expect(await read("a.csv.gz", gzipSync(bytes))).toEqual([
        ["Ünï 🙂", 2],
        ["b", 3],
      ]);
    }
    expect(await problem("a.csv", little.subarray(0, -1))).toContain(
      "E_UTF8: a.csv begins as UTF-16, and is not valid",
    );
  });

  test("another encoding only where it matters", async () => {
    const bytes = Buffer.from("text,name\nb,caf\xe9\ncaf\xe9,c\n", "latin1");
    expect(await problem("a.csv", bytes)).toContain("E_UTF8: a.csv, line 3: not valid UTF-8. Save the file as UTF-8");
    expect(await read("a.csv", bytes.subarray(0, -7))).toEqual([["b", 2]]);
  });

  test.each<[string, string, RegExp]>([
    ["a.csv", "1f8b080000", /is compressed with gzip, not text in UTF-8. Let its name end in \.gz/],
    ["a.jsonl", "504b030414000000", /is a zip archive or a workbook/],
    ["a.json", "504152311500", /is a Parquet file.*\.parquet/],
    ["a.txt", "255044462d312e37", /is a PDF document/],
    ["a.csv", "740065007800", /is UTF-16 without a byte order mark/],
    ["a.tsv", "fffe000074000000", /is UTF-32/],
    ["a.md", "28b52ffd00", /is compressed with zstd/],
  ])("%s that begins with %s", async (name, hex, message) => {
    const found = await problem(name, Buffer.concat([Buffer.from(hex, "hex"), Buffer.from("\0a\0b\0c")]));
    expect(found).toMatch(message);
    expect(found).toContain("E_DATA_FORMAT");
  });
});
