// Variants of LoRA on an engine: what a bound on single operations does not show.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readAdapter } from "../../src/checkpoint/index.js";
import { openModel } from "../../src/model/index.js";
import { type AdapterSpec, type AdapterTensors, Engine, type EngineOptions } from "../../src/native/index.js";
import { errorOf, rewriteTensors, temporaryFolders } from "../support/folders.js";
import { goldensFolder, readReference, toBatch } from "../support/golden.js";
import { trainedLoss } from "../support/readings.js";

const folder = temporaryFolders();
const base = join(goldensFolder, "dora");
const model = openModel(base);
const read = readAdapter(join(base, "initial"), model);
const batch = toBatch(readReference("dora").batch);
const plain: AdapterSpec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets: read.spec.targets, seed: 3 };
const update = { learningRate: 1e-2, weightDecay: 0.1, maxGradNorm: 1 };

async function open(spec: AdapterSpec, options: Partial<EngineOptions> = {}): Promise<Engine> {
  const shape = { precision: "fp32", threads: 1, maxTokens: 64, maxSequence: 64, training: true } as const;
  return Engine.create(model, spec, { ...shape, ...options });
}

async function steps(engine: Engine, count: number, first = 0): Promise<void> {
  for (let i = first; i < first + count; i++) {
    await engine.forwardBackward(batch, 0.01, i);
    await engine.optimizerStep({ ...update, loraplusLrRatio: 4 });
  }
}

