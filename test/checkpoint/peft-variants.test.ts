// Adapters of every variant that lowrank writes, in peft, and models that they are merged into, in transformers: the same logits. Runs where LOWRANK_PEER_PYTHON names a Python that has peft and
// transformers.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAdapter, writeAdapter, writeMerged } from "../../src/checkpoint/index.js";
import { defaultsOf, trainRows } from "../../src/config/index.js";
import { openModel, resolveTargets, targetSpec } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import { initialAdapter, type LoraOptions } from "../../src/setup/adapter.js";
import { goldenNames, goldensFolder, largestDifference, readReference } from "../support/golden.js";
import { peerPython } from "../support/python.js";
import { root, workFolder } from "../support/tiny.js";

const { python, reason } = peerPython("torch transformers peft");
if (reason) console.log(`checkpoint/peft-variants.test.ts skipped: ${reason}`);

const ADAPTERS = [
  "patterns",
  "dora",
  "lora-bias-plus",
  "tokens-untied",
  "tokens-gemma2",
  "opt-350m",
  "opt-350m-all-linear",
  "opt-350m-dora",
];
const modelType = (name: string): string =>
  JSON.parse(readFileSync(join(goldensFolder, name, "config.json"), "utf8")).model_type;
/** One golden of each family, and all whose tables train. Weights in 16 bits round the merged ones. */
const MERGED = goldenNames()
  .filter((name) => !["stored-bf16", "odd-sizes-f16"].includes(name))
  .filter((name, i, all) => {
    const isFirst = all.findIndex((other) => modelType(other) === modelType(name)) === i;
    return isFirst || name.startsWith("opt-350m") || /^(tokens|whole)-/.test(name);
  });
const work = workFolder("peft-variants");
/** Of every model's vocabulary, with tokens whose rows train. */
const ids = [7, 41, 5, 2, ...readReference("patterns").batch.sequences[1]!.map((id) => 2 + (id % 58))];
const inference = { precision: "fp32", threads: 2, maxTokens: 64, maxSequence: 64, training: false } as const;

interface Written {
  model: string;
  adapter: string | null;
  logits: Float32Array;
}

/** A golden's trained adapter, merged into its base. */
async function merged(name: string): Promise<Written> {
  const base = join(goldensFolder, name);
  const model = openModel(base);
  const { spec, tensors } = readAdapter(join(base, "final"), model);
  await using engine = await Engine.create(model, spec, inference);
  await engine.setAdapter(tensors);
  const output = work.path(`${name}-merged`);
  const { targets, whole = [], tokens, bias: biases } = spec;
  await writeMerged({ engine, model, modules: [...targets, ...whole], tokens, biases, output });
  return { model: output, adapter: null, logits: await logitsOf(base, join(base, "final")) };
}

async function logitsOf(folder: string, adapterFolder: string): Promise<Float32Array> {
  const model = openModel(folder);
  const { spec, tensors } = readAdapter(adapterFolder, model);
  await using engine = await Engine.create(model, spec, inference);
  await engine.setAdapter(tensors);
  return engine.logits({ sequences: [{ inputIds: Int32Array.from(ids) }] });
}

/** A golden's trained adapter, read and written again. */
async function rewritten(name: string): Promise<Written> {
  const base = join(goldensFolder, name);
  const model = openModel(base);
  const folder = work.path(name);
  await writeAdapter(folder, { ...readAdapter(join(base, "final"), model), baseModel: base });
  return { model: base, adapter: folder, logits: await logitsOf(base, join(base, "final")) };
}

/** Keys of a pattern that match one module with other values, in an order that no sorted file keeps. */
async function overlapping(): Promise<Written> {
  const base = join(goldensFolder, "patterns");
  const model = openModel(base);
  const rules = { rank_pattern: { "layers\\.1\\.self_attn\\.q_proj": 2, "(q|k)_proj": 3, ".*k_proj": 4 } };
  const targets = resolveTargets(model, "q_proj,k_proj", rules);
  const spec = { rank: 3, alpha: 6, dropout: 0, useRslora: false, seed: 1, ...targetSpec(targets) };
  await using engine = await Engine.create(model, spec, { ...inference, training: true });
  const tensors = await engine.adapter();
  for (const { data } of tensors.values()) data.set(data.map((_, i) => Math.sin(i * 12.9898) / 4));
  const folder = work.path("overlapping");
  await writeAdapter(folder, { tensors, spec, targets, baseModel: base });
  return { model: base, adapter: folder, logits: await logitsOf(base, folder) };
}

/** PiSSA's two halves after a step, with all that PEFT's own conversion loses. */
async function pissa(): Promise<Written> {
  const base = join(goldensFolder, "dora");
  const model = openModel(base);
  const wanted = {
    ...(defaultsOf(trainRows) as unknown as LoraOptions),
    ...{ lora_r: 3, lora_dropout: 0, target_modules: "q_proj,k_proj,up_proj", init_lora_weights: "pissa" },
    ...{ use_dora: true, use_rslora: true, rank_pattern: { k_proj: 5 }, alpha_pattern: { up_proj: 4 } },
  };
  const { spec, targets } = initialAdapter(wanted, new Set(), model);
  await using engine = await Engine.create(model, spec, { ...inference, training: true });
  await engine.forwardBackward({ sequences: [{ inputIds: Int32Array.from(ids) }] }, 0.01, 0);
  await engine.optimizerStep({ learningRate: 0.02, weightDecay: 0.1, maxGradNorm: 1 });
  const folder = work.path("pissa");
  await writeAdapter(folder, { tensors: await engine.adapter(), spec, targets, baseModel: base });
  const logits = await engine.logits({ sequences: [{ inputIds: Int32Array.from(ids) }] });
  return { model: base, adapter: folder, logits };
}

describe.skipIf(reason !== undefined)("adapters in peft", () => {
  const written = new Map<string, Written>();

  beforeAll(async () => {
    for (const name of ADAPTERS) written.set(name, await rewritten(name));
    for (const name of MERGED) written.set(`${name}, merged`, await merged(name));
    written.set("overlapping rank_pattern", await overlapping());
    written.set("PiSSA", await pissa());
    const jobs = [...written.values()].map(({ model, adapter }) => {
      return { model, adapter, ids, logits_file: join(adapter ?? model, "logits.f32") };
    });
    const peer = join(root, "scripts/parity/peer.py");
    execFileSync(python, [peer], { input: JSON.stringify(jobs), stdio: ["pipe", "pipe", "pipe"] });
  }, 300_000);

  afterAll(() => work.remove());

  const names = [...ADAPTERS, ...MERGED.map((name) => `${name}, merged`), "overlapping rank_pattern", "PiSSA"];
  test.each(names)("%s", (name) => {
    const { adapter, model, logits } = written.get(name)!;
    const theirs = new Float32Array(Uint8Array.from(readFileSync(join(adapter ?? model, "logits.f32"))).buffer);
    const { difference, scale } = largestDifference(logits, theirs);
    expect(difference / scale).toBeLessThan(2e-5);
  });
});
