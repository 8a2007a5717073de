import { execFile, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { ReadOptions } from "../../src/data/formats/format.js";
import { dataFiles, fileTexts, readTexts } from "../../src/data/index.js";
import { errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";

const temporary = temporaryFolders();
const CLI = new URL("../../dist/cli/main.js", import.meta.url).pathname;

/** A named pipe that some bytes go through, in pieces. */
function pipe(name: string, ...pieces: (string | Uint8Array)[]): string {
  const file = join(temporary(), name);
  execFileSync("mkfifo", [file]);
  // The reader may stop early.
  writeFile(file, pieces).catch(() => {});
  return file;
}

async function textsOf(file: string, options: Partial<ReadOptions> = {}): Promise<string[]> {
  const rows = await readTexts([file], { column: "text", ...options });
  return Array.from({ length: rows.length }, (_, i) => rows.text(i));
}

const TEXTS = ["one", "two\nlines", "Ünï 🙂"];
const LINES = TEXTS.map((text) => `${JSON.stringify({ text })}\n`);

describe("a pipe tells by its beginning what it holds", () => {
  test.each<[string, (string | Uint8Array)[], string[]]>([
    ["JSON Lines", LINES, TEXTS],
    ["in pieces of a character", [...LINES.join("")], TEXTS],
    ["with a byte order mark", ["\uFEFF", ...LINES], TEXTS],
    ["objects over several lines", TEXTS.map((text) => JSON.stringify({ text }, null, 2)), TEXTS],
    ["an array", [JSON.stringify(TEXTS.map((text) => ({ text })))], TEXTS],
    ["plain text", ["one\n\ntwo\r\n"], ["one", "two"]],
    ["plain text with brackets", ["[Verse 1]\n{x} of {y}\n"], ["[Verse 1]", "{x} of {y}"]],
    [
      "more than is kept of its beginning",
      Array(40).fill(LINES.join("").repeat(1000)),
      Array(40_000).fill(TEXTS).flat(),
    ],
  ])("%s", async (_, pieces, texts) => {
    expect(await textsOf(pipe("texts", ...pieces))).toEqual(texts);
  });

  test("or by a name's extension", async () => {
    expect(await textsOf(pipe("a.csv", "id,text\n1,one\n"))).toEqual(["one"]);
    expect(await textsOf(pipe("a.jsonl.gz", gzipSync(LINES.join(""))))).toEqual(TEXTS);
  });

  test("JSON under a key, where an option says so", async () => {
    expect(await textsOf(pipe("texts", '{"data":[{"text":"one"}]}'), { jsonField: "data" })).toEqual(["one"]);
  });

  test.each<[string, Uint8Array, RegExp]>([
    [
      "gzip",
      gzipSync("text"),
      /is compressed with gzip, not text in UTF-8\. Only text is read from a pipe: unpack it on the way/,
    ],
    ["Parquet", Buffer.from("PAR1 and so on"), /is a Parquet file, not text in UTF-8\. Only text is read from a pipe/],
    ["Arrow", Buffer.from("ARROW1\0\0 and"), /is an Arrow file, not text in UTF-8\. Only text is read from a pipe/],
  ])("%s is refused by name", async (_, bytes, message) => {
    const file = pipe("texts", bytes);
    const error = await errorOf(() => textsOf(file));
    expect(error).toMatchObject({ code: "E_DATA_FORMAT", where: file });
    expect(error.message).toMatch(message);
  });

  test("a Parquet file's name does not make a pipe one", async () => {
    const file = pipe("a.parquet", "PAR1");
    expect((await errorOf(() => textsOf(file))).message).toMatch(/a\.parquet cannot be read: it is a pipe, not a file/);
  });

  test("an empty one", async () => {
    expect((await errorOf(() => textsOf(pipe("texts", "")))).code).toBe("E_DATA_EMPTY");
  });

  test("an error names its line", async () => {
    const file = pipe("texts", '{"text":"one"}\n{"text":1}\n');
    expect((await errorOf(() => textsOf(file))).message).toContain(`${file}, line 2: column "text" is the number 1`);
  });
});

describe("a pipe is read once", () => {
  test("its texts are named afterwards, and remembered by no state", async () => {
    const file = pipe("texts", '{"text":"one"}\n\n{"text":"two"}\n{"text":"three"}\n');
    const source = fileTexts([file], { column: "text" });
    const texts: string[] = [];
    for await (const some of source.rows()) texts.push(...some.map(([text]) => text as string));
    expect(texts).toEqual(["one", "two", "three"]);
    expect(await source.places([0, 1, 2])).toEqual([`${file}, line 1`, `${file}, line 3`, `${file}, line 4`]);
    expect(source.state()).toBeNull();
  });

  test("by one reader at a time", async () => {
    const file = pipe("texts", ...LINES);
    const [first, second] = await Promise.allSettled([textsOf(file), textsOf(file)]);
    expect(first).toMatchObject({ status: "fulfilled", value: TEXTS });
    expect(second).toMatchObject({ status: "rejected", reason: { message: `Pipe ${file} is being read already.` } });
    expect(await textsOf(pipe("texts", ...LINES))).toEqual(TEXTS);
  });

  test("a device is none", async () => {
    const error = await errorOf(() => readTexts(dataFiles(["/dev/zero"]).files, "text"));
    expect(error.message).toBe("Data file /dev/zero cannot be read: it is a device, not a file.");
  });
});

describe("on the command line", () => {
  const preview = ["preview", "--base_model", tinyBase, "--json", "--num_rows", "3", "--cache_dir", temporary()];

  test("process substitution", async () => {
    const file = writeIn(temporary(), "a.jsonl.gz", gzipSync(LINES.join("")));
    const line = [process.execPath, CLI, ...preview].map((word) => `'${word}'`).join(" ");
    const { stdout } = await promisify(execFile)("bash", ["-c", `${line} --train_file <(zcat '${file}')`]);
    const rows = stdout
      .trim()
      .split("\n")
      .map((row) => JSON.parse(row));
    expect(rows.map(({ where }) => where?.replace(/^\/dev\/fd\/\d+/, "F"))).toEqual([
      "F, line 1",
      "F, line 2",
      "F, line 3",
      undefined,
    ]);
  });

  test("training texts through /dev/stdin: a part is held out, and nothing is read again", async () => {
    const output = join(temporary(), "run");
    const options = [
      "--base_model",
      tinyBase,
      "--train_file",
      "/dev/stdin",
      "--output_dir",
      output,
      "--max_steps",
      "2",
    ];
    const small = ["--lora_r", "2", "--target_modules", "q_proj", "--max_seq_length", "16", "--cache_dir", temporary()];
    const child = spawn(process.execPath, [CLI, "train", ...options, ...small, "--per_device_train_batch_size", "2"]);
    let said = "";
    child.stderr.on("data", (bytes) => (said += bytes));
    child.stdin.end([...Array(20)].map((_, i) => `a line of text ${i}\n`).join(""));
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect([code, said]).toEqual([0, expect.stringMatching(/18 texts to train on, 2 to evaluate on/)]);
    expect(readFileSync(join(output, "metrics.jsonl"), "utf8")).toContain("eval_loss");
  });
});
