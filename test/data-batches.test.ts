import { describe, expect, test } from "vitest";
import { epochOrder, prefetch, readTexts, splitValidation, TextDataset, Tokenizer } from "../src/data/index.js";
import { Engine } from "../src/engine.js";
import { openModel } from "../src/model/index.js";
import { errorOf, temporaryFolders, tinyBase, writeIn } from "./support/folders.js";

const folder = temporaryFolders();
const tokenizer = await Tokenizer.open(tinyBase);
const EOS = 1;

const TEXTS = ["one two three four five six", "", "short", "text that ends</s>", ""];
const rows = await readTexts(
  [writeIn(folder(), "a.jsonl", TEXTS.map((text) => JSON.stringify({ text })).join("\n"))],
  "text",
);
const indices = Int32Array.of(4, 0, 2, 3, 1);
const dataset = (maxLength: number, padTo?: number) =>
  new TextDataset(rows, indices, tokenizer, padTo === undefined ? { maxLength } : { maxLength, padTo });
const ids = async (i: number) => [...(await tokenizer.encode([TEXTS[i]!], { maxLength: 1000 }))[0]!];

describe("micro-batches", () => {
  test("a token's target is the next one of its own sequence", async () => {
    const [a, b] = [await ids(0), await ids(2)];
    const micro = await dataset(1000).batch([1, 2]);
    expect([...micro.batch!.inputIds]).toEqual([...a, ...b]);
    expect([...micro.batch!.targets]).toEqual([...a.slice(1), -100, ...b.slice(1), -100]);
    expect([...micro.batch!.offsets]).toEqual([0, a.length, a.length + b.length]);
    expect(micro).toMatchObject({
      tokens: a.length + b.length,
      supervisedTokens: a.length + b.length - 2,
      rows: [0, 2],
      skipped: 0,
    });
  });

  test("an end of text that is also the padding stays supervised, padding does not", async () => {
    const sequence = await ids(3);
    expect(sequence.at(-1)).toBe(EOS);
    expect(tokenizer.padTokenId).toBe(EOS);
    const length = sequence.length;
    const { batch, tokens, supervisedTokens } = await dataset(length + 3, length + 3).batch([3]);
    expect([...batch!.inputIds]).toEqual([...sequence, EOS, EOS, EOS]);
    expect([...batch!.targets]).toEqual([...sequence.slice(1), -100, -100, -100, -100]);
    expect([...batch!.offsets]).toEqual([0, length + 3]);
    expect([tokens, supervisedTokens]).toEqual([length, length - 1]);
  });

  test("long texts are cut", async () => {
    const { batch } = await dataset(3).batch([1]);
    expect([...batch!.inputIds]).toEqual((await ids(0)).slice(0, 3));
    expect(batch!.targets.at(-1)).toBe(-100);
  });

  test("rows of one token are skipped, and still named", async () => {
    const some = await dataset(100).batch([0, 1, 4]);
    expect(some).toMatchObject({ rows: [4, 0, 1], skipped: 2 });
    expect(some.batch!.offsets.length).toBe(2);
    const none = await dataset(100).batch([0, 4]);
    expect(none).toEqual({ batch: null, supervisedTokens: 0, tokens: 0, rows: [4, 1], skipped: 2 });
  });

  test("positions are of the data set's rows", async () => {
    const data = dataset(100);
    expect([data.length, (await data.batch([0, 4, 2])).rows]).toEqual([5, [4, 1, 2]]);
    expect((await errorOf(() => data.batch([5]))).code).toBe("E_ARGUMENT");
    expect((await errorOf(() => dataset(100, 50))).message).toContain("padTo is 50, expected at least maxLength, 100");
  });

  test("padding changes no loss", async () => {
    await using engine = await Engine.create(openModel(tinyBase), null, {
      precision: "fp32",
      threads: 2,
      maxTokens: 128,
      maxSequence: 64,
      training: false,
    });
    const plain = await dataset(40).batch([1, 2, 3]);
    const padded = await dataset(40, 40).batch([1, 2, 3]);
    expect(padded.batch!.inputIds.length).toBe(120);
    expect(padded.supervisedTokens).toBe(plain.supervisedTokens);
    const losses = [await engine.evaluate(plain.batch!), await engine.evaluate(padded.batch!)];
    expect(Math.abs(losses[0]! / losses[1]! - 1)).toBeLessThan(1e-6);
  });
});

