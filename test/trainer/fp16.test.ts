// fp16 mixed precision: loss scaling by GradScaler's rules, skipped steps, resumption.
import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openModel, resolveTargets } from "../../src/model/index.js";
import { Engine, type Readings } from "../../src/native/index.js";
import { checkLossScale } from "../../src/trainer/loss-scale.js";
import { jsonLines, lowrank, someTexts, tinyBase, workFolder } from "../support/tiny.js";

const work = workFolder("fp16");
afterAll(work.remove);

interface Trace {
  initial: number;
  window: number;
  overflows: boolean[];
  scales: number[];
}

describe("the loss scale", () => {
  const file = new URL("../goldens/grad-scaler.json", import.meta.url);
  const { traces } = JSON.parse(readFileSync(file, "utf8")) as { traces: Trace[] };

  /** An engine whose gradients overflow in the steps that a trace says; the scale after each. */
  async function follow({ window: growthSteps }: Trace, overflows: boolean[], begun: Partial<Readings>) {
    const model = openModel(tinyBase);
    const { modules: targets } = resolveTargets(model, "q_proj");
    const spec = { rank: 1, alpha: 1, dropout: 0, useRslora: false, targets, seed: 1 };
    const size = { maxTokens: 8, maxSequence: 8, cacheTokens: 0, threads: 1 };
    await using engine = await Engine.create(model, spec, { precision: "fp32", training: true, ...size });
    await engine.setReadings(begun);
    const batch = { sequences: [{ inputIds: Int32Array.of(1, 2) }] };
    const scales: number[] = [];
    for (const overflow of overflows) {
      // Beyond f32: infinite there.
      if (overflow) await engine.forwardBackward(batch, 1e300, 0);
      await engine.optimizerStep({ learningRate: 0, weightDecay: 0, maxGradNorm: 1, growthSteps });
      scales.push((await engine.readings()).lossScale);
    }
    return { scales, readings: await engine.readings() };
  }

  test.each(traces)("is that of PyTorch's GradScaler, from $initial with a window of $window", async (trace) => {
    const { scales, readings } = await follow(trace, trace.overflows, { lossScale: trace.initial });
    expect(scales).toEqual(trace.scales);
    expect(readings.skippedSteps).toBe(trace.overflows.filter(Boolean).length);
    expect(readings.steps).toBe(trace.overflows.length);
    expect(readings.badStep).toBe(trace.overflows.indexOf(true) + 1);
  });

  test("goes on from a checkpoint's", async () => {
    const [trace] = traces as [Trace];
    const first = await follow(trace, trace.overflows.slice(0, 17), { lossScale: trace.initial });
    const { lossScale, goodSteps } = first.readings;
    const second = await follow(trace, trace.overflows.slice(17), { lossScale, goodSteps });
    expect([...first.scales, ...second.scales]).toEqual(trace.scales);
  });

  test("is an error where no scale helps", () => {
    checkLossScale(2 ** -14, 1);
    const message =
      /Step 2: the gradients overflow fp16 even at loss scale 0.00006\d+: .* Use --precision bf16 or fp32/;
    expect(() => checkLossScale(2 ** -15, 2)).toThrow(message);
  });
});

interface Line {
  step: number;
  loss: number;
  grad_norm: number | null;
  learning_rate: number;
  loss_scale: number;
  skipped_steps: number;
}

const LEARNING_RATE = 5e-3;
const OPTIONS = {
  base_model: tinyBase,
  lora_r: 4,
  lora_dropout: 0.1,
  max_seq_length: 48,
  per_device_train_batch_size: 4,
  learning_rate: LEARNING_RATE,
  warmup_steps: 4,
  logging_steps: 1,
  eval_strategy: "no",
  save_steps: 1,
  save_total_limit: 0,
  threads: 2,
};

let texts: string;
const runs = new Map<string, { lines: Line[]; stderr: string; output: string }>();

async function train(name: string, more: Record<string, unknown>, flags: string[] = []) {
  const output = work.path(name);
  const all = Object.entries({ ...OPTIONS, train_file: texts, output_dir: output, ...more });
  const { code, stderr } = await lowrank(["train", ...all.map(([option, v]) => `--${option}=${v}`), ...flags]);
  expect(code, stderr).toBe(0);
  const found = { lines: jsonLines<Line>(`${output}/metrics.jsonl`).filter((line) => "loss" in line), stderr, output };
  runs.set(name, found);
  return found;
}

const adapterOf = (folder: string) => readFileSync(`${folder}/adapter_model.safetensors`);

const STEPS = 36;

