// 8-bit AdamW: the dumps of bitsandbytes, a twin held against them, and the engine held against the twin.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listLinears, openModel, readSafetensorsHeader } from "../../src/model/index.js";
import {
  type AdapterTensors,
  Engine,
  type Moments,
  type OptimizerState,
  planMemory,
  quantizationMaps,
} from "../../src/native/index.js";
import { jsonLines, lowrank, someTexts, tinyBase, workFolder } from "../support/tiny.js";

const golden = new URL("../goldens/adamw-8bit/steps.safetensors", import.meta.url).pathname;
const BLOCK = 256;
const f = Math.fround;

function goldenTensor(name: string): Float32Array | Uint8Array {
  const { dtype, begin, end } = readSafetensorsHeader(golden).tensors.find((t) => t.name === name)!;
  const bytes = Uint8Array.from(readFileSync(golden).subarray(begin, end));
  return dtype === "U8" ? bytes : new Float32Array(bytes.buffer);
}
const maps = { m: goldenTensor("signed") as Float32Array, v: goldenTensor("unsigned") as Float32Array };

test("the maps are bitsandbytes', bit for bit", () => {
  const { dynamic, dynamicUnsigned } = quantizationMaps();
  expect(dynamic).toEqual(maps.m);
  expect(dynamicUnsigned).toEqual(maps.v);
});

interface State {
  p: Float32Array;
  m: Uint8Array;
  v: Uint8Array;
  mMax: Float32Array;
  vMax: Float32Array;
}
const HYPER = { lr: 3e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.1 };

function nearest(map: Float32Array, x: number): number {
  let best = 0;
  for (let c = 1; c < 256; c++) if (f(Math.abs(f(x - map[c]!))) < f(Math.abs(f(x - map[best]!)))) best = c;
  return best;
}

/** bitsandbytes' step in f32, one rounding after each operation, in place. */
function twin(s: State, g: Float32Array, step: number, { lr, beta1, beta2, eps, decay } = HYPER): void {
  const n = s.p.length;
  const c1 = 1 - beta1 ** step;
  const root = Math.sqrt(1 - beta2 ** step);
  for (let at = 0, b = 0; at < n; at += BLOCK, b++) {
    const end = Math.min(n, at + BLOCK);
    const fresh = { m: [] as number[], v: [] as number[] };
    for (let i = at; i < end; i++) {
      const m = f(f(f(maps.m[s.m[i]!]! * s.mMax[b]!) * f(beta1)) + f(f(1 - beta1) * g[i]!));
      const v = f(f(f(maps.v[s.v[i]!]! * s.vMax[b]!) * f(beta2)) + f(f(1 - beta2) * f(g[i]! * g[i]!)));
      fresh.m.push(m);
      fresh.v.push(v);
      const denominator = f(f(f(Math.sqrt(v)) / f(root)) + f(eps));
      s.p[i] = f(f(s.p[i]! * f(1 - f(lr) * f(decay))) - f(f(m / denominator) * f(lr / c1)));
    }
    for (const key of ["m", "v"] as const) {
      const top = Math.max(...fresh[key].map(Math.abs)) || 1;
      s[`${key}Max`][b] = top;
      for (let i = at; i < end; i++) s[key][i] = nearest(maps[key], f(fresh[key][i - at]! / top));
    }
  }
}

const empty = (p: Float32Array): State => ({
  p: p.slice(),
  m: new Uint8Array(p.length),
  v: new Uint8Array(p.length),
  mMax: new Float32Array(Math.ceil(p.length / BLOCK)),
  vMax: new Float32Array(Math.ceil(p.length / BLOCK)),
});

const share = (a: Uint8Array, b: Uint8Array) => a.reduce((same, x, i) => same + (x === b[i] ? 1 : 0), 0) / a.length;
const off = (a: Float32Array, b: Float32Array) => a.reduce((worst, x, i) => Math.max(worst, Math.abs(x - b[i]!)), 0);

