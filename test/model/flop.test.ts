// FLOP of a step by the model's shape, against the operations' own count.
import { describe, expect, test } from "vitest";
import { listLinears, openModel } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import { modelFlop } from "../../src/trainer/index.js";
import { MatmulPeak } from "../../src/trainer/peak.js";

const model = openModel(new URL("../../examples/tiny-base", import.meta.url).pathname);
const lengths = [100, 37, 64];
const batch = { sequences: lengths.map((n) => ({ inputIds: Int32Array.from({ length: n }, (_, i) => 2 + i) })) };
const tokens = lengths.reduce((sum, n) => sum + n, 0);
const supervisedTokens = tokens - lengths.length;
const window = { step: 1, epoch: 0, firstIndex: 0, tokens, supervisedTokens };

test.each([4, 64])("rank %d: products, adapters, attention and the head", async (rank) => {
  const all = listLinears(model).map(({ name }) => name);
  const spec = { rank, alpha: 8, dropout: 0, useRslora: false, targets: all, seed: 1 };
  const options = { precision: "fp32", threads: 2, maxTokens: tokens, maxSequence: 128, training: true } as const;
  await using engine = await Engine.create(model, spec, { ...options, profile: true });
  const peak = await engine.matmulPeak(); // not among the timed operations
  await engine.forwardBackward(batch, 1 / supervisedTokens, 0);
  const { events, names, matmulPeak } = await engine.profile();
  expect(matmulPeak).toBeGreaterThanOrEqual(peak);
  let counted = 0;
  for (let i = 0; i < events.length; i += 4) {
    // The operation computes the scores again in the backward pass, and the model's FLOP leave that out.
    const again = names[events[i]!] === "attention_bwd" ? 8 / 10 : 1;
    counted += again * events[i + 3]!;
  }
  // The lowest block's q, k and v need no gradient of their input.
  const { hiddenSize: dim, headDim, heads, kvHeads } = model.config;
  counted += 2 * tokens * dim * headDim * (heads + 2 * kvHeads);
  const microBatches = [{ batch, tokens, supervisedTokens }];
  expect(modelFlop(model, spec)({ ...window, microBatches }) / counted).toBeCloseTo(1, 5);
});

test("a product's best speed is measured once", async () => {
  const options = { precision: "bf16", threads: 2, maxTokens: 64, maxSequence: 64, training: false } as const;
  await using engine = await Engine.create(model, null, options);
  const peak = await engine.matmulPeak();
  expect(peak).toBeGreaterThan(1e8);
  expect(await engine.matmulPeak()).toBe(peak);
  expect(await engine.matmulPeak(true)).toBeGreaterThanOrEqual(peak);
});

test.each<[string, (engine: Engine) => Promise<unknown>]>([
  ["measuring it again", (engine) => engine.matmulPeak(true)],
  ["giving the buffers back", (engine) => engine.trim()],
])("%s between two steps changes no bit", async (_, between) => {
  const targets = listLinears(model).map(({ name }) => name);
  const spec = { rank: 4, alpha: 8, dropout: 0.1, useRslora: false, targets, seed: 1 };
  const options = { precision: "bf16", threads: 2, maxTokens: tokens, maxSequence: 128, training: true } as const;
  const train = async (between?: (engine: Engine) => Promise<unknown>) => {
    await using engine = await Engine.create(model, spec, options);
    for (let step = 0; step < 3; step++) {
      await engine.forwardBackward(batch, 1 / supervisedTokens, 2 * step);
      await between?.(engine);
      await engine.forwardBackward(batch, 1 / supervisedTokens, 2 * step + 1);
      await engine.optimizerStep({ learningRate: 1e-2, weightDecay: 0, maxGradNorm: 1 });
      await between?.(engine);
    }
    return engine.adapter();
  };
  expect(await train(between)).toEqual(await train());
});

describe("the peak that steps are compared with", () => {
  /** Each measurement gives the next of these, or the best before it; none takes longer than a millisecond. */
  const measured = (...speeds: number[]) => {
    let [best, calls] = [0, 0];
    const engine = { matmulPeak: async () => (best = Math.max(best, speeds[Math.min(calls++, speeds.length - 1)]!)) };
    return { peak: new MatmulPeak(engine), calls: () => calls };
  };

  test("is measured again where steps were faster, once without a wait", async () => {
    const { peak, calls } = measured(75, 120);
    await peak.keepUp(0);
    await peak.keepUp(100);
    expect([peak.flopPerSecond, calls(), peak.warning(100 / peak.flopPerSecond)]).toEqual([120, 2, null]);
  });

  test("is measured again now and then, and takes a hundredth of the time at most", async () => {
    const { peak, calls } = measured(75);
    await peak.keepUp(0);
    for (const begun = performance.now(); performance.now() - begun < 300; ) await peak.keepUp(10);
    expect(calls()).toBeGreaterThan(1);
    const slow = new MatmulPeak({ matmulPeak: () => new Promise((resolve) => setTimeout(resolve, 20, 5)) });
    await slow.keepUp(0);
    const begun = performance.now();
    await slow.keepUp(4);
    expect(performance.now() - begun).toBeLessThan(15);
  });

  test("a share above one is said why, once", async () => {
    const { peak } = measured(75);
    await peak.keepUp(0);
    await peak.keepUp(100);
    expect(peak.warning(100 / 75)).toMatch(/mfu is 133 %: the steps were faster than a product alone whenever/);
    expect(peak.warning(100 / 75)).toBeNull();
  });
});