describe("a run whose first gradients overflow", () => {
  // The gradients of this model are some ten at most: they overflow f16's 65504 or even f32 on the way down from here.
  const forced = { precision: "fp16", loss_scale: 2 ** 30, loss_scale_window: 10, max_steps: STEPS };

  beforeAll(async () => {
    texts = someTexts(work.path("texts.jsonl"), 40);
    await train("forced", forced);
  });

  test("skips steps, each halving the scale, and recovers", () => {
    const { lines, stderr } = runs.get("forced")!;
    const skipped = lines.at(-1)!.skipped_steps;
    expect(skipped).toBeGreaterThan(3);
    expect(skipped).toBeLessThan(30);
    const first = lines.findIndex((line, i) => line.skipped_steps === (lines[i - 1]?.skipped_steps ?? 0));
    expect(first).toBeGreaterThan(3);
    for (const [i, line] of lines.slice(0, first).entries()) {
      expect(line).toMatchObject({ skipped_steps: i + 1, loss_scale: 2 ** (29 - i), grad_norm: null });
      expect(Number.isFinite(line.loss)).toBe(true);
    }
    expect(stderr).toContain(
      `step 1: the gradients overflowed fp16; the step is skipped, the loss scale is now ${2 ** 29}`,
    );
  });

  test("leaves the adapter as it is in a skipped step", () => {
    const { output, lines } = runs.get("forced")!;
    const applied = lines.findIndex((line, i) => line.skipped_steps === i) + 1;
    // Warmup's first step has a learning rate of 0: the next one is the first to change anything.
    const at = (step: number) => adapterOf(`${output}/checkpoint-${step}`);
    expect(at(1).equals(at(applied))).toBe(true);
    expect(at(1).equals(at(applied + 1))).toBe(false);
  });

  test("does not advance the schedule in a skipped step", () => {
    const { lines } = runs.get("forced")!;
    let skipped = 0;
    for (const { step, learning_rate, skipped_steps } of lines) {
      const done = step - 1 - skipped;
      const factor = done < 4 ? done / 4 : (STEPS - done) / (STEPS - 4);
      expect(learning_rate, `step ${step}`).toBeCloseTo(LEARNING_RATE * factor, 12);
      skipped = skipped_steps;
    }
  });

  // The same texts in every step, and equally many applied steps: only fp16 differs.
  test("ends within 1 % of fp32's loss", async () => {
    const few = someTexts(work.path("few.jsonl"), 16);
    const sameTexts = someTexts(work.path("few-again.jsonl"), 16);
    const loss = async (name: string, more: Record<string, unknown>) => {
      const same = {
        train_file: few,
        validation_file: sameTexts,
        per_device_train_batch_size: 16,
        lora_dropout: 0,
        learning_rate: 1e-3,
      };
      const { output } = await train(name, { ...same, lr_scheduler: "constant", save_strategy: "no", ...more });
      const held = ["--validation_file", few, "--max_seq_length", "48", "--precision", "fp32", "--json"];
      const { code, stdout, stderr } = await lowrank(["eval", "--base_model", tinyBase, "--adapter", output, ...held]);
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout).eval_loss as number;
    };
    const half = await loss("half", { ...forced, loss_scale_window: 2000 });
    const skipped = runs.get("half")!.lines.at(-1)!.skipped_steps;
    expect(skipped).toBeGreaterThan(3);
    const whole = await loss("whole", { precision: "fp32", max_steps: STEPS - skipped });
    expect(Math.abs(half / whole - 1)).toBeLessThan(0.01);
    expect(whole).toBeLessThan(runs.get("whole")!.lines[0]!.loss * 0.8);
  });

  test("goes on bit for bit, scale and skipped steps among them", async () => {
    const { output, lines } = runs.get("forced")!;
    for (const step of [3, 20]) {
      const copy = work.path(`resumed-${step}`);
      cpSync(output, copy, { recursive: true });
      for (const entry of readdirSync(copy)) {
        const later = Number(/^checkpoint-(\d+)$/.exec(entry)?.[1] ?? 0) > step;
        if (later || entry.startsWith("adapter_")) rmSync(`${copy}/${entry}`, { recursive: true });
      }
      const resumed = await train(`resumed-${step}`, forced, ["--resume"]);
      expect(adapterOf(copy).equals(adapterOf(output))).toBe(true);
      const without = (all: object[]) => all.map((line) => ({ ...line, tokens_per_s: 0, mfu: 0 }));
      expect(without(resumed.lines)).toEqual(without(lines));
    }
  });
});
