import { describe, expect, test } from "vitest";
import { countSteps, countWarmup, learningRateFactor } from "../../src/trainer/schedule.js";

const factors = (scheduler: "linear" | "cosine" | "constant", warmup: number, total: number) =>
  Array.from({ length: total }, (_, done) => learningRateFactor(scheduler, done, warmup, total));

function expectClose(found: number[], expected: number[]): void {
  expect(found).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(found[i], `step ${i + 1}`).toBeCloseTo(value, 14);
}

// Worked out by hand from the Hugging Face definitions; the cosines are of 0, 30, 60, ... degrees.
describe("the learning rate of each step", () => {
  test("linear with warmup", () => {
    expectClose(factors("linear", 3, 10), [0, 1 / 3, 2 / 3, 1, 6 / 7, 5 / 7, 4 / 7, 3 / 7, 2 / 7, 1 / 7]);
  });

  test("linear without warmup begins at the peak", () => {
    expectClose(factors("linear", 0, 4), [1, 0.75, 0.5, 0.25]);
  });

  test("cosine with warmup", () => {
    const root3 = Math.sqrt(3);
    expectClose(factors("cosine", 2, 8), [0, 0.5, 1, 0.5 + root3 / 4, 0.75, 0.5, 0.25, 0.5 - root3 / 4]);
  });

  test("constant with warmup", () => {
    expectClose(factors("constant", 4, 6), [0, 0.25, 0.5, 0.75, 1, 1]);
  });

  test("warmup of the whole run, and past the end", () => {
    expectClose(factors("linear", 3, 3), [0, 1 / 3, 2 / 3]);
    expect(learningRateFactor("linear", 12, 3, 10)).toBe(0);
    expect(learningRateFactor("cosine", 10, 3, 10)).toBe(0);
  });
});

describe("the number of steps", () => {
  const work = { rows: 10, batchSize: 4, accumulation: 2, epochs: 3 };

  test("an epoch's last batch and last window may be smaller", () => {
    expect(countSteps(work)).toEqual({ microBatchesPerEpoch: 3, perEpoch: 2, total: 6 });
    expect(countSteps({ ...work, rows: 8 })).toEqual({ microBatchesPerEpoch: 2, perEpoch: 1, total: 3 });
    expect(countSteps({ ...work, rows: 1, accumulation: 16 })).toEqual({
      microBatchesPerEpoch: 1,
      perEpoch: 1,
      total: 3,
    });
  });

  test("epochs may be a fraction, and max_steps wins over them", () => {
    expect(countSteps({ ...work, epochs: 0.5 }).total).toBe(1);
    expect(countSteps({ ...work, epochs: 2.4 }).total).toBe(5);
    expect(countSteps({ ...work, maxSteps: 17 }).total).toBe(17);
  });

  test("no texts", () => {
    expect(() => countSteps({ ...work, rows: 0 })).toThrow("no texts");
  });

  test("warmup: a share is rounded up, a number of steps wins, 0 among them", () => {
    expect(countWarmup(10, 0.03)).toBe(1);
    expect(countWarmup(1000, 0.0301)).toBe(31);
    expect(countWarmup(100, 0)).toBe(0);
    expect(countWarmup(100, 0.5, 7)).toBe(7);
    expect(countWarmup(100, 0.5, 0)).toBe(0);
  });
});
