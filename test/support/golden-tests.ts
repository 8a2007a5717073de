// The whole path against torch + transformers + peft: the outputs of scripts/goldens/make.py, on models of a few kilobytes.
import { join } from "node:path";
import { expect, test } from "vitest";
import { readAdapter } from "../../src/checkpoint/adapter.js";
import { openModel } from "../../src/model/index.js";
import { type AdapterTensors, CPU, Engine, type EngineOptions, kernelsOf } from "../../src/native/index.js";
import { parameterCounts } from "../../src/setup/memory/plan.js";
import {
  cosine,
  goldensFolder,
  largestDifference,
  names,
  readReference,
  readTensors,
  supervisedTokens,
  toBatch,
} from "./golden.js";
import { steppedNorm, trainedLoss } from "./readings.js";

const THREADS = 2;

/**
 * Largest differences in fp32; logits, gradients and adapter as a share of the tensor's largest element. They are about
 * ten times the measured differences, and small enough that another epsilon or beta of AdamW breaks them.
 */
const LIMITS = { logits: 2e-5, loss: 1e-5, gradient: 5e-5, gradNorm: 1e-4, adapter: 2e-5 };
/** bf16 carries 8 bits: these are steps of a model that is all noise, on which rounding weighs more than on a real one. */
const LIMITS_BF16 = { loss: 2e-2, gradientCosine: 0.99, traceLoss: 3e-2, gradNorm: 0.1 };

/** fp16 has three more bits than bf16. */
const LIMITS_FP16 = { loss: 3e-3, gradientCosine: 0.9995, traceLoss: 5e-3, gradNorm: 2e-2 };
/**
 * Chains of f16 round their sums beside the operands. Of n products, operands have a variance of 2 n, chains of 16 one of 8 n
 * (docs/kernels.md): the square root of 5 times the error, and 5 times the angle's square.
 */
const LIMITS_FP16_IN_CHAINS = { loss: 6.7e-3, gradientCosine: 0.9975, traceLoss: 1.1e-2, gradNorm: 4.5e-2 };
const sixteenBits = (device: string) =>
  [
    { precision: "bf16", limits: LIMITS_BF16, lossScale: 1 },
    {
      precision: "fp16",
      limits: kernelsOf(device) === "avx512fp16" ? LIMITS_FP16_IN_CHAINS : LIMITS_FP16,
      lossScale: 1024,
    },
  ] as const;

/** The golden model with one of its two adapters. */
async function openGolden(
  name: string,
  options: Pick<EngineOptions, "precision"> & Partial<EngineOptions>,
  which: "initial" | "final" = "initial",
): Promise<Engine> {
  const folder = join(goldensFolder, name);
  const model = openModel(folder);
  const adapter = readAdapter(join(folder, which), model);
  const engine = await Engine.create(model, adapter.spec, {
    threads: THREADS,
    maxTokens: 128,
    maxSequence: 64,
    training: true,
    ...options,
  });
  await engine.setAdapter(adapter.tensors);
  return engine;
}

/** Name and size of the worst tensor: largest difference as a share of the tensor's largest element. */
function worstTensor(ours: AdapterTensors, reference: Map<string, { data: Float32Array }>) {
  let worst = { name: "", share: 0 };
  for (const [name, { data }] of ours) {
    const { difference, scale } = largestDifference(data, reference.get(name)!.data);
    if (!(difference / scale <= worst.share)) worst = { name, share: difference / scale };
  }
  return worst;
}

/** The reference's ten steps, its learning rates taken from the trace. */
export async function train(engine: Engine, training: ReturnType<typeof readReference>["training"], lossScale = 1) {
  const batches = training.micro_batches.map(toBatch);
  const rows: { loss: number; gradNorm: number }[] = [];
  for (const { step, learning_rate } of training.trace) {
    const perStep = training.gradient_accumulation_steps;
    const window = batches.slice((step - 1) * perStep, step * perStep);
    const tokens = window.reduce((sum, batch) => sum + supervisedTokens(batch), 0);
    let loss = 0;
    for (const [i, batch] of window.entries()) {
      loss += (await trainedLoss(engine, batch, lossScale / tokens, (step - 1) * perStep + i)) / tokens;
    }
    const gradNorm = await steppedNorm(engine, {
      learningRate: learning_rate,
      weightDecay: training.weight_decay,
      loraplusLrRatio: training.loraplus_lr_ratio ?? 1,
      maxGradNorm: training.max_grad_norm,
      beta1: training.beta1,
      beta2: training.beta2,
      epsilon: training.epsilon,
      lossScale,
    });
    rows.push({ loss, gradNorm });
  }
  return rows;
}

