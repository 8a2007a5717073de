// Adapters of every variant that lowrank writes, in peft: the same logits. Runs where LOWRANK_PEER_PYTHON names a Python that has peft and
// transformers.
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAdapter, writeAdapter } from "../../src/checkpoint/index.js";
import { openModel, resolveTargets, targetSpec } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import { goldensFolder, largestDifference, readReference } from "../support/golden.js";
import { root, workFolder } from "../support/tiny.js";

const python = process.env.LOWRANK_PEER_PYTHON ?? "";
const hasPeft = python !== "" && spawnSync(python, ["-c", "import torch, transformers, peft"]).status === 0;
if (!hasPeft) console.log("checkpoint/peft-variants.test.ts skipped: LOWRANK_PEER_PYTHON names no Python with peft");

const GOLDENS = ["patterns", "dora", "lora-bias-plus"];
const work = workFolder("peft-variants");
const ids = [...readReference("patterns").batch.sequences[1]!];
const inference = { precision: "fp32", threads: 2, maxTokens: 64, maxSequence: 64, training: false } as const;

interface Written {
  model: string;
  adapter: string;
  logits: Float32Array;
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

describe.skipIf(!hasPeft)("adapters in peft", () => {
  const written = new Map<string, Written>();

  beforeAll(async () => {
    for (const name of GOLDENS) written.set(name, await rewritten(name));
    written.set("overlapping rank_pattern", await overlapping());
    const jobs = [...written.values()].map(({ model, adapter }) => {
      return { model, adapter, ids, logits_file: join(adapter, "logits.f32") };
    });
    const peer = join(root, "scripts/parity/peer.py");
    execFileSync(python, [peer], { input: JSON.stringify(jobs), stdio: ["pipe", "pipe", "pipe"] });
  }, 300_000);

  afterAll(() => work.remove());

  test.each([...GOLDENS, "overlapping rank_pattern"])("%s", (name) => {
    const { adapter, logits } = written.get(name)!;
    const theirs = new Float32Array(Uint8Array.from(readFileSync(join(adapter, "logits.f32"))).buffer);
    const { difference, scale } = largestDifference(logits, theirs);
    expect(difference / scale).toBeLessThan(2e-5);
  });
});
