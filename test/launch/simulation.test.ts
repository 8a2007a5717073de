// The formulas of scripts/simulate-ranks.mjs.
import { expect, test } from "vitest";
import {
  breakEvenTokens,
  bytesSent,
  efficiency,
  exchangeSeconds,
  speedup,
  tokensFor,
} from "../../scripts/support/ranks-model.mjs";

const eight = { tokensPerSecond: 12_473, parameters: 41_943_040, linkBitsPerSecond: 25e9, latency: 0 };
const near = (found: number, expected: number) => expect(Math.abs(found / expected - 1)).toBeLessThan(1e-12);

test("bytes: as many as a ring's", () => {
  // Two ranks: half of the gradients out, half of the sums out.
  expect(bytesSent(1000, 2)).toBe(4000);
  expect(bytesSent(1000, 4)).toBe(6000);
  expect(bytesSent(1000, 1)).toBe(0);
});

test("the exchange is sending, adding up and copying", () => {
  expect(exchangeSeconds(eight, 1)).toBe(0);
  // 167.8 MB each way between two ranks.
  near(exchangeSeconds({ ...eight, addBytesPerSecond: Infinity }, 2), (8 * 4 * 41_943_040) / 25e9);
  const without = exchangeSeconds(eight, 8);
  near(exchangeSeconds({ ...eight, latency: 1e-3 }, 8) - without, 14e-3);
  near(exchangeSeconds({ ...eight, copyBytesPerSecond: 55e9 }, 8) - without, (2 * 4 * 41_943_040) / 55e9);
});

test("efficiency, and the batches at which it pays, agree with one another", () => {
  for (const ranks of [2, 5, 64]) {
    near(efficiency(eight, ranks, tokensFor(eight, ranks, 0.9) / ranks), 0.9);
    near(speedup(eight, ranks, breakEvenTokens(eight, ranks) / ranks), 1);
  }
  // No exchange for one rank, twice the tokens are worth half of the exchange.
  expect(efficiency(eight, 1, 8192)).toBe(1);
  const lost = (tokens: number) => 1 / efficiency(eight, 8, tokens) - 1;
  near(lost(8192) / lost(16_384), 2);
});
