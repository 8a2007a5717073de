// The forms of JSON that writers produce. The results were compared with datasets 5.2.
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { TextReadOptions } from "../../src/data/index.js";
import { readTexts } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const write = (name: string, content: string | Uint8Array) => writeIn(folder(), name, content);

async function read(name: string, content: string | Uint8Array, more: Partial<TextReadOptions> = {}) {
  const rows = await readTexts([write(name, content)], { column: "text", ...more });
  return Array.from({ length: rows.length }, (_, i) => `${/\w+ \d+$/.exec(rows.where(i))![0]}: ${rows.text(i)}`);
}

async function problem(name: string, content: string | Uint8Array, more: Partial<TextReadOptions> = {}) {
  const error = await errorOf(() => read(name, content, more));
  return `${error.code}: ${error.message.replace(/^\S*\//, "")}`;
}

const AB = [{ text: "a" }, { text: "b" }];
const indented = AB.map((row) => JSON.stringify(row, null, 2)).join("\n");

describe.each(["a.jsonl", "a.ndjson", "a.json"])("%s", (name) => {
  test.each<[string, string[]]>([
    [
      '{"text":"a"}\r{"text":"b"}\r\n\n \n{"text":"c"}\n{"text":"d"}',
      ["line 1: a", "line 2: b", "line 5: c", "line 6: d"],
    ],
    [indented, ["line 1: a", "line 4: b"]],
    [indented.replaceAll("\n", "\r\n"), ["line 1: a", "line 4: b"]],
    [indented.replaceAll("\n", "\r"), ["line 1: a", "line 4: b"]],
    [`${indented}\n{"text":"c"}\n`, ["line 1: a", "line 4: b", "line 7: c"]],
    ['{"text":"a"} {"text":"b"}\n{"text":"c"}{"text":"d"}', ["line 1: a", "line 1: b", "line 2: c", "line 2: d"]],
    ['{"n":[{"m":"}"},"{"],\n"text":"a\\"}"\n}{"text":\n"b"}', ['line 1: a"}', "line 3: b"]],
    [JSON.stringify(AB), ["row 1: a", "row 2: b"]],
    [JSON.stringify(AB, null, 4), ["row 1: a", "row 2: b"]],
    ['\uFEFF\n [{"text":"a"}\n]\n', ["row 1: a"]],
    ['["a","b\\n"]', ["row 1: a", "row 2: b\n"]],
    [
      '{"text":"a","x":NaN}\n{"x":[Infinity,{"y":-Infinity}],"text":"NaN \\" Infinity"}',
      ["line 1: a", 'line 2: NaN " Infinity'],
    ],
    ['[{"text":"a","x":NaN},{"x":-Infinity,"text":"b"}]', ["row 1: a", "row 2: b"]],
    ['{\n"text":"a",\n"x":NaN\n}', ["line 1: a"]],
    ['{"n":123456789012345678901234567890,"m":1e999,"text":"a"}', ["line 1: a"]],
    ['{"n":{"text":"b","b":[1,{"text":null}]},"type":"text","text":"a"}', ["line 1: a"]],
    [
      '{"text":"say \\"text\\": \\"text\\"","n":["text","text"],"o":{"text":1,"a":{"text":2}}}',
      ['line 1: say "text": "text"'],
    ],
  ])("%j", async (content, expected) => {
    expect(await read(name, content)).toEqual(expected);
    expect(await read(`${name}.gz`, gzipSync(content))).toEqual(expected);
    expect(await read(name, Buffer.from(`\uFEFF${content}`, "utf16le"))).toEqual(expected);
  });

  test.each<[string, string]>([
    ['{"text":"a"}\n{"text":NaN}', 'E_DATA_ROW: NAME, line 2: column "text" is the number NaN, expected a text.'],
    ['{"text":-Infinity}', 'E_DATA_ROW: NAME, line 1: column "text" is the number -Infinity, expected a text.'],
    ['{"text":"a"}\n{"text":null}', 'E_DATA_ROW: NAME, line 2: column "text" is null, expected a text.'],
    ['{"text":"a"}\n{"id":1,"text":"b", "text" : "c"}', 'E_DATA_ROW: NAME, line 2: the key "text" is given twice.'],
    ['[{"text":"a","text":"b"}]', 'E_DATA_ROW: NAME, row 1: the key "text" is given twice.'],
    ['["a",{"text":"b"},null]', "E_DATA_ROW: NAME, row 3: found null, expected an object with columns."],
    ['[{"text":"a"},"b"]', 'E_DATA_ROW: NAME, row 2: found the text "b", expected an object with columns.'],
    ['{"text":"a"},\n{"text":"b"},\n', "E_JSON: NAME, line 1, column 13: not valid JSON: Unexpected token ','."],
    ['{"text":"a",}', "E_JSON: NAME, line 1, column 13: not valid JSON: "],
    ['{"x":NaN,"text":"a" "b"}', "E_JSON: NAME, line 1, column 21: not valid JSON: "],
    ['{"x":nan,"text":"a"}', "E_JSON: NAME, line 1, column 7: not valid JSON: Unexpected token 'a'."],
    ["{'text':'a'}", "E_JSON: NAME, line 1, column 2: not valid JSON: "],
    ['{"text":"a"}\n\n\n{"x":1,\n\n\n\r\n"text" "b"}', "E_JSON: NAME, line 8, column 8: not valid JSON: "],
    ['{"text":"a"}\n{"text":"b"\n{"text":"c"}\n', "E_JSON: NAME, line 3, column 1: not valid JSON: "],
    ['{"text":"a"}\n{"text":"b\n{"text":"c"}\n', "E_JSON: NAME, line 2, column 11: not valid JSON: "],
    ['{"text":"a"} {"text" "b"}', "E_JSON: NAME, line 1, column 22: not valid JSON: "],
    ['{"text":"a"}\n  {"text":\n  oops}', "E_JSON: NAME, line 3, column 3: not valid JSON: Unexpected token 'o'."],
    ['{"text":"a"}\n{\n', "E_JSON: NAME, line 2, column 2: not valid JSON: "],
    ['{"text":"a"}\n]\n', "E_JSON: NAME, line 2, column 1: not valid JSON: "],
    ['{"text":"a"}\noops\n', "E_JSON: NAME, line 2, column 1: not valid JSON: "],
  ])("%j is an error", async (content, message) => {
    expect(await problem(name, content)).toContain(message.replace("NAME", name));
  });
});

