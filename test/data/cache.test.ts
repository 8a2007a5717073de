// The cache of tokenised texts: its contents, when it is used again, the effect of damage.
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ResidentPages } from "../../src/data/cache/resident-pages.js";
import { openCache } from "../../src/data/cache/store.js";
import {
  clearCache,
  fileTexts,
  givenTexts,
  listCache,
  type TextSource,
  Tokenizer,
  tokenTable,
} from "../../src/data/index.js";
import { generator } from "../../src/data/random.js";
import { mapFile, releasePages } from "../../src/native/index.js";
import { errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { tableOf, textsOf } from "../support/tokens.js";

const folder = temporaryFolders();
const tokenizer = await Tokenizer.open(tinyBase);
const TEXTS = ["one two three", "", 'say "hi", then go', "a longer text of some more words than the others have"];
const encode = (texts: string[], maxLength?: number) => tokenizer.encode(texts, { maxLength });

/** A source that counts how often it is read. */
function counting(source: TextSource) {
  const rows = () => {
    counted.reads++;
    return source.rows();
  };
  const counted = { ...source, reads: 0, rows };
  return counted;
}

/** Sets the clock to when the files written so far were changed long enough ago to be remembered. */
function settle(): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2100 });
}
afterEach(() => void vi.useRealTimers());

const jsonLines = (texts: string[]) => texts.map((text) => JSON.stringify({ text })).join("\n");
const csv = (texts: string[]) => ["text", ...texts.map((text) => `"${text.replaceAll('"', '""')}"`)].join("\r\n");

describe("what it holds", () => {
  test("the tokens of the package, for each text", async () => {
    const table = await tableOf(TEXTS, { tokenizer, folder: folder(), maxLength: 1000 });
    const expected = await encode(TEXTS);
    // A blank text has no tokens, not even the tokenizer's special ones.
    expected[1] = new Int32Array(0);
    expect([table.length, table.texts]).toEqual([4, 4]);
    for (const [i, ids] of expected.entries()) {
      const { inputIds, lossMask } = table.sequence(i);
      expect(inputIds).toEqual(ids);
      expect([...lossMask]).toEqual(Array(ids.length).fill(1));
      expect([table.tokens(i), table.row(i)]).toEqual([ids.length, i]);
    }
    expect((await errorOf(() => table.sequence(4))).code).toBe("E_ARGUMENT");
  });

  test("many blocks, tokenised by threads, in order", async () => {
    // From dist: a thread cannot run TypeScript.
    const dist = await import(new URL("../../dist/data/index.js", import.meta.url).href);
    const texts = Array.from({ length: 10_000 }, (_, i) => `text number ${i} of many, ${"word ".repeat(i % 40)}`);
    const options = {
      tokenizer: await dist.Tokenizer.open(tinyBase),
      folder: folder(),
      maxLength: 32,
      longText: "truncate",
    };
    const table = await dist.tokenTable(dist.givenTexts(texts), { ...options, limit: 1e12, threads: 3 });
    expect(table.length).toBe(texts.length);
    const expected = await encode(texts, 32);
    let wrong = 0;
    for (const [i, ids] of expected.entries()) {
      const { inputIds } = table.sequence(i);
      if (table.row(i) !== i || ids.length !== inputIds.length || ids.some((id, k) => id !== inputIds[k])) wrong++;
    }
    expect(wrong).toBe(0);
  });

  test("few large texts are under way at once, whatever the number of threads", async () => {
    const dist = await import(new URL("../../dist/data/index.js", import.meta.url).href);
    const tokenizer = await dist.Tokenizer.open(tinyBase);
    const text = "word ".repeat(1 << 20);
    let read = 0;
    async function* texts() {
      for (; read < 8; read++) yield text;
    }
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error("the first is done"));
    const options = { tokenizer, folder: folder(), maxLength: 32, longText: "truncate", limit: 1e12 };
    const { signal } = controller;
    const table = dist.tokenTable(dist.givenTexts(texts()), { ...options, threads: 3, onProgress, signal });
    await expect(table).rejects.toThrow("the first is done");
    // 5 MiB each, and room for 7 MiB: two are under way, and the third is read to be the next.
    expect(read).toBeLessThan(3);
  });

  test("an error of a thread reaches the caller, and nothing is left", async () => {
    const dist = await import(new URL("../../dist/data/index.js", import.meta.url).href);
    const opened = await dist.Tokenizer.open(tinyBase);
    const broken = Object.create(opened, {
      file: { value: join(folder(), "tokenizer.json") },
      sha256: { value: "0" },
      specialTokens: { value: () => opened.specialTokens() },
    });
    const cache = folder();
    const texts = ["x".repeat(2 << 20)];
    const options = { tokenizer: broken, folder: cache, maxLength: 32, longText: "truncate", limit: 1e12, threads: 1 };
    await expect(dist.tokenTable(dist.givenTexts(texts), options)).rejects.toThrow("tokenizer.json");
    expect(readdirSync(cache)).toEqual([]);
  });

  test("long texts in chunks: nothing is lost, and no chunk is a single token", async () => {
    const [ids] = await encode([TEXTS[3]!]);
    for (const maxLength of [2, 3, 4, 5, 7, ids!.length - 1, ids!.length, 100]) {
      const table = await tableOf([TEXTS[0]!, TEXTS[3]!], {
        tokenizer,
        folder: folder(),
        maxLength,
        longText: "chunk",
      });
      const of = (row: number) =>
        Array.from({ length: table.length }, (_, i) => i)
          .filter((i) => table.row(i) === row)
          .map((i) => [...table.sequence(i).inputIds]);
      expect(table.texts).toBe(2);
      expect(of(1).flat()).toEqual([...ids!]);
      const lengths = of(1).map((chunk) => chunk.length);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(maxLength);
      if (maxLength > 2) expect(Math.min(...lengths)).toBeGreaterThan(1);
      expect(lengths.length).toBeLessThanOrEqual(Math.ceil(ids!.length / maxLength) + 1);
    }
  });

  test("where it comes from is written in it", async () => {
    const file = writeIn(folder(), "a.jsonl", jsonLines(TEXTS));
    const { provenance, content } = await tableOf(textsOf(file), { tokenizer, folder: folder(), maxLength: 9 });
    expect(provenance).toMatchObject({ tokenizer_sha256: tokenizer.sha256, sources: JSON.stringify([file]) });
    expect(content.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(provenance.options)).toEqual({ max_seq_length: 9, long_text: "truncate", add_eos: false });
  });
});

