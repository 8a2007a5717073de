import { describe, expect, test } from "vitest";
import { epochOrder, groupByLength, TokenDataset, Tokenizer } from "../../src/data/index.js";
import { packBestFit } from "../../src/data/packing.js";
import { openModel, resolveTargets } from "../../src/model/index.js";
import { type Batch, Engine } from "../../src/native/index.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";
import { largestDifference } from "../support/golden.js";
import { trainedLoss } from "../support/readings.js";
import { tableOf } from "../support/tokens.js";

const folder = temporaryFolders();

/** Lengths between 1 and `largest`, most of them short. */
function lengths(count: number, largest: number, seed = 1): Int32Array {
  let state = seed;
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 1 + Math.floor((state / 2 ** 32) ** 2 * largest);
  });
}

const packsOf = ({ values, starts }: ReturnType<typeof packBestFit>) =>
  Array.from({ length: starts.length - 1 }, (_, p) => [...values.subarray(starts[p], starts[p + 1])]);

/** The textbook's way: look at every pack, take the fullest with room. */
function slowBestFit(sizes: Int32Array, capacity: number): number[][] {
  const order = [...sizes.keys()].sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  const packs: { items: number[]; room: number }[] = [];
  for (const i of order) {
    const fitting = packs.filter(({ room }) => room >= sizes[i]!);
    const best = fitting.reduce<(typeof packs)[number] | null>((a, b) => (a && a.room <= b.room ? a : b), null);
    if (best) {
      best.items.push(i);
      best.room -= sizes[i]!;
    } else packs.push({ items: [i], room: capacity - sizes[i]! });
  }
  return packs.map(({ items }) => items);
}

describe("best fit", () => {
  test.each([
    [1, 10],
    [50, 10],
    [500, 64],
    [2000, 512],
    [300, 1],
  ])("%i values of at most %i: every value once, none overfull, as few packs as the slow way", (count, capacity) => {
    const sizes = lengths(count, capacity, count);
    const all = Int32Array.from(sizes.keys());
    const packs = packsOf(packBestFit(all, (i) => sizes[i]!, capacity));
    expect(packs.flat().sort((a, b) => a - b)).toEqual([...all]);
    const sums = packs.map((pack) => pack.reduce((sum, i) => sum + sizes[i]!, 0));
    expect(Math.max(...sums)).toBeLessThanOrEqual(capacity);
    const slow = slowBestFit(sizes, capacity).map((pack) => pack.reduce((sum, i) => sum + sizes[i]!, 0));
    // Which of several equally full packs is taken is open; how full they get is not.
    expect(sums.sort((a, b) => a - b)).toEqual(slow.sort((a, b) => a - b));
  });

  test("values of no tokens and values that are too long", () => {
    const sizes = [0, 5, 20, 0, 3];
    const packs = packsOf(packBestFit(Int32Array.of(0, 1, 2, 3, 4), (i) => sizes[i]!, 8));
    expect(packs.find((pack) => pack.includes(2))!.filter((i) => sizes[i]! > 0)).toEqual([2]);
    expect(packs.flat().sort()).toEqual([0, 1, 2, 3, 4]);
    expect(packBestFit(new Int32Array(), () => 1, 8).starts).toEqual(Int32Array.of(0));
  });
});

describe("groups of similar length", () => {
  const sizes = lengths(1000, 300);
  const all = Int32Array.from(sizes.keys());
  const order = epochOrder(all, 7, 0, true);
  const grouped = groupByLength(order, 8, (i) => sizes[i]!);

  test("the same items, the longest first of all", () => {
    expect([...grouped].sort((a, b) => a - b)).toEqual([...all]);
    expect(sizes[grouped[0]!]).toBe(Math.max(...sizes));
    expect(groupByLength(order, 8, (i) => sizes[i]!)).toEqual(grouped);
    expect(groupByLength(epochOrder(all, 7, 1, true), 8, (i) => sizes[i]!)).not.toEqual(grouped);
  });

  test("little padding would be needed", () => {
    const waste = (items: Int32Array) => {
      let [padded, real] = [0, 0];
      for (let at = 0; at < items.length; at += 8) {
        const batch = [...items.subarray(at, at + 8)].map((i) => sizes[i]!);
        padded += Math.max(...batch) * batch.length;
        real += batch.reduce((a, b) => a + b, 0);
      }
      return 1 - real / padded;
    };
    expect(waste(order)).toBeGreaterThan(0.4);
    expect(waste(grouped)).toBeLessThan(0.1);
  });

  test("few items", () => {
    for (const count of [1, 2, 7, 31, 33]) {
      const few = Int32Array.from({ length: count }, (_, i) => i);
      expect([...groupByLength(few, 8, (i) => sizes[i]!)].sort((a, b) => a - b)).toEqual([...few]);
    }
  });
});

describe("packed training", () => {
  const model = openModel(tinyBase);
  const targets = resolveTargets(model, "all-linear").modules;
  const spec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets, seed: 1 };
  const shape = { precision: "fp32", threads: 2, maxTokens: 512, maxSequence: 64, training: true } as const;
  const texts = Array.from({ length: 23 }, (_, i) => `text ${i} ${"of some words ".repeat(1 + (i % 5))}`);

  /** Loss and gradients over all batches, from an adapter whose B is not zero. */
  async function learn(batches: Batch[], supervised: number) {
    await using engine = await Engine.create(model, spec, shape);
    const adapter = await engine.adapter();
    for (const { data } of adapter.values()) for (let i = 0; i < data.length; i++) data[i]! += Math.sin(i) / 50;
    await engine.setAdapter(adapter);
    let loss = 0;
    for (const [i, batch] of batches.entries()) loss += await trainedLoss(engine, batch, 1 / supervised, i);
    return { loss: loss / supervised, gradients: await engine.gradients() };
  }

  test("loss and gradients are those of the same texts one by one", async () => {
    const tokenizer = await Tokenizer.open(tinyBase);
    const table = await tableOf(texts, { tokenizer, folder: folder(), maxLength: 64 });
    const all = Int32Array.from(texts.keys());
    const packed = new TokenDataset(table, all, { packTo: 64 });
    expect([packed.examples, packed.length < 15]).toEqual([23, true]);
    const each = (dataset: TokenDataset, size: number) =>
      Array.from({ length: Math.ceil(dataset.length / size) }, (_, b) =>
        dataset.batch(Array.from({ length: Math.min(size, dataset.length - b * size) }, (_, i) => b * size + i)),
      );
    const [alone, together] = [each(new TokenDataset(table, all), 1), each(packed, 4)];
    const count = (of: typeof alone) => of.reduce((sum, { supervisedTokens }) => sum + supervisedTokens, 0);
    expect(count(together)).toBe(count(alone));
    const shown = (of: typeof alone) =>
      of.flatMap(({ batch }) => batch.sequences.map(({ inputIds }) => inputIds.join())).sort();
    expect(shown(together)).toEqual(shown(alone));
    const a = await learn(
      alone.map(({ batch }) => batch),
      count(alone),
    );
    const b = await learn(
      together.map(({ batch }) => batch),
      count(alone),
    );
    expect(Math.abs(a.loss / b.loss - 1)).toBeLessThan(1e-5);
    for (const [name, { data }] of a.gradients) {
      const { difference, scale } = largestDifference(b.gradients.get(name)!.data, data);
      expect(difference / scale, name).toBeLessThan(1e-5);
    }
  });
});
