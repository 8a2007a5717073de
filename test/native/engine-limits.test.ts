// Sizes that no machine has: an error of the call, and the process goes on.
import { describe, expect, test } from "vitest";
import { openModel } from "../../src/model/index.js";
import { type AdapterSpec, Engine, type EngineOptions, planMemory } from "../../src/native/index.js";
import { errorOf, tinyBase } from "../support/folders.js";

const model = openModel(tinyBase);
const sizes: EngineOptions = { precision: "fp32", threads: 1, maxTokens: 64, maxSequence: 64, training: true };
const spec: AdapterSpec = {
  ...{ rank: 4, alpha: 8, dropout: 0, useRslora: false, seed: 1 },
  targets: ["model.layers.0.self_attn.q_proj"],
};
const code = async (call: () => unknown) => (await errorOf(call)).code;
const absurd = [2 ** 31, 2 ** 40, 2 ** 53 - 1, -1, 0];

test.each(absurd)("%d threads, tokens, positions or ranks", async (n) => {
  for (const size of ["threads", "maxTokens", "maxSequence"]) {
    expect([size, await code(() => Engine.create(model, spec, { ...sizes, [size]: n }))]).toEqual([size, "E_OPTIONS"]);
    expect([size, await code(() => planMemory(model, spec, { ...sizes, [size]: n }))]).toEqual([size, "E_OPTIONS"]);
  }
  expect(await code(() => Engine.create(model, { ...spec, rank: n }, sizes))).toBe("E_OPTIONS");
});

describe("maxTokens below maxSequence", () => {
  const narrow = { ...sizes, maxTokens: 8, maxSequence: 512 };
  const batch = (...lengths: number[]) => ({
    sequences: lengths.map((n) => ({ inputIds: Int32Array.from({ length: n }, (_, i) => (i * 7 + n) % 2000) })),
  });
  const texts = batch(8, 5, 3, 8, 1, 7);

  test("a longer sequence is an error of the call", async () => {
    await using training = await Engine.create(model, spec, narrow);
    await using inference = await Engine.create(model, spec, { ...narrow, training: false });
    for (const call of [
      () => training.forwardBackward(batch(3, 400), 1, 0),
      () => inference.evaluate(batch(3, 400)),
      () => inference.logits(batch(3, 9)),
    ]) {
      const error = await errorOf(call);
      expect(error.code).toBe("E_BATCH");
      expect(error.message).toMatch(
        /^Batch: sequence 1 has \d+ tokens, but the engine was opened for 8 at a time \(maxTokens\)/,
      );
    }
    expect(await inference.evaluate(texts)).toBeGreaterThan(0);
  });

  test("larger batches are as with a larger one; so is a long sequence that an engine which trains evaluates", async () => {
    const found = [];
    for (const maxTokens of [8, 512]) {
      await using engine = await Engine.create(model, spec, { ...narrow, maxTokens });
      await engine.forwardBackward(texts, 1 / 26, 0);
      const { windowLoss } = await engine.readings();
      const gradients = [...(await engine.gradients()).values()].flatMap(({ data }) => [...data]);
      found.push({
        long: await engine.evaluate(batch(400)),
        loss: await engine.evaluate(texts),
        windowLoss,
        gradients,
      });
    }
    const [a, b] = [found[0]!, found[1]!];
    expect([a.long, a.loss]).toEqual([b.long, b.loss]);
    expect(a.windowLoss / b.windowLoss).toBeCloseTo(1, 5);
    const largest = Math.max(...b.gradients.map(Math.abs));
    for (const [i, x] of a.gradients.entries()) expect(Math.abs(x - b.gradients[i]!)).toBeLessThan(1e-5 * largest);
  });
});

test("batches", async () => {
  await using engine = await Engine.create(model, spec, sizes);
  const sequences = [{ inputIds: Int32Array.from([1, 2, 3]) }];
  for (const padTo of [2 ** 28, 2 ** 31, 2 ** 53 - 1]) {
    expect(await code(() => engine.evaluate({ sequences, padTo, padId: 0 }))).toBe("E_BATCH");
  }
  expect(await engine.evaluate({ sequences })).toBeGreaterThan(0);
});
