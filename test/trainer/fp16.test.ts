// fp16 mixed precision: loss scaling by GradScaler's rules, skipped steps, resumption.
import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LossScaler } from "../../src/trainer/loss-scaler.js";
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

  test.each(traces)("is that of PyTorch's GradScaler, from $initial with a window of $window", (trace) => {
    const scaler = new LossScaler(trace, null);
    const scales = trace.overflows.map((overflow, i) => {
      scaler.update(overflow, i + 1);
      return scaler.state.scale;
    });
    expect(scales).toEqual(trace.scales);
    expect(scaler.state.skipped).toBe(trace.overflows.filter(Boolean).length);
  });

  test("goes on from a checkpoint's", () => {
    const [trace] = traces as [Trace];
    const first = new LossScaler(trace, null);
    for (const [i, overflow] of trace.overflows.slice(0, 17).entries()) first.update(overflow, i + 1);
    const second = new LossScaler({ initial: 1, window: trace.window }, JSON.parse(JSON.stringify(first.state)));
    for (const [i, overflow] of trace.overflows.slice(17).entries()) second.update(overflow, i + 18);
    expect(second.state.scale).toBe(trace.scales.at(-1));
  });

  test("is an error where no scale helps", () => {
    const scaler = new LossScaler({ initial: 2 ** -13, window: 5 }, null);
    scaler.update(true, 1);
    expect(() => scaler.update(true, 2)).toThrow(/Step 2: the gradients overflow fp16 .* Use --precision bf16 or fp32/);
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
