// FLOP of a step by the model's shape, against what the operations themselves count.
import { expect, test } from "vitest";
import { Engine, listLinears } from "../src/engine.js";
import { openModel } from "../src/model/index.js";
import { modelFlop } from "../src/trainer/index.js";

const model = openModel(new URL("../examples/tiny-base", import.meta.url).pathname);
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
  const peak = await engine.matmulPeak(); // not among what is timed
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
});
