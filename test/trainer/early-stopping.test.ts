import { describe, expect, test } from "vitest";
import { EarlyStopping } from "../../src/trainer/early-stopping.js";

/** Evaluations after which a run ends; null where it does not. */
function endOf(metrics: number[], patience: number, threshold: number): number | null {
  let stopping = new EarlyStopping({ patience, threshold });
  for (const [i, metric] of metrics.entries()) {
    // As if the run were stopped and resumed between any two evaluations.
    stopping = new EarlyStopping({ patience, threshold }, structuredClone(stopping.state));
    stopping.note(metric);
    if (stopping.isOver) return i + 1;
  }
  return null;
}

describe("early stopping", () => {
  // The decisions of transformers 5.24's EarlyStoppingCallback on these metrics, called as its Trainer calls it
  // (first the callback, then the best metric).
  test.each([
    [[3, 2, 1, 1, 1], 2, 0, 5],
    [[3, 2, 2.5, 1.9, 2, 2.1], 2, 0, 6],
    [[1, 0.95, 0.9, 0.85, 0.8], 2, 0.1, 3],
    [[1, 0.95, 0.8, 0.85, 0.69, 0.68], 2, 0.1, null],
    [[1, 2, 3], 1, 0, 2],
    [[5, 4, 3, 2], 1, 0, null],
    [[1, 1], 1, 0, 2],
    [[2, Number.NaN, 1], 2, 0, null],
  ])("%j with patience %i and threshold %f: %s", (metrics, patience, threshold, expected) => {
    expect(endOf(metrics, patience, threshold)).toBe(expected);
  });
});