describe("when it is used again", () => {
  test("the same texts in another format: the same file", async () => {
    const [cache, from] = [folder(), folder()];
    const rows = jsonLines(TEXTS);
    const files = [
      writeIn(from, "a.jsonl", rows),
      writeIn(from, "a.json", `[${rows.replaceAll("\n", ",")}]`),
      writeIn(from, "a.csv", csv(TEXTS)),
      writeIn(from, "b.jsonl.gz", gzipSync(rows)),
    ];
    const tables = [];
    for (const file of files) tables.push(await tableOf(textsOf(file), { tokenizer, folder: cache, maxLength: 20 }));
    expect(listCache(cache)).toHaveLength(1);
    const hashes = tables.map(({ content }) => content.sha256);
    expect(new Set(hashes).size).toBe(1);
  });

  test("Parquet and Arrow files of the same rows, too", async () => {
    const [cache, from] = [folder(), folder()];
    const goldens = new URL("../goldens-data/", import.meta.url).pathname;
    const rows: { text: string }[] = JSON.parse(readFileSync(`${goldens}texts.json`, "utf8"));
    const lines = writeIn(from, "a.jsonl", jsonLines(rows.map(({ text }) => text)));
    const kinds = [
      "none.parquet",
      "snappy.parquet",
      "zstd.parquet",
      "file.arrow",
      "stream.arrows",
      "lz4.ipc",
      "pandas.feather",
    ];
    for (const file of [lines, ...kinds.map((name) => goldens + name)]) {
      await tableOf(textsOf(file), { tokenizer, folder: cache, maxLength: 20 });
    }
    expect(listCache(cache)).toHaveLength(1);
  });

  test("how texts are split over files and blocks makes no difference, their bounds do", async () => {
    const cache = folder();
    const hash = async (texts: string[]) =>
      (await tableOf(texts, { tokenizer, folder: cache, maxLength: 20 })).content.sha256;
    const from = folder();
    const [first, second] = [
      writeIn(from, "1.jsonl", jsonLines(TEXTS.slice(0, 2))),
      writeIn(from, "2.csv", csv(TEXTS.slice(2))),
    ];
    const { content } = await tableOf(textsOf(first, second), { tokenizer, folder: cache, maxLength: 20 });
    expect(content.sha256).toBe(await hash(TEXTS));
    const others = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"]];
    expect(new Set(await Promise.all(others.map(hash))).size).toBe(others.length);
  });

  test("a file that has not changed is not read again; one that has is", async () => {
    const [cache, from] = [folder(), folder()];
    const file = writeIn(from, "a.jsonl", jsonLines(TEXTS));
    settle();
    const source = counting(fileTexts([file], { column: "text" }));
    const open = (maxLength = 20) => tableOf(source, { tokenizer, folder: cache, maxLength });
    await open();
    const again = await open();
    expect([source.reads, again.length]).toEqual([1, 4]);
    // Another length is another table.
    await open(10);
    expect([source.reads, listCache(cache).length]).toEqual([2, 2]);
    vi.useRealTimers();
    appendFileSync(file, `\n${jsonLines(["one more"])}`);
    const longer = await open();
    expect([source.reads, longer.length, listCache(cache).length]).toEqual([3, 5, 3]);
    // Changed a moment ago: it may change again with the same time.
    await open();
    expect(source.reads).toBe(4);
  });

  test("another tokenizer is another file", async () => {
    const cache = folder();
    const copy = folder();
    cpSync(join(tinyBase, "tokenizer.json"), join(copy, "tokenizer.json"));
    const other = await Tokenizer.open(copy);
    expect(other.sha256).not.toBe(tokenizer.sha256);
    await tableOf(TEXTS, { tokenizer, folder: cache, maxLength: 20 });
    await tableOf(TEXTS, { tokenizer: other, folder: cache, maxLength: 20 });
    expect(listCache(cache)).toHaveLength(2);
  });
});

