import { describe, expect, test } from "vitest";
import { parseJson } from "../../src/base/json.js";
import { readTexts } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const write = (name: string, content: string | Uint8Array) => writeIn(folder(), name, content);

async function textsOf(file: string): Promise<string[]> {
  const rows = await readTexts([file], "text");
  return Array.from({ length: rows.length }, (_, i) => rows.text(i));
}

describe("JSON arrays, element by element", () => {
  test("elements over the ends of chunks, with all that looks like an end", async () => {
    const tricky = ['"', "\\", '],[{"', "é🙂".repeat(9), "\n}", '\\"', ""];
    const texts = Array.from({ length: 30_000 }, (_, i) => `${tricky[i % 7]}${"x".repeat(i % 301)}${tricky[i % 5]}`);
    const values = texts.map((text, i) => ({ more: [{ a: [i, "]"] }], text, "{": {} }));
    expect(await textsOf(write("a.json", JSON.stringify(values)))).toEqual(texts);
    expect(await textsOf(write("b.json", `\uFEFF\n ${JSON.stringify(values, null, 1)}\n `))).toEqual(texts);
  });

  test("an error deep in a large file names its line and column", async () => {
    const lines = Array.from({ length: 40_000 }, (_, i) => `{"text": "🙂 ${i} ${"y".repeat(60)}"}`);
    lines[33_332] = '{"text": "🙂", "n": +1}';
    const text = `[\n${lines.join(",\n")}\n]`;
    const file = write("a.json", text);
    const error = await errorOf(() => textsOf(file));
    expect(error).toMatchObject({ code: "E_JSON", where: file });
    expect(error.message).toContain(`${file}, line 33334, column 21: not valid JSON: Unexpected token '+'.`);
  });

  test.each([
    ['[{"text":"a"},]', 1, 15],
    ['[,{"text":"a"}]', 1, 2],
    ['[{"text":"a"},,{"text":"b"}]', 1, 15],
    ['[{"text":"a"} {"text":"b"}]', 1, 15],
    ['[{"text":"a"}]\n x', 2, 2],
    ['[{"text":"a"}]]', 1, 15],
    ['[{"text":"a"}', 1, 14],
    ['[{"text":"a"},\n{"text":"b', 2, 11],
    ["[\n", 1, 2],
  ])("%j", async (text, line, column) => {
    const error = await errorOf(() => textsOf(write("a.json", text)));
    expect(error.code).toBe("E_JSON");
    expect(error.message).toContain(`a.json, line ${line}, column ${column}: not valid JSON: `);
  });

  test("damage at random: the texts or the place that a parser of the whole file gives", async () => {
    const whole = JSON.stringify(
      ["a", 'b"]', "c\\", "🙂é"].map((text, i) => ({ text, n: [i, { m: -1.5e3 }], t: [true, null] })),
      null,
      1,
    );
    const characters = '[]{},:"\\ \n0ae-';
    let state = 1;
    const random = (below: number) => {
      state = (state * 48271) % 2147483647;
      return state % below;
    };
    let broken = 0;
    for (let i = 0; i < 600; i++) {
      const at = 1 + random(whole.length - 1);
      const text = whole.slice(0, at) + characters[random(characters.length)]! + whole.slice(at + random(3));
      let expected: unknown;
      try {
        expected = parseJson(text, "a.json");
      } catch (error) {
        expected = error;
      }
      const file = write("a.json", text);
      if (expected instanceof Error) {
        broken++;
        const place = /line \d+, column \d+/.exec(expected.message)![0];
        const error = await errorOf(() => textsOf(file));
        expect(`${error.code} ${error.message} of ${text}`).toContain(`a.json, ${place}: not valid JSON: `);
      } else {
        const texts = (expected as { text?: unknown }[]).map((row) => row.text);
        if (texts.every((one) => typeof one === "string")) expect(await textsOf(file)).toEqual(texts);
      }
    }
    expect(broken).toBeGreaterThan(200);
  });
});

test.each([
  ["a.jsonl", '{"text":"a"}\n{"text":"b \\ud83d c"}', "line 2"],
  ["a.json", '[{"text":"a"},{"text":"b \\ud83d c"}]', "row 2"],
])("half a character in %s", async (name, content, place) => {
  const error = await errorOf(() => textsOf(write(name, content)));
  expect(error.code).toBe("E_DATA_ROW");
  expect(error.message).toContain(`${name}, ${place}: column "text" holds half a character, \\ud83d without its other`);
  expect(await textsOf(write(name, content.replace("\\ud83d", "\\ud83d\\ude42")))).toEqual(["a", "b 🙂 c"]);
});
