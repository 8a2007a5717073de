// One family per kind of attention and block, on an engine: threads, a stop, recomputed blocks, texts apart and together, weights in 4 and 8 bits.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readAdapter } from "../../src/checkpoint/index.js";
import { listLinears, openModel } from "../../src/model/index.js";
import { type AdapterTensors, Engine, type EngineOptions, type ModelSource } from "../../src/native/index.js";
import { goldensFolder, readReference, toBatch } from "../support/golden.js";

/** The base with its linears in 4 or 8 bits, quantised while they are loaded. */
function quantised(model: ModelSource, format: "nf4" | "i8"): ModelSource {
  const linears = new Set(listLinears(model).map(({ name }) => `${name}.weight`));
  const quantize = { format, doubleQuant: format === "nf4" } as const;
  return { ...model, tensors: model.tensors.map((t) => (linears.has(t.name) ? { ...t, quantize } : t)) };
}

const bytesOf = (tensors: AdapterTensors) =>
  [...tensors].map(([name, { data }]) => [name, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);

describe.each([
  ["gpt2", "learned positions, stored (in, out)"],
  ["opt-350m", "norms after each part, projections, rows of tokens"],
  ["opt-350m-all-linear", "adapters of the projections"],
  ["opt-350m-dora", "magnitudes of the projections"],
  ["bloom", "biases of keys"],
  ["falcon-rw", "rounded biases of keys"],
  ["falcon-7b", "parts of one norm"],
  ["falcon-40b", "parts with a norm each"],
  ["gpt-neo", "windows"],
  ["gptj", "neighbouring columns rotate"],
  ["stablelm", "a norm for each head"],
  ["gemma2", "caps"],
  ["gemma3", "two ropes"],
  ["cohere2", "layers without positions"],
])("%s: %s", (name) => {
  const folder = join(goldensFolder, name);
  const plain = openModel(folder);
  const initial = readAdapter(join(folder, "initial"), plain);
  const batch = toBatch(readReference(name).batch);

  async function open(options: Partial<EngineOptions> = {}, model = plain): Promise<Engine> {
    const shape = { precision: "fp32", threads: 1, maxTokens: 64, maxSequence: 64, training: true } as const;
    const engine = await Engine.create(model, { ...initial.spec, dropout: 0.1, seed: 3 }, { ...shape, ...options });
    await engine.setAdapter(initial.tensors);
    return engine;
  }

  async function steps(engine: Engine, count: number, first = 0): Promise<void> {
    for (let i = first; i < first + count; i++) {
      await engine.forwardBackward(batch, 0.05, i);
      await engine.optimizerStep({ learningRate: 1e-2, weightDecay: 0.1, maxGradNorm: 1 });
    }
  }

  test("the same bits for 1, 2 and 3 threads, with recomputed blocks and after a stop", async () => {
    for (const [precision, model] of [
      ["fp32", plain],
      ["bf16", quantised(plain, "nf4")],
      ["fp32", quantised(plain, "i8")],
    ] as const) {
      const results: unknown[] = [];
      for (const options of [{ threads: 1 }, { threads: 2 }, { threads: 3, checkpointedBlocks: plain.config.layers }]) {
        await using engine = await open({ precision, ...options }, model);
        await steps(engine, 3);
        results.push(bytesOf(await engine.adapter()));
      }
      await using stopped = await open({ precision }, model);
      await steps(stopped, 1);
      const [tensors, state] = [await stopped.adapter(), await stopped.optimizerState()];
      await using next = await open({ precision }, model);
      await next.setAdapter(tensors);
      await next.setOptimizerState(state);
      await steps(next, 2, 1);
      results.push(bytesOf(await next.adapter()));
      for (const result of results) expect(result).toEqual(results[0]);
    }
  });

  test("texts side by side lose what they lose alone, in 8 and 4 bits a little more or less", async () => {
    await using engine = await open();
    const together = await engine.evaluate(batch);
    let apart = 0;
    for (const sequence of batch.sequences) apart += await engine.evaluate({ sequences: [sequence] });
    expect(Math.abs(together / apart - 1)).toBeLessThan(1e-5);
    for (const [format, most] of [
      ["i8", 0.02],
      ["nf4", 0.2],
    ] as const) {
      await using small = await open({}, quantised(plain, format));
      const rounded = await small.evaluate(batch);
      expect(rounded).not.toBe(together);
      expect(Math.abs(rounded / together - 1)).toBeLessThan(most);
    }
  });
});