test("the twin makes the dumped steps of bitsandbytes", () => {
  const s = empty(goldenTensor("p.0") as Float32Array);
  for (let step = 1; step <= 6; step++) {
    twin(s, goldenTensor(`g.${step}`) as Float32Array, step);
    for (const key of ["m", "v"] as const) {
      // Where a fused operation rounds otherwise, a value may lie on the other side of a border.
      expect(share(s[key], goldenTensor(`${key}.${step}`) as Uint8Array), `${key} of step ${step}`).toBeGreaterThan(
        0.997,
      );
      const maxima = goldenTensor(`${key}_max.${step}`) as Float32Array;
      expect(off(s[`${key}Max`], maxima) / Math.max(...maxima)).toBeLessThan(1e-6);
    }
    const p = goldenTensor(`p.${step}`) as Float32Array;
    // A second moment whose code is 0 makes a step of any size.
    for (const [i, x] of p.entries())
      expect(Math.abs(s.p[i]! - x), `p[${i}] of step ${step}`).toBeLessThan(1e-6 * (1 + Math.abs(x)));
    const dumped = (key: string) => goldenTensor(`${key}.${step}`).slice();
    Object.assign(s, { p: p.slice(), m: dumped("m"), v: dumped("v"), mMax: dumped("m_max"), vMax: dumped("v_max") });
  }
});

describe("the engine", () => {
  const model = openModel(tinyBase);
  const targets = listLinears(model).map(({ name }) => name);
  const spec = { rank: 24, alpha: 48, dropout: 0, useRslora: false, targets, seed: 3 };
  const shape = { precision: "fp32", maxTokens: 64, maxSequence: 64, training: true } as const;
  const batch = { sequences: [{ inputIds: Int32Array.from({ length: 40 }, (_, i) => (i * 37) % 200) }] };
  const open = (threads = 2, optimizer: "adamw" | "adamw_8bit" = "adamw_8bit") =>
    Engine.create(model, spec, { ...shape, threads, optimizer });
  const step = async (engine: Engine) => {
    await engine.forwardBackward(batch, 1 / 39, 0);
    const gradients = await engine.gradients();
    await engine.optimizerStep({ learningRate: HYPER.lr, weightDecay: HYPER.decay, maxGradNorm: 0 });
    return gradients;
  };
  const momentsOf = (state: OptimizerState) => (state as { moments: Map<string, Moments> }).moments;
  const isLarge = ({ data }: { data: Float32Array }) => data.length >= 4096;

  test("makes the twin's steps; small tensors stay in f32", async () => {
    await using engine = await open();
    const states = new Map<string, State>();
    for (const [name, t] of await engine.adapter()) if (isLarge(t)) states.set(name, empty(t.data));
    expect(states.size).toBeGreaterThan(3);
    for (let i = 1; i <= 4; i++) {
      const gradients = await step(engine);
      const [moments, adapter] = [momentsOf(await engine.optimizerState()), await engine.adapter()];
      for (const [name, s] of states) {
        twin(s, gradients.get(name)!.data, i);
        const found = moments.get(name) as State;
        expect(share(found.m, s.m), `m of ${name}`).toBeGreaterThan(0.99);
        expect(share(found.v, s.v), `v of ${name}`).toBeGreaterThan(0.99);
        expect(off(found.mMax, s.mMax) / Math.max(...s.mMax)).toBeLessThan(1e-5);
        expect(off(found.vMax, s.vMax) / Math.max(...s.vMax)).toBeLessThan(1e-5);
        expect(off(adapter.get(name)!.data, s.p), `step ${i} of ${name}`).toBeLessThan(HYPER.lr * 1e-3);
        // The next step begins with the same numbers.
        Object.assign(s, { p: adapter.get(name)!.data, m: found.m, v: found.v, mMax: found.mMax, vMax: found.vMax });
      }
      const small = [...moments].filter(([name]) => !states.has(name));
      expect(small.length).toBeGreaterThan(0);
      for (const [, parts] of small) expect(parts.m).toBeInstanceOf(Float32Array);
    }
  });

  const bytes = (adapter: AdapterTensors) =>
    [...adapter].map(([name, { data }]) => [name, [...new Uint32Array(data.buffer)]]);

  test("has the same bits with other threads, and after its state was taken and put back", async () => {
    await using one = await open(1);
    await using three = await open(3);
    await using other = await open(2);
    for (let i = 0; i < 3; i++) for (const engine of [one, three]) await step(engine);
    expect(bytes(await three.adapter())).toEqual(bytes(await one.adapter()));
    await other.setAdapter(await one.adapter());
    await other.setOptimizerState(await one.optimizerState());
    for (const engine of [one, other]) await step(engine);
    expect(bytes(await other.adapter())).toEqual(bytes(await one.adapter()));
    expect(await other.optimizerState()).toEqual(await one.optimizerState());
  });

  test("tells a state of another kind or size", async () => {
    await using eight = await open();
    await using whole = await open(2, "adamw");
    const [of8, of32] = [await eight.optimizerState(), await whole.optimizerState()];
    await expect(whole.setOptimizerState(of8)).rejects.toThrow(/moments in f32/);
    await expect(eight.setOptimizerState(of32)).rejects.toThrow(/moments in 8 bits/);
    const moments = new Map(momentsOf(of8));
    const [name, parts] = [...moments].find(([, p]) => p.m instanceof Uint8Array)!;
    moments.set(name, { ...parts, m: parts.m.slice(1) } as Moments);
    await expect(eight.setOptimizerState({ step: 1, moments })).rejects.toThrow(new RegExp(`${name} has \\d+ bytes`));
    moments.delete(name);
    await expect(eight.setOptimizerState({ step: 1, moments })).rejects.toThrow(`${name} is missing`);
  });

  test("plans a code a moment and a number a block", () => {
    const bytesOf = (optimizer: "adamw" | "adamw_8bit") =>
      planMemory(model, spec, { ...shape, threads: 1, optimizer }).items.find(({ name }) => name === "optimizer")!
        .bytes;
    let expected = 0;
    const aligned = (n: number) => Math.ceil(n / 64) * 64;
    for (const { inFeatures, outFeatures } of listLinears(model)) {
      for (const n of [spec.rank * inFeatures, spec.rank * outFeatures]) {
        expected += n < 4096 ? 2 * aligned(4 * n) : 2 * (aligned(n) + aligned(4 * Math.ceil(n / BLOCK)));
      }
    }
    expect(bytesOf("adamw_8bit")).toBe(expected);
    expect(bytesOf("adamw_8bit")).toBeLessThan(bytesOf("adamw"));
  });
});

