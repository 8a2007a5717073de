import { describe, expect, test } from "vitest";
import { epochOrder, splitValidation, TokenDataset, Tokenizer } from "../../src/data/index.js";
import { openModel } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import { errorOf, temporaryFolders, tinyBase } from "../support/folders.js";
import { tableOf } from "../support/tokens.js";

const folder = temporaryFolders();
const tokenizer = await Tokenizer.open(tinyBase);
const EOS = 1;

const TEXTS = ["one two three four five six", "", "short", "text that ends</s>", ""];
const examples = Int32Array.of(2, 0, 3);
const dataset = async (maxLength: number, options = {}) =>
  new TokenDataset(await tableOf(TEXTS, { tokenizer, folder: folder(), maxLength }), examples, options);
const ids = async (i: number) => [...(await tokenizer.encode([TEXTS[i]!], { maxLength: 1000 }))[0]!];

describe("micro-batches", () => {
  test("a batch holds the examples' tokens, all to be learned, as views into one file", async () => {
    const [a, b] = [await ids(0), await ids(2)];
    const micro = (await dataset(1000)).batch([1, 0]);
    const { sequences, padTo } = micro.batch;
    expect(sequences.map(({ inputIds }) => [...inputIds])).toEqual([a, b]);
    expect(sequences.map(({ lossMask }) => [...lossMask!])).toEqual([a.map(() => 1), b.map(() => 1)]);
    expect(padTo).toBeUndefined();
    expect(sequences[0]!.inputIds.buffer).toBe(sequences[1]!.inputIds.buffer);
    expect(micro).toMatchObject({ tokens: a.length + b.length, supervisedTokens: a.length + b.length - 2 });
  });

  test("an end of text that is also the padding stays to be learned", async () => {
    const sequence = await ids(3);
    expect(sequence.at(-1)).toBe(EOS);
    expect(tokenizer.padTokenId).toBe(EOS);
    const { batch, tokens, supervisedTokens } = (await dataset(9, { padTo: 9, padId: EOS })).batch([2]);
    expect(batch).toMatchObject({ padTo: 9, padId: EOS });
    expect([...batch.sequences[0]!.inputIds]).toEqual(sequence);
    expect(batch.sequences[0]!.lossMask!.at(-1)).toBe(1);
    expect([tokens, supervisedTokens]).toEqual([sequence.length, sequence.length - 1]);
  });

  test("long texts are cut", async () => {
    const { batch } = (await dataset(3)).batch([1]);
    expect([...batch.sequences[0]!.inputIds]).toEqual((await ids(0)).slice(0, 3));
  });

  test("positions are of the data set's examples", async () => {
    const data = await dataset(100);
    const { sequences } = data.batch([0, 2]).batch;
    expect(data.length).toBe(3);
    expect(sequences.map(({ inputIds }) => [...inputIds])).toEqual([await ids(2), await ids(3)]);
    expect((await errorOf(async () => data.batch([3]))).code).toBe("E_ARGUMENT");
  });

  test("padding changes no loss", async () => {
    await using engine = await Engine.create(openModel(tinyBase), null, {
      precision: "fp32",
      threads: 2,
      maxTokens: 128,
      maxSequence: 64,
      training: false,
    });
    const plain = (await dataset(40)).batch([1, 0, 2]);
    const padded = (await dataset(40, { padTo: 40, padId: EOS })).batch([1, 0, 2]);
    expect((await engine.logits(padded.batch)).length).toBe(120 * openModel(tinyBase).config.vocabSize);
    expect(padded.supervisedTokens).toBe(plain.supervisedTokens);
    const losses = [await engine.evaluate(plain.batch), await engine.evaluate(padded.batch)];
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