describe("order", () => {
  const sorted = (values: Int32Array) => [...values].sort((a, b) => a - b);
  const all = Int32Array.from({ length: 1000 }, (_, i) => i * 3);

  test("a split is a partition that depends on the seed alone", () => {
    const { train, validation } = splitValidation(1000, 0.1, 42);
    expect([train.length, validation.length]).toEqual([900, 100]);
    expect(sorted(Int32Array.of(...train, ...validation))).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect([...train]).toEqual(sorted(train));
    expect([...validation]).toEqual(sorted(validation));
    expect(splitValidation(1000, 0.1, 42)).toEqual({ train, validation });
    expect(splitValidation(1000, 0.1, 43).validation).not.toEqual(validation);
    // Not a run of neighbours: every tenth of the file is represented.
    expect(new Set([...validation].map((row) => Math.floor(row / 100))).size).toBe(10);
  });

  test("either side has a row", async () => {
    for (const fraction of [0, 0.01, 0.5, 0.99, 1]) {
      const { train, validation } = splitValidation(2, fraction, 1);
      expect([train.length, validation.length]).toEqual([1, 1]);
    }
    const error = await errorOf(() => splitValidation(1, 0.1, 1));
    expect(error.code).toBe("E_SPLIT");
    expect(error.message).toContain("--validation_file");
  });

  test("an epoch's order depends on seed and epoch alone", () => {
    const first = epochOrder(all, 42, 0, true);
    expect(sorted(first)).toEqual([...all]);
    expect(epochOrder(all, 42, 0, true)).toEqual(first);
    for (const other of [
      epochOrder(all, 42, 1, true),
      epochOrder(all, 43, 0, true),
      epochOrder(all, 42 + 2 ** 32, 0, true),
    ]) {
      expect(other.filter((row, i) => row === first[i]).length).toBeLessThan(10);
    }
    expect(epochOrder(all, 42, 5, false)).toEqual(all);
    expect(epochOrder(all, 42, 5, false)).not.toBe(all);
  });

  test("every row is as likely anywhere", () => {
    const sums = new Float64Array(8);
    const epochs = 4000;
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (const [place, row] of epochOrder(Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7), 7, epoch, true).entries()) {
        sums[row]! += place;
      }
    }
    // Mean 3.5, standard deviation of a mean sqrt(63 / 12 / 4000) = 0.036: five of them.
    for (const sum of sums) expect(Math.abs(sum / epochs - 3.5)).toBeLessThan(0.18);
  });
});

describe("prefetch", () => {
  const tick = () => new Promise((resolve) => setTimeout(resolve, 1));

  /** Counts up to `end`, then throws where it is told to. */
  function counter(end: number, failAt = Number.POSITIVE_INFINITY) {
    const state = { made: 0, closed: false };
    async function* source() {
      try {
        for (let i = 0; i < end; i++) {
          await tick();
          if (i === failAt) throw new Error(`value ${i}`);
          state.made++;
          yield i;
        }
      } finally {
        state.closed = true;
      }
    }
    return { source: source(), state };
  }

  test.each([0, 1, 3, 100])("the same values in order, %i ahead", async (ahead) => {
    const { source, state } = counter(10);
    const found: number[] = [];
    for await (const value of prefetch(source, ahead)) found.push(value);
    expect(found).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(state.closed).toBe(true);
  });

  test("values are made ahead, but not further than that", async () => {
    const { source, state } = counter(10);
    const values = prefetch(source, 3);
    expect(state.made).toBe(0);
    await values.next();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(state.made).toBe(4);
    await values.next();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(state.made).toBe(5);
    await values.return();
  });

  test("an error comes after the values before it", async () => {
    const found: number[] = [];
    const run = async () => {
      for await (const value of prefetch(counter(10, 3).source, 5)) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        found.push(value);
      }
    };
    await expect(run()).rejects.toThrow("value 3");
    expect(found).toEqual([0, 1, 2]);
  });

  test("leaving early ends the source", async () => {
    const { source, state } = counter(1000);
    for await (const value of prefetch(source, 2)) if (value === 1) break;
    expect(state.closed).toBe(true);
    expect(state.made).toBeLessThan(8);
  });

  test("an error while leaving early is nobody's", async () => {
    for await (const value of prefetch(counter(10, 2).source, 3)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (value === 0) break;
    }
  });
});
