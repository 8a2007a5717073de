// A text beyond the limit is one error, and a reader's memory is bounded by it, whatever the file holds.
import { spawnSync } from "node:child_process";
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { readTexts, type TextReadOptions } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";
import { root, tinyBase } from "../support/tiny.js";

const folder = temporaryFolders();
const write = (name: string, content: string | Uint8Array) => writeIn(folder(), name, content);
const LIMIT = 5000;

const long = (bytes: number) => "é".repeat(bytes / 2);
const lines = "a\n".repeat(LIMIT);

describe("a lowered limit", () => {
  const options = (more: Partial<TextReadOptions> = {}): TextReadOptions => ({
    column: "text",
    mostBytes: LIMIT,
    ...more,
  });

  test.each<[string, string, Partial<TextReadOptions>]>([
    ["a.txt", long(LIMIT), {}],
    ["a.txt", lines.slice(0, LIMIT), { textBy: "file" }],
    ["a.md", long(LIMIT), { textBy: "paragraph" }],
    ["a.jsonl", `{"text":"${long(LIMIT - 12)}"}\n`, {}],
    ["a.jsonl", `{"text":\n"${long(LIMIT - 20)}"\n}`, {}],
    ["a.json", `[{"text":"${long(LIMIT - 12)}"}]`, {}],
    ["a.json", `{"b":"${long(3 * LIMIT)}","d":[{"text":"a"}],"c":"${long(3 * LIMIT)}"}`, { jsonField: "d" }],
    ["a.csv", `text,id\n${long(LIMIT - 2)},1\n`, {}],
    ["a.csv", `text,id\n"${long(LIMIT - 4)}",1\n`, {}],
    ["a.txt", `${"a\n".repeat(40_000)}b`, {}],
  ])("%s of so many bytes is read", async (name, content, more) => {
    for (const file of [write(name, content), write(`${name}.gz`, gzipSync(content))]) {
      expect((await readTexts([file], options(more))).length).toBeGreaterThan(0);
    }
  });

  test.each<[string, string, Partial<TextReadOptions>, RegExp]>([
    ["a.txt", `a\n\n${long(LIMIT + 2)}\nb`, {}, /a\.txt, line 3: the line is longer than 5000 bytes/],
    ["a.txt", `a\r${long(LIMIT + 2)}`, {}, /a\.txt, line 2: the line is longer/],
    ["a.md", lines, {}, /a\.md: the file is longer .* --text_by line or --text_by paragraph\.$/],
    ["a.txt", `a\n\n${lines}`, { textBy: "paragraph" }, /line 3: the paragraph is longer .* --text_by line\.$/],
    ["a.jsonl", `{"text":"a"}\n{"text":"${long(LIMIT)}"}`, {}, /a\.jsonl, line 2: the line is longer/],
    ["a.jsonl", `{"text":"a"}\n{\n${'"n":1,\n'.repeat(LIMIT)}"text":"a"}`, {}, /line 2: the object is longer/],
    [
      "a.json",
      `{"n":1,\n"rows":[${'{"text":"a"},\n'.repeat(LIMIT)}]}`,
      {},
      /line 1: the object .* --json_field rows\.$/,
    ],
    ["a.json", `{"text":{${'"1":"a",'.repeat(LIMIT)}"2":"b"}}`, {}, /line 1: the line .* a table by columns.*records/],
    ["a.json", `[{"text":"a"},{"text":"${long(LIMIT)}"}]`, {}, /a\.json, row 2: the element is longer/],
    ["a.json", "[".repeat(2 * LIMIT), {}, /a\.json, row 1: the element is longer/],
    ["a.json", `{"d":[{"text":"${long(LIMIT)}"}]}`, { jsonField: "d" }, /a\.json, row 1: the element is longer/],
    ["a.csv", `text,id\na,1\n${long(LIMIT)},1\n`, {}, /a\.csv, line 3: the record is longer/],
    ["a.csv", `text,id\na,1\n${",".repeat(LIMIT + 1)}\n`, {}, /a\.csv, line 3: the record is longer/],
    [
      "a.csv",
      `text,id\na,1\n"b,1\n${"c,1\n".repeat(LIMIT)}`,
      {},
      /a\.csv, line 3: a quote that opens a field is never/,
    ],
    ["a.tsv", `text\ta\n${long(LIMIT)}\t1\n`, {}, /a\.tsv, line 2: the record is longer/],
    ["a.csv", long(2 * LIMIT), {}, /a\.csv, line 1: the record is longer/],
  ])("%s of more is an error", async (name, content, more, message) => {
    for (const file of [write(name, content), write(`${name}.gz`, gzipSync(content))]) {
      const error = await errorOf(() => readTexts([file], options(more)));
      expect(error.where).toBe(file);
      expect(error.code).toBe(message.source.includes("quote") ? "E_CSV" : "E_TEXT_SIZE");
      expect(error.message.replace(".gz", "")).toMatch(message);
    }
  });
});