describe("a run", () => {
  const work = workFolder("adamw-8bit");
  afterAll(work.remove);
  let texts: string;
  beforeAll(() => {
    texts = someTexts(work.path("texts.jsonl"), 40);
  });
  async function train(output: string, more: Record<string, unknown>, flags: string[] = []) {
    const usual = { base_model: tinyBase, train_file: texts, lora_r: 24, max_seq_length: 48, threads: 2 };
    const rest = {
      max_steps: 20,
      per_device_train_batch_size: 4,
      logging_steps: 5,
      save_steps: 10,
      eval_strategy: "no",
    };
    const all = Object.entries({ ...usual, ...rest, learning_rate: 5e-3, output_dir: work.path(output), ...more });
    const finished = await lowrank(["train", ...all.map(([option, v]) => `--${option}=${v}`), ...flags]);
    return { ...finished, file: (name: string) => `${work.path(output)}/${name}` };
  }
  const losses = (file: string) => jsonLines(file).flatMap(({ loss }) => loss ?? []);

  test("learns as with moments in f32, and goes on bit for bit", async () => {
    const eight = await train("eight", { optim: "adamw_8bit" });
    expect(eight.code, eight.stderr).toBe(0);
    const whole = await train("whole", {});
    const [ours, theirs] = [losses(eight.file("metrics.jsonl")), losses(whole.file("metrics.jsonl"))];
    for (const [i, loss] of theirs.entries()) expect(Math.abs(ours[i]! / loss - 1), `line ${i}`).toBeLessThan(0.03);
    expect(ours.at(-1)!).toBeLessThan(ours[0]! * 0.8);

    const weights = readFileSync(eight.file("adapter_model.safetensors"));
    const resume = [`--resume=${eight.file("checkpoint-10")}`];
    const resumed = await train("resumed", { optim: "adamw_8bit" }, resume);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(readFileSync(resumed.file("adapter_model.safetensors")).equals(weights)).toBe(true);

    const other = await train("other", {}, resume);
    expect(other.code).not.toBe(0);
    expect(other.stderr).toContain("--optim is not given, in the checkpoint adamw_8bit");
  });
});