describe("what is resident of it", () => {
  const resident = () => {
    const line = /^RssFile:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))!;
    return Number(line[1]) / 1024;
  };

  test("stays small, however much is read in whatever order", () => {
    const file = join(folder(), "large");
    const block = Buffer.alloc(16 << 20, 1);
    for (let i = 0; i < 16; i++) appendFileSync(file, block);
    const buffer = mapFile(file);
    const before = resident();
    const residence = new ResidentPages(buffer);
    let [sum, largest] = [0, 0];
    for (let i = 0; i < 4096; i++) {
      const view = new Uint8Array(buffer, ((i * 2731) % 4096) << 16, 1 << 16);
      residence.touch(view);
      sum += view[i]!;
      if (i % 64 === 0) largest = Math.max(largest, resident() - before);
    }
    expect(sum).toBe(4096);
    expect(largest).toBeLessThan(128);
    // Pages that are given back can still be read.
    releasePages(buffer);
    expect(new Uint8Array(buffer)[12345]).toBe(1);
  });

  test("writing into it changes neither the file nor the next look", () => {
    const file = writeIn(folder(), "file", "unchanged");
    new Uint8Array(mapFile(file)).fill(0x58);
    expect([readFileSync(file, "utf8"), Buffer.from(mapFile(file)).toString()]).toEqual(["unchanged", "unchanged"]);
    expect(mapFile(writeIn(folder(), "empty", "")).byteLength).toBe(0);
  });
});