describe("rows under a key", () => {
  const nested = { version: "é", meta: { data: [1] }, data: AB, more: [[]] };
  test.each([
    JSON.stringify(nested),
    JSON.stringify(nested, null, 1),
    `\uFEFF${JSON.stringify({ "da\nta": 1, ...nested })}`,
  ])("%j", async (content) => {
    expect(await read("a.json", content, { jsonField: "data" })).toEqual(["row 1: a", "row 2: b"]);
    expect(await read("a.jsonl", content, { jsonField: "data" })).toEqual(["row 1: a", "row 2: b"]);
  });

  test("over the ends of chunks", async () => {
    const texts = Array.from({ length: 40_000 }, (_, i) => `${i} é"]${"x".repeat(i % 120)}`);
    const filler = Object.fromEntries(
      Array.from({ length: 30_000 }, (_, i) => [`key ${i}`, `é{[${"y".repeat(i % 120)}`]),
    );
    const content = JSON.stringify({ ...filler, data: texts.map((text) => ({ text })), after: filler });
    const rows = await read("a.json", content, { jsonField: "data" });
    expect(rows).toEqual(texts.map((text, i) => `row ${i + 1}: ${text}`));
  });

  test("an error names line and column of the file", async () => {
    const content = '{\n "é": 1, "data": [{"text":"a"},\n {"text" "b"}]\n}';
    expect(await problem("a.json", content, { jsonField: "data" })).toContain(
      "a.json, line 3, column 10: not valid JSON",
    );
    const first = '{\n "é": 1, "data": [{"text" "a"}]}';
    expect(await problem("a.json", first, { jsonField: "data" })).toContain(
      "a.json, line 2, column 27: not valid JSON",
    );
  });

  test.each<[string, string, RegExp]>([
    ['{"data":[{"text":"a"}]', "data", /E_JSON: .*Unexpected end of JSON input/],
    ['{"data":[{"text":"a"},', "data", /E_JSON: .*Unexpected end of JSON input/],
    ['{"rows":[],"n":1}', "data", /E_JSON_FIELD: a\.json: there is no key "data"\. Keys that hold arrays: rows\.$/],
    ['{"data":{"text":"a"}}', "data", /E_JSON_FIELD: .*"data" is no array\. No key of the file holds an array\.$/],
    ['{"data":"[","n":[]}', "data", /"data" is no array\. Keys that hold arrays: n\.$/],
    ['[{"text":"a"}]', "data", /E_JSON_FIELD: .*not one object with rows under a key\. Leave out --json_field\.$/],
    ["", "data", /E_JSON_FIELD: /],
    ['{"data":[["a"]]}', "data", /E_DATA_ROW: a\.json, row 1: found an array, expected an object/],
  ])("%j", async (content, jsonField, message) => {
    expect(await problem("a.json", content, { jsonField })).toMatch(message);
  });
});

describe("tables that are no rows", () => {
  test.each<[string, RegExp]>([
    [JSON.stringify({ data: AB }), /line 1: there is no column "text"\. Columns found: data\. .*--json_field data\.$/],
    [JSON.stringify({ data: AB, n: [1], train: AB }, null, 2), /--json_field data or --json_field train\.$/],
    ['{"schema":{"fields":[]},"data":[{"index":0,"text":"a"}]}', /--json_field data\.$/],
    [
      '{"columns":["text"],"index":[0,1],"data":[["a"],["b"]]}',
      /orient="split": write it by to_json\(path, orient="records"/,
    ],
    ['{"0":{"text":"a"},"1":{"text":"b"}}', /orient="index".*: write it by to_json\(path, orient="records"/],
    [
      '{"text":{"0":"a","1":"b"},"id":{"0":1,"1":2}}',
      /line 1: column "text" is an object, .*by columns.*orient="records"/,
    ],
    ['{"text":["a","b"],"id":[1,2]}', /line 1: column "text" is an array, expected a text\. .*by columns/],
  ])("%s", async (content, message) => {
    for (const name of ["a.json", "a.jsonl"]) expect(await problem(name, content)).toMatch(message);
  });

  test("an error lists some of any number of keys", async () => {
    const keys = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`key ${i}`, i]));
    const start = performance.now();
    const message = await problem("a.json", JSON.stringify({ ["x".repeat(100_000)]: 1, ...keys }));
    expect(performance.now() - start).toBeLessThan(5000);
    expect(message).toMatch(
      /key 49 and 99951 more\. Name one with --text_column, or say with --data_format what the rows are\.$/,
    );
    expect(message.length).toBeLessThan(1000);
  });
});