/**
 * Declares the tests of one golden folder, and fewer of another device.
 * @param name of a folder in test/goldens
 * @param what "16 bits": of a form of the device's operations in which those of fp32 are as they are without it
 */
export function goldenTests(name: string, device = CPU, what: "all" | "16 bits" = "all"): void {
  const isShort = device !== CPU;
  const folder = join(goldensFolder, name);
  const reference = readReference(name);
  const tensors = readTensors(join(folder, "reference.safetensors"));
  const batch = toBatch(reference.batch);
  const { trace } = reference.training;

  test.each(sixteenBits(device))("$precision: loss and gradients near the fp32 reference", async (bits) => {
    const { precision, limits, lossScale } = bits;
    await using engine = await openGolden(name, { device, precision });
    const loss = await trainedLoss(engine, batch, lossScale / reference.supervised_tokens, 0);
    expect(Math.abs(loss / reference.supervised_tokens - reference.loss)).toBeLessThan(limits.loss);
    for (const [n, { data }] of await engine.gradients()) {
      expect(cosine(data, tensors.get(n)!.data), `gradient of ${n}`).toBeGreaterThan(limits.gradientCosine);
    }
  });

  if (what === "16 bits") return;

  test("fp32: logits, loss and every gradient", async () => {
    await using engine = await openGolden(name, { device, precision: "fp32" });
    expect(supervisedTokens(batch)).toBe(reference.supervised_tokens);
    const model = openModel(folder);
    const { trainable, all } = parameterCounts(model, readAdapter(join(folder, "initial"), model).spec);
    if (reference.parameters) expect({ trainable, all }).toEqual(reference.parameters);
    expect(await engine.parameterCounts()).toEqual({ trainable, total: all });

    const expected = tensors.get("logits")!.data;
    const { difference, scale } = largestDifference(await engine.logits(batch), expected);
    expect(difference / scale).toBeLessThan(LIMITS.logits);

    const evaluated = await engine.evaluate(batch);
    const trained = await trainedLoss(engine, batch, 1 / reference.supervised_tokens, 0);
    expect(Math.abs(evaluated / reference.supervised_tokens - reference.loss)).toBeLessThan(LIMITS.loss);
    expect(Math.abs(trained / reference.supervised_tokens - reference.loss)).toBeLessThan(LIMITS.loss);

    const gradients = await engine.gradients();
    expect(names(gradients)).toEqual(names(tensors).filter((n) => n !== "logits"));
    for (const [n, { shape }] of gradients) expect([n, shape]).toEqual([n, tensors.get(n)!.shape]);
    expect(worstTensor(gradients, tensors)).toSatisfy(({ share }) => share < LIMITS.gradient);
  });

  test.each(isShort ? [1] : [0, 1, 2])("fp32: ten steps, %i checkpointed blocks", async (checkpointedBlocks) => {
    await using engine = await openGolden(name, { device, precision: "fp32", checkpointedBlocks });
    const rows = await train(engine, reference.training);
    for (const [i, { loss, grad_norm }] of trace.entries()) {
      expect(Math.abs(rows[i]!.loss - loss), `loss of step ${i + 1}`).toBeLessThan(LIMITS.loss);
      expect(Math.abs(rows[i]!.gradNorm / grad_norm - 1), `grad_norm of step ${i + 1}`).toBeLessThan(LIMITS.gradNorm);
    }
    const final = readAdapter(join(folder, "final"), openModel(folder));
    expect(worstTensor(await engine.adapter(), final.tensors)).toSatisfy(({ share }) => share < LIMITS.adapter);
  });

  test("fp32: greedy generation through the key/value cache", async () => {
    await using engine = await openGolden(name, { device, precision: "fp32", training: false }, "final");
    const { prompt, tokens } = reference.greedy;
    const sampling = { temperature: 0, topK: 0, topP: 1, seed: 0 };
    const found = [await engine.generateStart(Int32Array.from(prompt), sampling)];
    while (found.length < tokens.length) found.push(await engine.generateNext(found.at(-1)!));
    expect(found).toEqual(tokens);
  });

  if (isShort) return;
  test.each(sixteenBits(device))(
    "$precision: ten steps near the fp32 reference",
    async ({ precision, limits, lossScale }) => {
      await using engine = await openGolden(name, { precision });
      const rows = await train(engine, reference.training, lossScale);
      for (const [i, { loss, grad_norm }] of trace.entries()) {
        expect(Math.abs(rows[i]!.loss - loss), `loss of step ${i + 1}`).toBeLessThan(limits.traceLoss);
        expect(Math.abs(rows[i]!.gradNorm / grad_norm - 1), `grad_norm of step ${i + 1}`).toBeLessThan(limits.gradNorm);
      }
    },
  );
}
