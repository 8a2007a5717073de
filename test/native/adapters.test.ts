// Several adapters and texts on one base.
import { describe, expect, test } from "vitest";
import { openModel, resolveTargets } from "../../src/model/index.js";
import {
  type AdapterSpec,
  type AdapterTensors,
  BASE,
  type Batch,
  Engine,
  type EngineOptions,
  type Optimizer,
  type Precision,
  planMemory,
} from "../../src/native/index.js";
import { steppedNorm, trainedLoss } from "../support/readings.js";
import { tinyBase } from "../support/tiny.js";

const model = openModel(tinyBase);
const modules = (targets: string) => resolveTargets(model, targets).modules;
const small: AdapterSpec = {
  rank: 2,
  alpha: 4,
  dropout: 0,
  useRslora: false,
  targets: modules("q_proj,v_proj"),
  seed: 1,
};
const large: AdapterSpec = {
  rank: 16,
  alpha: 8,
  dropout: 0.1,
  useRslora: true,
  targets: modules("all-linear"),
  seed: 2,
};

function options(precision: Precision, more: Partial<EngineOptions> = {}): EngineOptions {
  return { precision, threads: 2, maxTokens: 64, maxSequence: 32, cacheTokens: 32, training: true, ...more };
}

function batch(seed: number): Batch {
  const text = (length: number) => Int32Array.from({ length }, (_, i) => (seed * 31 + i * i * 7 + length) % 200);
  return { sequences: [{ inputIds: text(20) }, { inputIds: text(9) }, { inputIds: text(31) }] };
}

/** One step of one adapter: its loss and norm. */
async function step(engine: Engine, seed: number, adapter?: number): Promise<number[]> {
  const loss = await trainedLoss(engine, batch(seed), 1 / 57, seed, adapter);
  const norm = await steppedNorm(engine, { learningRate: 1e-2, weightDecay: 0.1, maxGradNorm: 1 }, adapter);
  return [loss, norm, await engine.evaluate(batch(seed + 1), adapter)];
}

const STEPS = 4;

async function alone(spec: AdapterSpec, o: EngineOptions) {
  await using engine = await Engine.create(model, spec, o);
  const numbers: number[][] = [];
  for (let i = 0; i < STEPS; i++) numbers.push(await step(engine, i));
  return { numbers, adapter: await engine.adapter(), state: await engine.optimizerState() };
}

describe.each<[Precision, Optimizer, number]>([
  ["fp32", "adamw", 0],
  ["bf16", "adamw_8bit", 2],
])("%s, %s", (precision, optimizer, checkpointedBlocks) => {
  const o = options(precision, { optimizer, checkpointedBlocks });

  test("adapters trained in turn on one base are bit for bit those trained alone", async () => {
    const expected = [await alone(small, o), await alone(large, o), await alone(small, o)];
    await using engine = await Engine.create(model, [small, large], o);
    const numbers: number[][][] = [[], [], []];
    for (let i = 0; i < STEPS; i++) {
      for (const adapter of [0, 1]) numbers[adapter]!.push(await step(engine, i, adapter));
    }
    // One that is added later begins as the first did.
    expect(await engine.addAdapter(small)).toBe(2);
    for (let i = 0; i < STEPS; i++) numbers[2]!.push(await step(engine, i, 2));
    for (const [adapter, one] of expected.entries()) {
      expect(numbers[adapter]).toEqual(one.numbers);
      expect(await engine.adapter(adapter)).toEqual(one.adapter);
      expect(await engine.optimizerState(adapter)).toEqual(one.state);
    }
    expect(expected[0]!.numbers).not.toEqual(expected[1]!.numbers);
  });

  test("buffers grow for a larger adapter that is added between two steps", async () => {
    const [first, second] = [await alone(small, o), await alone(large, o)];
    await using engine = await Engine.create(model, small, o);
    const numbers: number[][][] = [[], []];
    for (let i = 0; i < STEPS; i++) {
      if (i === 2) expect(await engine.addAdapter(large)).toBe(1);
      numbers[0]!.push(await step(engine, i));
    }
    for (let i = 0; i < STEPS; i++) numbers[1]!.push(await step(engine, i, 1));
    expect(numbers).toEqual([first.numbers, second.numbers]);
    expect(await engine.adapter(1)).toEqual(second.adapter);
  });
});

test.each([
  [64, 16],
  [16, 16],
  [8, 16],
  [16, 64],
])(
  "after one of rank %i, an adapter of rank %i adds at most its parameters, gradients and moments, and 5 %",
  (before, rank) => {
    const o = options("bf16");
    const [first, second] = [before, rank].map((r) => ({ ...large, rank: r }));
    const added = planMemory(model, [first!, second!], o).totalBytes - planMemory(model, first!, o).totalBytes;
    const [parameters, more] = [
      countParameters(second!),
      countParameters({ ...second!, rank: Math.max(0, rank - before) }),
    ];
    // Gradients are there once, for the largest.
    expect(added).toBeGreaterThanOrEqual(12 * parameters + 4 * more);
    expect(added).toBeLessThanOrEqual(1.05 * 16 * parameters);
  },
);

