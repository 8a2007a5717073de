// Sizes that no machine has: an error of the call, and the process goes on.
import { expect, test } from "vitest";
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

test("batches", async () => {
  await using engine = await Engine.create(model, spec, sizes);
  const sequences = [{ inputIds: Int32Array.from([1, 2, 3]) }];
  for (const padTo of [2 ** 28, 2 ** 31, 2 ** 53 - 1]) {
    expect(await code(() => engine.evaluate({ sequences, padTo, padId: 0 }))).toBe("E_BATCH");
  }
  expect(await engine.evaluate({ sequences })).toBeGreaterThan(0);
});
