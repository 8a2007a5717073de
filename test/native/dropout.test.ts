// Training with dropout against PEFT and transformers, which were given the engine's masks (scripts/goldens/dropout.py).
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAdapter, readLabels } from "../../src/checkpoint/index.js";
import { defaultsOf, type OptionsOf, trainRows } from "../../src/config/index.js";
import { openModel } from "../../src/model/index.js";
import { type AdapterSpec, Engine, type EngineOptions, type ModelSource } from "../../src/native/index.js";
import { initialAdapter } from "../../src/setup/adapter.js";
import { EMULATED } from "../support/emulated.js";
import { type GoldenBatch, goldensFolder, readReference, toBatch } from "../support/golden.js";
import { train } from "../support/golden-tests.js";
import { trainedLoss } from "../support/readings.js";

type Options = OptionsOf<typeof trainRows>;
type Trace = { loss: number; grad_norm: number }[];

interface Case {
  base: string;
  dropout: number;
  /** Of an adapter that PEFT begins; without it, the base's initial adapter. */
  lora?: Partial<Options> & { r: number; target_modules: string[] };
  /** Keys of config.json. */
  config?: Record<string, number>;
  seed: number;
  trace: Trace;
}

const { cases, bases, classifiers }: Record<"cases" | "bases" | "classifiers", Case[]> = JSON.parse(
  readFileSync(join(goldensFolder, "dropout.json"), "utf8"),
);
const scratch = mkdtempSync(join(tmpdir(), "lowrank-dropout-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const shape = { precision: "fp32", threads: 2, maxTokens: 128, maxSequence: 64, training: true } as const;
const named = (list: Case[]) =>
  list.map((each) => {
    const { base, lora } = each;
    return [`${base}${lora ? `, ${JSON.stringify({ ...lora, target_modules: undefined })}` : ""}`, each] as const;
  });

/** A golden base with keys of a case in its configuration. */
function withConfig(folder: string, config: Record<string, number> = {}): string {
  const to = mkdtempSync(join(scratch, "base-"));
  symlinkSync(join(folder, "model.safetensors"), join(to, "model.safetensors"));
  const json = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  writeFileSync(join(to, "config.json"), JSON.stringify({ ...json, ...config }));
  return to;
}

async function opened(model: ModelSource, adapter: string, own: Partial<AdapterSpec>, options: Partial<EngineOptions>) {
  const { spec, tensors } = readAdapter(adapter, model);
  const engine = await Engine.create(model, { ...spec, ...own }, { ...shape, ...options });
  await engine.setAdapter(tensors);
  return engine;
}

async function begun({ base, dropout, lora, config, seed }: Case, options: Partial<EngineOptions> = {}) {
  const folder = join(goldensFolder, base);
  const model = openModel(withConfig(folder, config));
  if (!lora) return opened(model, join(folder, "initial"), { dropout, seed }, options);
  const { task: _, ...defaults } = defaultsOf(trainRows);
  const { r, target_modules, ...rest } = lora;
  const own = { ...rest, lora_r: r, lora_dropout: dropout, target_modules: target_modules.join(), seed };
  const { spec } = initialAdapter({ ...defaults, ...own } as Options, new Set(), model);
  return Engine.create(model, spec, { ...shape, ...options });
}

function expectTrace(rows: { loss: number; gradNorm: number }[], trace: Trace): void {
  for (const [i, { loss, grad_norm }] of trace.entries()) {
    expect(Math.abs(rows[i]!.loss / loss - 1)).toBeLessThan(1e-4);
    expect(Math.abs(rows[i]!.gradNorm / grad_norm - 1)).toBeLessThan(1e-3);
  }
}

test.each(named([...cases, ...bases]))("%s: ten steps as with the peers", async (_, each) => {
  const { training } = readReference(each.base);
  await using engine = await begun(each);
  const rows = await train(engine, training);
  expectTrace(rows, each.trace);
  await using checkpointed = await begun(each, { checkpointedBlocks: 1 });
  expect(await train(checkpointed, training)).toEqual(rows);
  await using narrow = await begun(each, { precision: "bf16" });
  const rounded = await train(narrow, training);
  for (const [i, { loss }] of each.trace.entries()) expect(Math.abs(rounded[i]!.loss / loss - 1)).toBeLessThan(3e-2);
});

async function expectClassifier({ base, dropout, config, seed, trace }: Case, options: Partial<EngineOptions> = {}) {
  const folder = new URL(`../goldens-classify/${base}/`, import.meta.url).pathname;
  const initial = join(folder, "initial");
  const { training } = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8"));
  const model = openModel(withConfig(folder, config), undefined, readLabels(initial));
  await using engine = await opened(
    model,
    initial,
    { dropout, seed },
    { maxTokens: 24, maxSequence: 40, cacheTokens: 0, ...options },
  );
  const rows = [];
  for (const [i, { texts, second, labels }] of training.batches.entries()) {
    const sequences = texts.map((text: number[], t: number) => ({
      inputIds: Int32Array.from(text),
      tokenTypes: Uint8Array.from(text, (_token, at) => Number(at >= second[t])),
      labels: Float32Array.from([labels[t]].flat()),
    }));
    const n = labels.flat().length;
    await engine.forwardBackward({ sequences }, 1 / n, i);
    const { learning_rate: learningRate, weight_decay: weightDecay, max_grad_norm: maxGradNorm } = training;
    await engine.optimizerStep({ learningRate, weightDecay, maxGradNorm, tokens: n });
    rows.push(await engine.readings());
  }
  expectTrace(rows, trace);
}

test.each(named(classifiers))("%s: ten steps as with the peers", async (_, each) => {
  await expectClassifier(each);
});

const gpt2 = bases.find(({ base }) => base === "gpt2")!;
const { batch } = readReference("gpt2");

test.each(["fp32", "bf16"] as const)(
  "gpt2, %s: the same bits for 1, 2 and 3 threads and in pieces",
  async (precision) => {
    const texts: GoldenBatch = {
      sequences: [...batch.sequences, ...batch.sequences],
      prompt_tokens: [0, 3, 0, 0, 3, 0],
    };
    const results = [];
    for (const threads of [1, 2, 3]) {
      await using engine = await begun(gpt2, { precision, threads });
      results.push([await trainedLoss(engine, toBatch(texts), 0.01, 5), await engine.gradients()]);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
    // Masks are numbered within the micro-batch.
    await using whole = await begun(gpt2, { precision });
    await using halves = await begun(gpt2, { precision, maxTokens: 40 });
    const losses = [
      await trainedLoss(whole, toBatch(texts), 0.01, 5),
      await trainedLoss(halves, toBatch(texts), 0.01, 5),
    ];
    expect(Math.abs(losses[0]! / losses[1]! - 1)).toBeLessThan(precision === "fp32" ? 1e-5 : 1e-2);
  },
);

test("off in evaluation, and where baseDropout is false", async () => {
  await using dropping = await begun(gpt2);
  await using without = await begun({ ...gpt2, config: {} });
  expect(await dropping.evaluate(toBatch(batch))).toBe(await without.evaluate(toBatch(batch)));
  const folder = join(goldensFolder, "gpt2");
  const model = openModel(withConfig(folder, gpt2.config));
  const own = { dropout: gpt2.dropout, seed: gpt2.seed, baseDropout: false };
  await using off = await opened(model, join(folder, "initial"), own, {});
  const loss = await trainedLoss(without, toBatch(batch), 0.01, 3);
  expect(await trainedLoss(off, toBatch(batch), 0.01, 3)).toBe(loss);
  expect(await trainedLoss(dropping, toBatch(batch), 0.01, 3)).not.toBe(loss);
});

test("gpt2: after a stop the same bits", async () => {
  const step = { learningRate: 5e-3, weightDecay: 0.1, maxGradNorm: 1 };
  const steps = async (engine: Engine, first: number, count: number) => {
    for (let i = first; i < first + count; i++) {
      await engine.forwardBackward(toBatch(batch), 0.01, i);
      await engine.optimizerStep(step);
    }
  };
  await using whole = await begun(gpt2);
  await steps(whole, 0, 4);
  await using stopped = await begun(gpt2);
  await steps(stopped, 0, 2);
  await using next = await begun(gpt2, { threads: 3, checkpointedBlocks: 2 });
  await next.setAdapter(await stopped.adapter());
  await next.setOptimizerState(await stopped.optimizerState());
  await steps(next, 2, 2);
  expect(await next.adapter()).toEqual(await whole.adapter());
});

describe.skipIf(!existsSync(EMULATED))("on the emulated device", () => {
  beforeAll(() => {
    process.env.LOWRANK_CUDA_PLUGIN = EMULATED;
  });
  test.each(["gpt2", "bloom", "gemma2", "falcon-7b"])("%s: ten steps as with the peers", async (name) => {
    const each = bases.find(({ base }) => base === name)!;
    const { training } = readReference(name);
    await using engine = await begun(each, { device: "cuda:0" });
    expectTrace(await train(engine, training), each.trace);
    await using narrow = await begun(each, { device: "cuda:0", precision: "bf16" });
    const rounded = await train(narrow, training);
    for (const [i, { loss }] of each.trace.entries()) expect(Math.abs(rounded[i]!.loss / loss - 1)).toBeLessThan(3e-2);
  });
  test.each(named(classifiers))("%s: ten steps as with the peers", async (_, each) => {
    await expectClassifier(each, { device: "cuda:0" });
  });
});
