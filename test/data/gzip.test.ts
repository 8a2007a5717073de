import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { readTexts } from "../../src/data/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const write = (name: string, content: string | Uint8Array) => writeIn(folder(), name, content);

/** More than one chunk when unpacked, and not much smaller when packed. */
const LINES = Array.from({ length: 25_000 }, (_, i) => `${i} ${randomBytes(20).toString("hex")}`);
const CONTENTS: [string, string][] = [
  ["a.jsonl.gz", LINES.map((text) => JSON.stringify({ text })).join("\n")],
  ["a.ndjson.gz", LINES.map((text) => JSON.stringify({ text })).join("\n")],
  ["a.json.gz", JSON.stringify(LINES.map((text) => ({ text })))],
  ["a.json.gz", LINES.map((text) => JSON.stringify({ text })).join("\n")],
  ["a.csv.gz", `text\n${LINES.join("\n")}`],
  ["a.tsv.gz", `n\ttext\n${LINES.map((text, i) => `${i}\t${text}`).join("\n")}`],
  ["a.TXT.GZ", LINES.join("\n")],
];

describe("gzip of the text formats", () => {
  test.each(CONTENTS)("%s is read as the file within", async (name, content) => {
    const file = write(name, gzipSync(content));
    const rows = await readTexts([file], "text");
    expect(rows.length).toBe(LINES.length);
    for (const [i, text] of LINES.entries()) if (rows.text(i) !== text) expect(rows.text(i)).toBe(text);
    expect(rows.where(1)).toMatch(/^.*a\.\w+\.gz, (line|row) [23]$/i);
  });

  test("members one after the other are one file", async () => {
    const rows = await readTexts([write("a.txt.gz", Buffer.concat([gzipSync("a\nb"), gzipSync("c\nd\n")]))], "text");
    expect([rows.length, rows.text(1)]).toEqual([3, "bc"]);
  });

  test.each(CONTENTS)("%s that is cut or damaged", async (name, content) => {
    const whole = gzipSync(content);
    const flipped = Buffer.from(whole);
    flipped[whole.length >> 1]! ^= 0x10;
    const damaged = [whole.subarray(0, 5), whole.subarray(0, whole.length >> 1), whole.subarray(0, -1), flipped];
    for (const bytes of [...damaged, Buffer.from(content)]) {
      const file = write(name, bytes);
      const error = await errorOf(() => readTexts([file], "text"));
      expect(error.message).toContain(file);
      // A flipped bit may also show in the text, before the checksum is seen.
      if (bytes !== flipped) {
        expect(error.message).toMatch(/is not a whole gzip file: (it ends early|incorrect header check)\. Copy or/);
        expect(error).toMatchObject({ code: "E_GZIP", where: file });
      }
    }
  });

  test("errors within name the compressed file and the line", async () => {
    const file = write("a.jsonl.gz", gzipSync('{"text":"a"}\n{"text":7}'));
    expect((await errorOf(() => readTexts([file], "text"))).message).toContain(`${file}, line 2: column "text" is the`);
    const nothing = write("a.csv.gz", gzipSync("text\n"));
    expect((await errorOf(() => readTexts([nothing], "text"))).code).toBe("E_DATA_EMPTY");
  });
});
