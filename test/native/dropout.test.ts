// Training with dropout against PEFT and transformers, which were given the engine's masks (scripts/goldens/dropout.py).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readAdapter } from "../../src/checkpoint/adapter.js";
import { defaultsOf, type OptionsOf, trainRows } from "../../src/config/index.js";
import { openModel } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import { initialAdapter } from "../../src/setup/adapter.js";
import { goldensFolder, readReference } from "../support/golden.js";
import { train } from "../support/golden-tests.js";

type Options = OptionsOf<typeof trainRows>;

interface Case {
  base: string;
  dropout: number;
  /** Of an adapter that PEFT begins; without it, the base's initial adapter. */
  lora?: Partial<Options> & { r: number; target_modules: string[] };
  seed: number;
  trace: { loss: number; grad_norm: number }[];
}

const { cases }: { cases: Case[] } = JSON.parse(readFileSync(join(goldensFolder, "dropout.json"), "utf8"));

const shape = { threads: 2, maxTokens: 128, maxSequence: 64, training: true } as const;
const shown = ({ base, lora }: Case) =>
  `${base}${lora ? `, ${JSON.stringify({ ...lora, target_modules: undefined })}` : ""}`;

async function begun({ base, dropout, lora, seed }: Case, precision: "fp32" | "bf16", checkpointedBlocks = 0) {
  const model = openModel(join(goldensFolder, base));
  const options = { ...shape, precision, checkpointedBlocks };
  if (!lora) {
    const { spec, tensors } = readAdapter(join(goldensFolder, base, "initial"), model);
    const engine = await Engine.create(model, { ...spec, dropout, seed }, options);
    await engine.setAdapter(tensors);
    return engine;
  }
  const { task: _, ...defaults } = defaultsOf(trainRows);
  const { r, target_modules, ...rest } = lora;
  const own = { ...rest, lora_r: r, lora_dropout: dropout, target_modules: target_modules.join(), seed };
  return Engine.create(model, initialAdapter({ ...defaults, ...own } as Options, new Set(), model).spec, options);
}

test.each(cases.map((each) => [shown(each), each] as const))("%s: ten steps as with the peers", async (_, each) => {
  const { training } = readReference(each.base);
  await using engine = await begun(each, "fp32");
  const rows = await train(engine, training);
  for (const [i, { loss, grad_norm }] of each.trace.entries()) {
    expect(Math.abs(rows[i]!.loss / loss - 1)).toBeLessThan(1e-4);
    expect(Math.abs(rows[i]!.gradNorm / grad_norm - 1)).toBeLessThan(1e-3);
  }
  await using checkpointed = await begun(each, "fp32", 1);
  expect(await train(checkpointed, training)).toEqual(rows);
  await using narrow = await begun(each, "bf16");
  const rounded = await train(narrow, training);
  for (const [i, { loss }] of each.trace.entries()) expect(Math.abs(rounded[i]!.loss / loss - 1)).toBeLessThan(3e-2);
});