describe("damage and limits", () => {
  test("another process that looks for a file while it is made finds all of it or nothing", async () => {
    const cache = folder();
    const make = () => tableOf(TEXTS, { tokenizer, folder: cache, maxLength: 20 });
    await make();
    const key = basename(listCache(cache)[0]!.file, ".arrow");
    const damaged: string[] = [];
    for (let i = 0; i < 20; i++) {
      clearCache(cache);
      let isMade = false;
      const making = make().finally(() => {
        isMade = true;
      });
      while (!isMade) {
        openCache(cache, key, (file) => void damaged.push(file));
        await setImmediate();
      }
      expect((await making).length).toBe(4);
      expect(openCache(cache, key, () => {})?.length).toBe(4);
    }
    expect(damaged).toEqual([]);
  });

  test("a damaged file is made anew", async () => {
    const [cache, from] = [folder(), folder()];
    const file = writeIn(from, "a.jsonl", jsonLines(TEXTS));
    settle();
    const source = counting(fileTexts([file], { column: "text" }));
    const open = () => tableOf(source, { tokenizer, folder: cache, maxLength: 20 });
    await open();
    const { file: cached, bytes } = listCache(cache)[0]!;
    const whole = readFileSync(cached);
    for (const damage of [
      () => truncateSync(cached, bytes - 100),
      () => truncateSync(cached, 0),
      () => writeFileSync(cached, Buffer.concat([whole.subarray(0, 8), Buffer.alloc(bytes - 8, 0xff)])),
      () => writeFileSync(cached, "not a cache file"),
    ]) {
      const before = source.reads;
      damage();
      expect((await open()).length).toBe(4);
      expect([source.reads, readFileSync(cached).equals(whole)]).toEqual([before + 1, true]);
    }
  });

  test("a byte that changed, anywhere: the file is made anew, or the byte means nothing", async () => {
    const [cache, from] = [folder(), folder()];
    const file = writeIn(from, "a.jsonl", jsonLines(TEXTS));
    settle();
    const warnings: string[] = [];
    const options = { tokenizer, folder: cache, maxLength: 20, longText: "truncate", addEos: true } as const;
    const limits = { limit: 1e12, threads: 1, warn: (message: string) => void warnings.push(message) };
    const open = () => tokenTable(fileTexts([file], { column: "text" }), { ...options, ...limits });
    const content = async () => {
      const table = await open();
      const examples = Array.from({ length: table.length }, (_, i) => i);
      const sequence = (i: number) => Object.values(table.sequence(i)).map((column) => [...column]);
      return JSON.stringify([table.content, examples.map((i) => [sequence(i), table.row(i), table.supervised(i)])]);
    };
    const expected = await content();
    const [cached] = listCache(cache).map((entry) => entry.file);
    const note = cached!.replace(/arrow$/, "note.json");
    const random = generator(1, 2, 3);
    let damaged = 0;
    for (let i = 0; i < 90; i++) {
      const changed = i % 3 === 0 ? note : cached!;
      const bytes = readFileSync(changed);
      bytes[Math.floor(random() * bytes.length)]! ^= 1 + Math.floor(random() * 255);
      writeFileSync(changed, bytes);
      warnings.length = 0;
      expect(await content()).toBe(expected);
      damaged += warnings.length;
      for (const message of warnings)
        expect(message).toContain(`cache file ${cached}, or the note beside it, is damaged`);
    }
    // A good part of so small a file is filling.
    expect(damaged).toBeGreaterThan(15);
  });

  test("no texts at all: an error, and nothing is left", async () => {
    const cache = folder();
    const error = await errorOf(() => tableOf([], { tokenizer, folder: cache, maxLength: 20 }));
    expect([error.code, error.message, readdirSync(cache)]).toEqual(["E_DATA_EMPTY", "There are no texts.", []]);
  });

  test("a row that cannot be read: its error, and nothing is left in the cache", async () => {
    const [cache, from] = [folder(), folder()];
    const file = writeIn(from, "a.jsonl", `${jsonLines(TEXTS)}\n{"text": 3}\n`);
    const error = await errorOf(() => tableOf(textsOf(file), { tokenizer, folder: cache, maxLength: 20 }));
    expect(error.message).toContain(`${file}, line 5`);
    expect(readdirSync(cache)).toEqual([]);
  });

  test("a signal stops it, and nothing is left", async () => {
    const cache = folder();
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    const options = {
      tokenizer,
      folder: cache,
      maxLength: 20,
      longText: "truncate",
      addEos: false,
      limit: 1e9,
      threads: 1,
    } as const;
    const source = textsOf(writeIn(folder(), "a.jsonl", jsonLines(TEXTS)));
    await expect(tokenTable(source, { ...options, signal: controller.signal })).rejects.toThrow("enough");
    expect(readdirSync(cache)).toEqual([]);
  });

  test.skipIf(process.getuid?.() === 0)("a folder that cannot be written to is named", async () => {
    const cache = folder();
    chmodSync(cache, 0o500);
    const error = await errorOf(() => tableOf(TEXTS, { tokenizer, folder: cache, maxLength: 20 }));
    expect([error.code, error.message.includes(cache)]).toEqual(["E_WRITE", true]);
  });

  test("a cache folder that is a file is named", async () => {
    const file = writeIn(folder(), "cache", "");
    const error = await errorOf(() => tableOf(TEXTS, { tokenizer, folder: file, maxLength: 20 }));
    expect([error.code, error.message.includes(file)]).toEqual(["E_WRITE", true]);
    expect(error.message).toContain("there is something of this name already, and it is no folder (EEXIST)");
  });

  test("what was used longest ago goes first, never what is in use", async () => {
    const cache = folder();
    const open = (text: string, limit = Number.POSITIVE_INFINITY) =>
      tokenTable(givenTexts([text]), {
        tokenizer,
        folder: cache,
        maxLength: 20,
        longText: "truncate",
        addEos: false,
        limit,
        threads: 1,
      });
    for (const [i, text] of ["first", "second", "third"].entries()) {
      await open(text);
      const newest = listCache(cache).find(({ lastUse }) => lastUse.getTime() > Date.now() - 60_000)!;
      utimesSync(newest.file.replace(/arrow$/, "note.json"), i + 1000, i + 1000);
    }
    const [third, second, first] = listCache(cache);
    const table = await open("fourth", third!.bytes + second!.bytes + first!.bytes);
    expect(existsSync(first!.file)).toBe(false);
    expect(listCache(cache).map(({ file }) => file)).toContain(third!.file);
    const last = await open("fifth", 0);
    expect(listCache(cache)).toHaveLength(1);
    // A file that was removed stays readable for whoever has it open.
    expect([table.length, last.length, table.sequence(0).inputIds.length > 0]).toEqual([1, 1, true]);
  });

  test("what tells which file was made of which sources goes with the file", async () => {
    const [cache, from] = [folder(), folder()];
    const files = [1, 2].map((n) => writeIn(from, `${n}.jsonl`, jsonLines([`text ${n}`])));
    settle();
    for (const file of files)
      await tokenTable(fileTexts([file], { column: "text" }), {
        ...{ tokenizer, folder: cache, maxLength: 20, longText: "truncate", addEos: false, limit: 0, threads: 1 },
      });
    vi.useRealTimers();
    const kinds = readdirSync(cache).map((name) => name.replace(/^[0-9a-f]{64}/, "KEY"));
    expect(kinds.filter((name) => !name.endsWith("lock")).sort()).toEqual(["KEY.arrow", "KEY.json", "KEY.note.json"]);
  });

  test("what a killed process was writing is removed, what a live one writes is not", async () => {
    const cache = folder();
    const dead = writeIn(cache, ".writing-4194305-00000000-0000-4000-8000-000000000000.tmp", "x");
    const alive = writeIn(cache, `.writing-${process.pid}-00000000-0000-4000-8000-000000000000.tmp`, "x");
    await tableOf(TEXTS, { tokenizer, folder: cache, maxLength: 20 });
    expect([existsSync(dead), existsSync(alive)]).toEqual([false, true]);
    const other = writeIn(cache, "mine.txt", "x");
    expect(clearCache(cache)).toHaveLength(1);
    expect(readdirSync(cache).sort()).toEqual([alive, other].map((path) => path.slice(cache.length + 1)).sort());
  });
});
