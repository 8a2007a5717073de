// Plain text and Markdown. Lines and files were compared with datasets 5.2 (sample_by line and document).
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { fileTexts, readTexts, type TextReadOptions } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const write = (name: string, content: string | Uint8Array) => writeIn(folder(), name, content);

async function read(file: string, textBy?: TextReadOptions["textBy"]) {
  const rows = await readTexts([file], { column: "text", textBy });
  return Array.from({ length: rows.length }, (_, i) => [rows.text(i), Number(/line (\d+)$/.exec(rows.where(i))![1])]);
}

const CONTENT = "\uFEFF# One\r\n\r\na  \n  b\rc\n \t\n\n\n  d\u2028e\n";
const RIGHT = {
  line: [
    ["# One", 1],
    ["a  ", 3],
    ["  b", 4],
    ["c", 5],
    ["  d\u2028e", 9],
  ],
  paragraph: [
    ["# One", 1],
    ["a  \n  b\nc", 3],
    ["  d\u2028e", 9],
  ],
  file: [["# One\n\na  \n  b\nc\n \t\n\n\n  d\u2028e\n", 1]],
};

describe.each(["line", "paragraph", "file"] as const)("by %s", (textBy) => {
  test.each(["a.txt", "a.md"])("%s", async (name) => {
    expect(await read(write(name, CONTENT), textBy)).toEqual(RIGHT[textBy]);
    expect(await read(write(`${name}.gz`, gzipSync(CONTENT)), textBy)).toEqual(RIGHT[textBy]);
    expect(await read(write(name, Buffer.from(CONTENT, "utf16le")), textBy)).toEqual(RIGHT[textBy]);
  });

  test("a blank file has no texts", async () => {
    for (const content of ["", " ", "\r\n\n \r", "\uFEFF"]) {
      expect((await errorOf(() => read(write("a.txt", content), textBy))).code).toBe("E_DATA_EMPTY");
    }
  });

  test("an error of the encoding names the line", async () => {
    const file = write("a.txt", Buffer.from("a\n\ncaf\xe9\n", "latin1"));
    expect((await errorOf(() => read(file, textBy))).message).toContain(`${file}, line 3: not valid UTF-8.`);
  });

  test.each(["\n", "\r", "\r\n"])("very many empty lines %j take no memory, and count", async (end) => {
    const before = process.memoryUsage.rss();
    const file = write("a.txt.gz", gzipSync(`a${end.repeat(8_000_000)}b`));
    const texts = await read(file, textBy);
    if (textBy !== "file") {
      expect(texts).toEqual([
        ["a", 1],
        ["b", 8_000_001],
      ]);
      expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 2 ** 20);
    } else expect((texts[0]![0] as string).length).toBe(8_000_002);
  });

  test("lines over the ends of chunks", async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `${i} ${"é🙂\t".repeat(i % 299)}.`);
    for (const end of ["\n", "\r\n", "\r"]) {
      const texts = await read(write("a.txt", lines.join(end)), textBy);
      if (textBy === "line") expect(texts).toEqual(lines.map((line, i) => [line, i + 1]));
      else expect(texts).toEqual([[lines.join("\n"), 1]]);
    }
  });
});

test("Markdown is a text a file, plain text a text a line, where nothing is said", async () => {
  expect(await read(write("a.md", CONTENT))).toEqual(RIGHT.file);
  expect(await read(write("a.txt", CONTENT))).toEqual(RIGHT.line);
});

test("a source's state holds how it is read", () => {
  // One that was not written a moment ago, as then the state is not known.
  const file = fileURLToPath(new URL("../../LICENSE", import.meta.url));
  const states = (["line", "paragraph", undefined] as const).map((textBy) =>
    fileTexts([file], { column: "text", textBy }).state(),
  );
  expect(states).not.toContain(null);
  expect(new Set(states).size).toBe(3);
});

describe("files without texts", () => {
  test("are passed over with a warning where others have some", async () => {
    const names = ["a.csv", "b.csv", "c.jsonl", "d.txt"];
    const contents = ["", "text\n", "\n", "x\n"];
    const within = folder();
    const files = names.map((name, i) => writeIn(within, name, contents[i]!));
    const warnings: string[] = [];
    const texts: string[] = [];
    const source = fileTexts(files, { column: "text" }, (message) => warnings.push(message));
    for await (const some of source.rows()) texts.push(...some.map(([text]) => text as string));
    expect(texts).toEqual(["x"]);
    expect(warnings).toEqual(
      files.slice(0, 3).map((file) => `data file ${file} holds no texts: it is empty or has a header only`),
    );
    expect((await readTexts(files, "text")).where(0)).toBe(`${files[3]}, line 1`);
  });

  test("are an error where there are no others", async () => {
    const files = [write("a.csv", ""), write("b.csv", "text\n")];
    const error = await errorOf(() => readTexts(files, "text"));
    expect(error).toMatchObject({ code: "E_DATA_EMPTY", where: files[0] });
    expect(error.message).toContain(`None of the 2 data files holds texts: ${files[0]} and the others are empty`);
  });
});
