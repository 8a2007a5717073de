import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { readTexts } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const temporary = temporaryFolders();

/** Files whose one text is their own name. */
function tree(...names: string[]): string {
  const folder = temporary();
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeIn(folder, name, name);
  }
  return folder;
}

async function read(folder: string, ...names: string[]): Promise<string[]> {
  const rows = await readTexts(
    names.map((name) => join(folder, name)),
    "text",
  );
  return Array.from({ length: rows.length }, (_, i) => rows.text(i));
}

const TREE = ["b.txt", "a.txt", "a10.txt", "a2.md", "notes.pdf", ".hidden.txt", "x/c.txt", "x/y/d.txt", ".git/e.txt"];

describe("lists, folders and patterns", () => {
  test.each([
    [
      ["b.txt", "a.txt"],
      ["b.txt", "a.txt"],
    ],
    [["*.txt"], ["a.txt", "a10.txt", "b.txt"]],
    [
      ["b.txt", "a*"],
      ["b.txt", "a.txt", "a10.txt", "a2.md"],
    ],
    [["a?.*"], ["a2.md"]],
    [["?.txt"], ["a.txt", "b.txt"]],
    [["*"], ["a.txt", "a10.txt", "a2.md", "b.txt"]],
    [["."], ["a.txt", "a10.txt", "b.txt", "x/c.txt", "x/y/d.txt"]],
    [["x"], ["x/c.txt", "x/y/d.txt"]],
    [["x/"], ["x/c.txt", "x/y/d.txt"]],
    [["x/**"], ["x/c.txt", "x/y/d.txt"]],
    [["**/*.txt"], ["a.txt", "a10.txt", "b.txt", "x/c.txt", "x/y/d.txt"]],
    [["**/**/d.txt"], ["x/y/d.txt"]],
    [["x/**/d.*"], ["x/y/d.txt"]],
    [["*/*.txt"], ["x/c.txt"]],
    [["*/y/?.txt"], ["x/y/d.txt"]],
    [[".*.txt"], [".hidden.txt"]],
    [[".hidden.txt"], [".hidden.txt"]],
    [
      ["x/y", "x/*", "a.txt"],
      ["x/y/d.txt", "x/c.txt", "a.txt"],
    ],
  ])("%j", async (names, expected) => {
    expect(await read(tree(...TREE), ...names)).toEqual(expected);
  });

  test("a path from the current folder, and one with characters of patterns", async () => {
    const folder = tree("[a](b)+.txt", "a*b.txt", "aXb.txt", "$.txt");
    const rows = await readTexts([join(relative(".", folder), "[a](b)*.txt")], "text");
    expect(rows.text(0)).toBe("[a](b)+.txt");
    expect(await read(folder, "a*b.txt")).toEqual(["a*b.txt"]);
    expect(await read(folder, "$.tx?")).toEqual(["$.txt"]);
  });

  test("links to files are read, links to folders are not followed by **", async () => {
    const folder = tree("x/a.txt", "other/b.txt");
    symlinkSync(folder, join(folder, "x/loop"));
    symlinkSync(join(folder, "other/b.txt"), join(folder, "x/c.txt"));
    expect(await read(folder, "x/**/*.txt")).toEqual(["x/a.txt", "other/b.txt"]);
  });

  test("documents are no data, unless they are named", async () => {
    const folder = tree("README.md", "LICENSE.txt", "a.md", "dataset_infos.json", "b.txt");
    expect(await read(folder, "*")).toEqual(["a.md", "b.txt"]);
    expect(await read(folder, "*.md")).toEqual(["a.md"]);
    expect(await read(folder, "README.md")).toEqual(["README.md"]);
  });
});

describe("errors", () => {
  test.each<[string[], string, RegExp]>([
    [["*.csv"], "E_DATA_FILES", /No data file matches .*\/\*\.csv; expected at least one file with one of \.jsonl/],
    [["none/*.txt"], "E_DATA_FILES", /No data file matches .*none\/\*\.txt/],
    [["*.pdf"], "E_DATA_FILES", /No data file matches .*\*\.pdf among the 1 found, such as .*notes\.pdf/],
    [["a.txt", "**/none.*"], "E_DATA_FILES", /No data file matches .*\*\*\/none\.\*/],
    [["empty"], "E_DATA_FILES", /Folder .*empty holds no data file; expected/],
    [["none.txt"], "E_FILE_MISSING", /none\.txt cannot be read: there is no such file/],
    [["a.txt", "*.txt"], "E_DATA_FILES", /a\.txt is named twice, by .*a\.txt and by .*\*\.txt/],
    [["x/../a.txt", "./a.txt"], "E_DATA_FILES", /a\.txt is named twice/],
    [["dead/*.txt"], "E_DATA_FILES", /Data file .*dead\/gone\.txt is a link that leads to no file or folder/],
    [["dead"], "E_DATA_FILES", /Data file .*dead\/gone\.txt is a link that leads to no file or folder/],
    [["dead/*.csv"], "E_DATA_FILES", /No data file matches .*dead\/\*\.csv;/],
    [["bytes"], "E_DATA_FILES", /bytes holds a name that is not UTF-8: caf\\xe9\.txt\. Rename it/],
    [["bytes/*"], "E_DATA_FILES", /bytes holds a name that is not UTF-8: caf\\xe9\.txt\. Rename it/],
  ])("%j", async (names, code, message) => {
    const folder = tree(...TREE);
    for (const name of ["empty", "dead", "bytes"]) mkdirSync(join(folder, name));
    symlinkSync("none.txt", join(folder, "dead/gone.txt"));
    symlinkSync("none.pdf", join(folder, "dead/gone.pdf"));
    writeFileSync(Buffer.concat([Buffer.from(join(folder, "bytes/caf")), Buffer.from("\xe9.txt", "latin1")]), "");
    const error = await errorOf(() => read(folder, ...names));
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });
});
