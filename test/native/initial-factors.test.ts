// PiSSA and OLoRA against PEFT (scripts/goldens/initial_factors.py). Singular vectors have no signs of their own: losses and norms are compared.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { defaultsOf, type OptionsOf, trainRows } from "../../src/config/index.js";
import { openModel } from "../../src/model/index.js";
import { type AdapterSpec, Engine } from "../../src/native/index.js";
import { initialAdapter } from "../../src/setup/adapter.js";
import { parameterCounts } from "../../src/setup/memory/plan.js";
import { goldensFolder, largestDifference, readReference, toBatch } from "../support/golden.js";
import { train } from "../support/golden-tests.js";

type Options = OptionsOf<typeof trainRows>;

interface Case {
  base: string;
  lora: Partial<Pick<Options, "use_dora" | "use_rslora" | "rank_pattern" | "alpha_pattern" | "init_lora_weights">> & {
    r: number;
    lora_alpha: number;
    target_modules: string[];
  };
  trainable: number;
  all: number;
  trace: { loss: number; grad_norm: number }[];
}

const { cases }: { cases: Case[] } = JSON.parse(readFileSync(join(goldensFolder, "initial-factors.json"), "utf8"));

function begun({ base, lora: { r, target_modules, ...lora } }: Case) {
  const model = openModel(join(goldensFolder, base));
  const { task: _, ...defaults } = defaultsOf(trainRows);
  const own = { lora_r: r, lora_dropout: 0, target_modules: target_modules.join(), ...lora };
  return { model, ...initialAdapter({ ...defaults, ...own } as Options, new Set(), model) };
}

const shape = { precision: "fp32", threads: 2, maxTokens: 128, maxSequence: 64, training: true } as const;
const shown = ({ base, lora }: Case) => `${base}, ${JSON.stringify({ ...lora, target_modules: undefined })}`;

describe.each(cases.map((each) => [shown(each), each] as const))("%s", (_, each) => {
  test("ten steps as PEFT's, with weight decay, from the base's logits on", async () => {
    const { model, spec } = begun(each);
    const { batch, training } = readReference(each.base);
    await using engine = await Engine.create(model, spec, shape);
    await using plain = await Engine.create(model, null, { ...shape, training: false });
    const { difference, scale } = largestDifference(
      await engine.logits(toBatch(batch)),
      await plain.logits(toBatch(batch)),
    );
    expect(difference / scale).toBeLessThan(5e-6);
    const rows = await train(engine, { ...training, loraplus_lr_ratio: 1 });
    for (const [i, { loss, grad_norm }] of each.trace.entries()) {
      expect(Math.abs(rows[i]!.loss / loss - 1)).toBeLessThan(1e-4);
      expect(Math.abs(rows[i]!.gradNorm / grad_norm - 1)).toBeLessThan(1e-3);
    }
  });

  test("PEFT's count of parameters", () => {
    const { model, spec } = begun(each);
    expect(parameterCounts(model, spec)).toMatchObject({ trainable: each.trainable, all: each.all });
  });
});

const [first] = cases;
const { model, spec } = begun(first!);

test.each(["adamw", "adamw_8bit"] as const)("the frozen halves keep their bits under decay: %s", async (optimizer) => {
  await using engine = await Engine.create(model, spec, { ...shape, optimizer });
  const halves = async () => {
    const found: number[][] = [];
    for (const [name, { shape: dims, data }] of await engine.adapter()) {
      const [cols, half] = [dims[1]!, spec.rank / 2];
      const isA = name.includes("lora_A");
      found.push([...data].filter((_, i) => (isA ? i >= half * cols : i % cols >= half)));
    }
    return found;
  };
  const [before, whole] = [await halves(), await engine.adapter()];
  await engine.forwardBackward(toBatch(readReference(first!.base).batch), 0.01, 0);
  await engine.optimizerStep({ learningRate: 0.1, weightDecay: 0.5, maxGradNorm: 1 });
  expect(await halves()).toEqual(before);
  expect([...(await engine.adapter()).values()]).not.toEqual([...whole.values()]);
});

/** Squares of the trained halves' products: all that the method took of the weights, where it scales the factors alike. */
async function energy(own: Partial<AdapterSpec>): Promise<number> {
  await using engine = await Engine.create(model, { ...spec, ...own }, { ...shape, training: false });
  let sum = 0;
  for (const [name, { shape: dims, data }] of await engine.adapter()) {
    if (!name.includes("lora_A")) continue;
    for (let r = 0; r < spec.rank / 2; r++) {
      const row = data.subarray(r * dims[1]!, (r + 1) * dims[1]!);
      sum += row.reduce((squares, x) => squares + x * x, 0);
    }
  }
  return sum;
}

test("pissa_niter_N comes nearer to the largest singular values with each step", async () => {
  const exact = await energy({});
  const found = [];
  for (const n of [0, 2, 64]) found.push((await energy({ initialFactors: `pissa_niter_${n}` })) / exact);
  expect(found[0]).toBeLessThan(found[1]!);
  expect(found[1]).toBeLessThan(1);
  expect(Math.abs(found[2]! - 1)).toBeLessThan(1e-4);
});

test("an adapter to start from has its beginning", () => {
  const { task: _, ...defaults } = defaultsOf(trainRows);
  const adapter = join(goldensFolder, "dora/initial");
  const wanted = { ...defaults, init_lora_weights: "pissa", init_adapter: adapter } as Options;
  expect(() => initialAdapter(wanted, new Set(), model)).toThrow(/--init_lora_weights makes another beginning/);
});