const bytesOf = (tensors: AdapterTensors) =>
  [...tensors].map(([name, { data }]) => [name, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);

test("a new DoRA adapter begins as the base: magnitudes are the norms of the weights' rows", async () => {
  await using engine = await open({ ...plain, useDora: true });
  const tensors = await engine.adapter();
  const name = `${plain.targets[0]}.lora_magnitude_vector`;
  expect(tensors.get(name)!.shape).toEqual([32]);
  expect([...tensors.get(name)!.data].every((norm) => norm > 0)).toBe(true);
  await using other = await open(plain);
  const [ours, theirs] = [await engine.logits(batch), await other.logits(batch)];
  for (const [i, logit] of ours.entries()) expect(Math.abs(logit - theirs[i]!)).toBeLessThan(1e-4);
});

test.each([undefined, "nf4"] as const)("DoRA on an output of zeros is an error that names it (%s)", async (format) => {
  const copy = join(folder(), "model");
  cpSync(base, copy, { recursive: true });
  const module = plain.targets[1]!;
  await rewriteTensors(copy, (tensor) => {
    const row = tensor.shape[1]! * 4;
    return tensor.name === `${module}.weight` ? { ...tensor, data: tensor.data.fill(0, 5 * row, 6 * row) } : tensor;
  });
  const stored = openModel(copy);
  const quantize = format && { format, doubleQuant: false };
  const tensors = stored.tensors.map((t) => (quantize && t.name === `${module}.weight` ? { ...t, quantize } : t));
  const shape = { precision: "fp32", threads: 1, maxTokens: 64, maxSequence: 64, training: true } as const;
  const create = () => Engine.create({ ...stored, tensors }, { ...plain, useDora: true }, shape);
  const error = await errorOf(create);
  expect([error.code, error.where]).toEqual(["E_TARGET", module]);
  expect(error.message).toContain(`Module "${module}": the weights of output 5 (counted from 0) are all zero`);
});

const VARIANTS: [string, Partial<AdapterSpec>][] = [
  ["DoRA", { useDora: true }],
  ["DoRA with dropout", { useDora: true, dropout: 0.2 }],
  ["biases of B", { bias: true, dropout: 0.2 }],
  ["NEFTune", { neftuneNoiseAlpha: 5 }],
  ["rows of tokens", { tokens: [{ module: "model.embed_tokens", ids: [4, 90, 21, 33, 60, 77] }], dropout: 0.2 }],
  ["LoRA-FA", { freezeA: true, dropout: 0.2 }],
  ["PiSSA", { rank: 6, freezesHalf: true, initialFactors: "pissa", dropout: 0.2 }],
  ["PiSSA with DoRA", { rank: 6, freezesHalf: true, initialFactors: "pissa", useDora: true, dropout: 0.2 }],
  ["ranks of single modules", { ranks: { [plain.targets[1]!]: 7, [plain.targets[3]!]: 1 }, dropout: 0.2 }],
];

test.each(VARIANTS)("%s: the same bits for 1, 2 and 3 threads, and after a stop", async (_, own) => {
  for (const precision of ["fp32", "bf16"] as const) {
    const results: unknown[] = [];
    for (const threads of [1, 2, 3]) {
      await using engine = await open({ ...plain, ...own }, { threads, precision });
      await steps(engine, 4);
      results.push(bytesOf(await engine.adapter()));
    }
    await using stopped = await open({ ...plain, ...own }, { precision, checkpointedBlocks: 2 });
    await steps(stopped, 2);
    const [tensors, state] = [await stopped.adapter(), await stopped.optimizerState()];
    await using next = await open({ ...plain, ...own, seed: plain.seed }, { threads: 2, precision });
    await next.setAdapter(tensors);
    await next.setOptimizerState(state);
    await steps(next, 2, 2);
    results.push(bytesOf(await next.adapter()));
    for (const result of results) expect(result).toEqual(results[0]);
  }
});

test.each([false, true])(
  "LoRA-FA: A stays as it begins, B makes the step that it makes with A; moments in 8 bits: %s",
  async (adamw8bit) => {
    const free = { ...update, maxGradNorm: 0 };
    const names = (tensors: AdapterTensors, part: string) =>
      bytesOf(tensors).filter(([name]) => String(name).includes(part));
    const optimizer = adamw8bit ? "adamw_8bit" : "adamw";
    await using frozen = await open({ ...plain, freezeA: true }, { optimizer });
    await using whole = await open(plain, { optimizer });
    const first = await frozen.adapter();
    for (const engine of [frozen, whole]) {
      await engine.forwardBackward(batch, 0.01, 0);
      await engine.optimizerStep(free);
    }
    expect(names(await frozen.adapter(), "lora_B")).toEqual(names(await whole.adapter(), "lora_B"));
    await steps(frozen, 3, 1);
    expect(names(await frozen.adapter(), "lora_A")).toEqual(names(first, "lora_A"));
    expect(names(await frozen.adapter(), "lora_B")).not.toEqual(names(first, "lora_B"));
  },
);

test("LoRA-FA: the norm is B's", async () => {
  await using frozen = await open({ ...plain, freezeA: true });
  await using whole = await open(plain);
  let squares = 0;
  for (const engine of [frozen, whole]) {
    // B is no longer zero, so that A has a gradient.
    await engine.forwardBackward(batch, 0.01, 0);
    await engine.optimizerStep({ ...update, maxGradNorm: 0 });
  }
  await whole.setAdapter(await frozen.adapter());
  for (const engine of [frozen, whole]) await engine.forwardBackward(batch, 0.01, 1);
  for (const [name, { data }] of await whole.gradients())
    if (name.includes("lora_B")) for (const value of data) squares += value * value;
  await frozen.optimizerStep(update);
  await whole.optimizerStep(update);
  const [ours, all] = [(await frozen.readings()).gradNorm, (await whole.readings()).gradNorm];
  expect(Math.abs(ours / Math.sqrt(squares) - 1)).toBeLessThan(1e-5);
  expect(ours).toBeLessThan(all);
});

test("NEFTune: noise in training alone, another in each micro-batch, of the wanted size", async () => {
  const tokens = 100;
  const mean = async (engine: Engine, stream: number) =>
    (await trainedLoss(engine, batch, 1 / tokens, stream)) / tokens;
  await using engine = await open({ ...plain, neftuneNoiseAlpha: 5 });
  await using without = await open(plain);
  expect(await engine.evaluate(batch)).toBe(await without.evaluate(batch));
  const [first, second] = [await mean(engine, 0), await mean(engine, 1)];
  expect(first).not.toBe(second);
  expect(first).not.toBe(await mean(without, 0));
});

test.each([
  [{ useDora: true, bias: true }, /use_dora goes with no lora_bias/],
  [{ freezesHalf: true, initialFactors: "pissa_niter_" }, /init_lora_weights is pissa_niter_, expected pissa/],
  [
    { rank: 66, freezesHalf: true, initialFactors: "pissa" },
    /LoRA rank of .* is 33, but its weight has only \d+ singular values/,
  ],
  [{ neftuneNoiseAlpha: -1 }, /neftune_noise_alpha must not be negative/],
])("%j is refused", async (own, message) => {
  await expect(open({ ...plain, ...own })).rejects.toThrow(message);
});