test("one adapter's step is in progress at a time", async () => {
  const o = options("fp32");
  const [first, second] = [await alone(small, o), await alone(large, o)];
  await using engine = await Engine.create(model, [small, small], o);
  await engine.forwardBackward(batch(5), 1, 0, { adapter: 1 });
  const refused = { code: "E_STATE", message: expect.stringMatching(/Another adapter's step is in progress/) };
  await expect(engine.forwardBackward(batch(0), 1, 0)).rejects.toMatchObject(refused);
  await expect(engine.gradients()).rejects.toMatchObject(refused);
  await expect(engine.optimizerStep({ learningRate: 1, weightDecay: 0, maxGradNorm: 1 })).rejects.toMatchObject(
    refused,
  );
  expect(Number.isFinite(await engine.evaluate(batch(0)))).toBe(true);
  // With the adapter its step goes, and leaves nothing.
  await engine.removeAdapter(1);
  const numbers: number[][] = [];
  for (let i = 0; i < STEPS; i++) numbers.push(await step(engine, i));
  expect(numbers).toEqual(first.numbers);
  expect(await engine.adapter()).toEqual(first.adapter);

  // A larger one that comes in the middle of a step takes nothing of it.
  const micro = [batch(1), batch(2)];
  const steps: AdapterTensors[] = [];
  for (const comes of [false, true]) {
    await using grown = await Engine.create(model, small, o);
    await grown.forwardBackward(micro[0]!, 0.01, 0);
    if (comes) await grown.addAdapter(large);
    await grown.forwardBackward(micro[1]!, 0.01, 1);
    await grown.optimizerStep({ learningRate: 1e-2, weightDecay: 0, maxGradNorm: 1 });
    steps.push(await grown.adapter());
    if (!comes) continue;
    const later: number[][] = [];
    for (let i = 0; i < STEPS; i++) later.push(await step(grown, i, 1));
    expect(later).toEqual(second.numbers);
  }
  expect(steps[1]).toEqual(steps[0]);
});

/** Counted from the shapes of the linears, not from the engine. */
function countParameters({ rank, targets }: AdapterSpec): number {
  const shapes = new Map(model.tensors.map(({ name, shape }) => [name, shape]));
  return targets.reduce((sum, name) => {
    const [out, inputs] = shapes.get(`${name}.weight`)!;
    return sum + rank * (out! + inputs!);
  }, 0);
}

test("texts are generated side by side, each with its adapter", async () => {
  const o = options("fp32", { training: false, texts: 2 });
  const random = { ...large, targets: modules("q_proj,down_proj") };
  const prompt = Int32Array.from([3, 14, 15, 92, 65]);
  const sampling = { temperature: 0.8, topK: 0, topP: 1, seed: 7 };
  await using engine = await Engine.create(model, [small, random], o);
  for (const adapter of [0, 1]) {
    const tensors = await engine.adapter(adapter);
    for (const { data } of tensors.values()) data.set(data.map((_, i) => Math.sin(i * (adapter + 1)) / 10));
    await engine.setAdapter(tensors, adapter);
  }
  const generate = async (adapter: number) => {
    const tokens = [await engine.generateStart(prompt, sampling, adapter)];
    while (tokens.length < 8) tokens.push(await engine.generateNext(tokens.at(-1)!));
    return tokens;
  };
  const expected = [await generate(0), await generate(1), await generate(BASE)];
  expect(new Set(expected.map(String)).size).toBe(3);
  for (const [a, b] of [
    [0, 1],
    [1, BASE],
  ] as const) {
    const tokens = [
      [await engine.generateStart(prompt, sampling, a, 0)],
      [await engine.generateStart(prompt, sampling, b, 1)],
    ];
    while (tokens[0]!.length < 8) {
      for (const text of [1, 0]) tokens[text]!.push(await engine.generateNext(tokens[text]!.at(-1)!, text));
    }
    expect(tokens).toEqual([expected[a], expected.at(b)]);
  }
  // The base alone, as an engine without adapters has it.
  await using base = await Engine.create(model, null, o);
  expect(await engine.logits(batch(1), BASE)).toEqual(await base.logits(batch(1)));
  expect(await engine.logits(batch(1), 1)).not.toEqual(await base.logits(batch(1)));
});

test("numbers that there are not are errors, and the engine goes on", async () => {
  await using engine = await Engine.create(model, [small, large], options("fp32"));
  const state = (message: RegExp) => ({ code: "E_STATE", message: expect.stringMatching(message) });
  await expect(engine.evaluate(batch(1), 2)).rejects.toMatchObject(state(/no adapter of number 2/));
  await expect(engine.adapter(-2)).rejects.toMatchObject(state(/no adapter of number -2/));
  await expect(engine.forwardBackward(batch(1), 1, 0, { adapter: BASE })).rejects.toMatchObject(
    state(/no adapter of number -1/),
  );
  const sampling = { temperature: 0, topK: 0, topP: 1, seed: 0 };
  await expect(engine.generateStart(Int32Array.of(1), sampling, 0, 1)).rejects.toMatchObject(
    state(/1 texts at a time/),
  );
  await engine.generateStart(Int32Array.of(1), sampling, 1);
  await engine.removeAdapter(1);
  await expect(engine.generateNext(1)).rejects.toMatchObject(state(/before generateStart/));
  await expect(engine.evaluate(batch(1), 1)).rejects.toMatchObject(state(/no adapter of number 1/));
  await expect(engine.addAdapter({ ...small, targets: ["no.such"] })).rejects.toMatchObject({ code: "E_TARGET" });
  expect(await engine.addAdapter(large)).toBe(2);
  expect(await engine.evaluate(batch(1), 2)).toBe(await engine.evaluate(batch(1), BASE));
});