describe("a large row is thinned out before it is parsed", () => {
  const others = { a: Array(80_000).fill({ n: ["]}", 1] }), b: { c: "x\n".repeat(200_000) } };

  test.each([undefined, 1])("and its text is that of the row, indented by %s", async (indent) => {
    const rows = ['}"\\', "é\n"].map((text) => ({ ...others, text, b: others.b, n: 1 }));
    const objects = write("a.jsonl", rows.map((row) => JSON.stringify(row, null, indent)).join("\n"));
    const array = write("a.json", JSON.stringify(rows, null, indent));
    for (const file of [objects, array]) {
      const texts = await readTexts([file], "text");
      expect([texts.length, texts.text(0), texts.text(1)]).toEqual([2, '}"\\', "é\n"]);
    }
  });

  test("and an error is where it is", async () => {
    const file = write(
      "a.jsonl",
      JSON.stringify({ ...others, z: 1 }, null, 1).replace('"z": 1', '"z": -, "text": "a"'),
    );
    const error = await errorOf(() => readTexts([file], "text"));
    // Each of the objects takes six lines.
    expect(error.message).toContain(`a.jsonl, line ${2 + 6 * 80_000 + 1 + 3 + 1}, column 8: not valid JSON`);
  });

  test("and what it holds is known", async () => {
    const file = write("a.json", JSON.stringify({ rows: others.a, n: others.b, cells: Array(1e6).fill(1) }));
    expect((await errorOf(() => readTexts([file], "text"))).message).toMatch(
      /n, cells\. .*the key: --json_field rows\.$/,
    );
  });
});

const library = new URL("../../dist/data/index.js", import.meta.url).href;

/** Megabytes that reading takes at its peak, beyond the process's megabytes before. */
function measured(file: string): { megabytes: number; result: string } {
  const script = `
    const { readTexts } = await import(process.argv[1]);
    const peak = () => process.resourceUsage().maxRSS / 1024;
    const before = peak();
    const result = await readTexts([process.argv[2]], "text").then((texts) => texts.length, (error) => error.code);
    console.log(JSON.stringify({ megabytes: peak() - before, result: String(result) }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script, library, file], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

describe("memory", () => {
  test("a small gzip file that unpacks to a line of 300 MB", async () => {
    const file = join(folder(), "a.jsonl.gz");
    const piece = Buffer.alloc(1 << 20, "x");
    await pipeline(Array(300).fill(piece), createGzip({ level: 1 }), createWriteStream(file));
    const { megabytes, result } = measured(file);
    expect(result).toBe("E_TEXT_SIZE");
    expect(megabytes).toBeLessThan(2 * 64);
  }, 60_000);

  test("a quote that is open to the end of 90 MB", () => {
    const file = join(folder(), "a.csv");
    writeFileSync(file, `text,id\n"a,1\n${"row of text,3\n".repeat(90e6 / 14)}`);
    const { megabytes, result } = measured(file);
    expect(result).toBe("E_CSV");
    expect(megabytes).toBeLessThan(4 * 64);
  }, 60_000);

  test("tokenising in two threads takes what docs/memory.md says, within 30 %", () => {
    const own = readFileSync(join(root, "examples/data/train.jsonl"), "utf8");
    const file = join(folder(), "a.jsonl");
    writeFileSync(file, own.repeat(Math.ceil(4e6 / own.length)));
    const script = `
      const [library, file, tokenizer, folder] = process.argv.slice(1);
      const { fileTexts, Tokenizer, tokenTable } = await import(library);
      const options = { tokenizer: await Tokenizer.open(tokenizer), folder, threads: 2, limit: 1e9 };
      const peak = () => process.resourceUsage().maxRSS / 1024;
      const before = peak();
      const how = { maxLength: 512, longText: "chunk", addEos: false };
      const { length } = await tokenTable(fileTexts([file], { column: "text" }), { ...options, ...how });
      console.log(JSON.stringify({ megabytes: peak() - before, length }));`;
    const given = [library, file, tinyBase, join(folder(), "cache")];
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script, ...given], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    const { megabytes, length } = JSON.parse(stdout);
    expect(length).toBeGreaterThan(1000);
    const documented = /^\| 4 MB \| 2 \| (\d+) \|/m.exec(readFileSync(join(root, "docs/memory.md"), "utf8"))!;
    expect(megabytes / Number(documented[1])).toBeGreaterThan(0.7);
    expect(megabytes / Number(documented[1])).toBeLessThan(1.3);
  }, 60_000);
});
