// Quantised bases against bitsandbytes and transformers: scripts/goldens/quantize.py wrote the expected values with the
// live libraries.
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { writeQuantized } from "../../src/checkpoint/index.js";
import { loading } from "../../src/commands/loading.js";
import { Tokenizer } from "../../src/data/index.js";
import { openModel, readSafetensorsHeader, writeSafetensors } from "../../src/model/index.js";
import {
  Engine,
  type ModelSource,
  planMemory,
  quantizationMaps,
  quantizeTensor,
  type TensorEntry,
} from "../../src/native/index.js";
import { type BaseOptions, openBase, quantizedSource } from "../../src/setup/base.js";
import { copyGolden, errorOf, temporaryFolders, tinyBase } from "../support/folders.js";
import { goldensFolder, largestDifference, readReference, readTensors, toBatch } from "../support/golden.js";
import { trainedLoss } from "../support/readings.js";

const folder = temporaryFolders();
const golden = join(goldensFolder, "quantized");
const silent = () => {};

/** The bytes of every tensor of a file, as they lie there. */
function rawTensors(file: string): Map<string, { dtype: string; shape: number[]; bytes: Buffer; offset: number }> {
  const content = readFileSync(file);
  const { tensors } = readSafetensorsHeader(file);
  return new Map(
    tensors.map(({ name, dtype, shape, begin, end }) => [
      name,
      { dtype, shape, bytes: content.subarray(begin, end), offset: begin },
    ]),
  );
}

const floats = (bytes: Uint8Array) => new Float32Array(Uint8Array.from(bytes).buffer);

describe("the codes of bitsandbytes, bit for bit", () => {
  const file = join(golden, "tensors.safetensors");
  const reference = rawTensors(file);
  const cases = [...reference.keys()].filter((key) => key.endsWith(".x")).map((key) => key.slice(0, -2));
  const tensor = (name: string): TensorEntry => {
    const { shape, bytes, offset } = reference.get(`${name}.x`)!;
    return { name, dtype: "f32", shape, file, offset, bytes: bytes.length };
  };
  const bytes = (name: string) => reference.get(name)!.bytes;

  test.each(cases)("nf4: %s", (name) => {
    const quantize = { format: "nf4", doubleQuant: false } as const;
    for (const threads of [1, 3]) {
      const { codes, absmax } = quantizeTensor({ ...tensor(name), quantize }, threads);
      expect(Buffer.from(codes).equals(bytes(`${name}.nf4`)), "codes").toBe(true);
      expect(Buffer.from(absmax).equals(bytes(`${name}.absmax`)), "absmax").toBe(true);
    }
  });

  test.each(cases)("fp4: %s", (name) => {
    const { codes, absmax } = quantizeTensor({ ...tensor(name), quantize: { format: "fp4", doubleQuant: false } }, 2);
    expect(Buffer.from(codes).equals(bytes(`${name}.fp4`)), "codes").toBe(true);
    expect(Buffer.from(absmax).equals(bytes(`${name}.absmax`)), "absmax").toBe(true);
    const nested = (format: "nf4" | "fp4") =>
      quantizeTensor({ ...tensor(name), quantize: { format, doubleQuant: true } }, 2);
    expect(nested("fp4")).toEqual({ ...nested("nf4"), codes });
  });

  /** Double quantisation of maxima around a given mean, for the cases in which PyTorch's mean is another by one bit. */
  function nested(maxima: Float32Array, mean: number): { codes: Uint8Array; absmax: Float32Array } {
    const { dynamic } = quantizationMaps();
    const f = Math.fround;
    const middles = Array.from({ length: 255 }, (_, i) => f(f(dynamic[i]! + dynamic[i + 1]!) / 2));
    // bitsandbytes looks codes up in a table of 65,536 values from -1 to 1.
    const codeOf = (entry: number) => {
      const value = f(f(f(entry / 65535) * 2) - 1);
      const code = middles.findIndex((middle) => middle >= value);
      return code < 0 ? 255 : code;
    };
    const centred = maxima.map((maximum) => f(maximum - mean));
    const absmax = Float32Array.from({ length: Math.ceil(centred.length / 256) }, (_, b) =>
      Math.max(...centred.subarray(b * 256, (b + 1) * 256).map(Math.abs)),
    );
    const codes = Uint8Array.from(centred, (value, i) => {
      const largest = absmax[i >> 8]!;
      if (largest === 0) return 0;
      const share = Math.min(1, Math.max(-1, f(value * f(1 / largest))));
      return codeOf(Math.trunc(f(f(f(f(share + 1) * 0.5) * 65535) + 0.5)));
    });
    return { codes, absmax };
  }

  test.each(cases)("nf4 with double quantisation: %s", (name) => {
    const quantize = { format: "nf4", doubleQuant: true } as const;
    const { absmax, absmaxCodes, absmaxOffset } = quantizeTensor({ ...tensor(name), quantize }, 2);
    // The mean of the maxima: PyTorch's depends on how many it adds at a time, ours is rounded once.
    const mean = floats(bytes(`${name}.nested_offset`))[0]!;
    expect(Math.abs(absmaxOffset! - mean)).toBeLessThanOrEqual(2 ** -22 * Math.abs(mean));
    const maxima = floats(bytes(`${name}.absmax`));
    const stored = { codes: new Uint8Array(bytes(`${name}.nested`)), absmax: floats(bytes(`${name}.nested_absmax`)) };
    expect(nested(maxima, mean), "the twin around PyTorch's mean").toEqual(stored);
    const own = { codes: new Uint8Array(absmaxCodes!), absmax: new Float32Array(absmax) };
    expect(own, "ours around our mean").toEqual(nested(maxima, Math.fround(absmaxOffset!)));
  });

  test("the mean of the maxima is the very same in most cases", () => {
    const quantize = { format: "nf4", doubleQuant: true } as const;
    const same = cases.filter((name) => {
      const { absmaxOffset } = quantizeTensor({ ...tensor(name), quantize }, 1);
      return Math.fround(absmaxOffset!) === floats(bytes(`${name}.nested_offset`))[0];
    });
    expect(same.length).toBeGreaterThanOrEqual(cases.length - 3);
  });

  test.each(cases)("int8: %s", (name) => {
    const quantize = { format: "i8", doubleQuant: false } as const;
    const maxima = floats(bytes(`${name}.SCB`));
    const whole = { ...tensor(name), quantize };
    const [rows, columns] = whole.shape as [number, number];
    // What f16 cannot hold is infinite there, and its codes are no numbers: the rows before are compared.
    const end = maxima.findIndex((maximum) => !Number.isFinite(maximum));
    const fitting = end < 0 ? rows : end;
    if (fitting < rows)
      expect(() => quantizeTensor(whole, 2)).toThrow(`tensor ${whole.name} holds a number beyond 65,504`);
    expect(fitting).toBeGreaterThan(0);
    const part = { ...whole, shape: [fitting, columns], bytes: (whole.bytes / rows) * fitting };
    const { codes, absmax } = quantizeTensor(part, 2);
    expect(Buffer.from(codes).toString("hex")).toBe(
      Buffer.from(bytes(`${name}.int8`).subarray(0, fitting * columns)).toString("hex"),
    );
    expect(new Float32Array(absmax)).toEqual(maxima.subarray(0, fitting));
  });

  test("the maps", () => {
    const { nf4, fp4, dynamic } = quantizationMaps();
    const stored = (name: string) => {
      const tensors = [...rawTensors(join(golden, name, "model.safetensors"))];
      return (end: string) => floats(tensors.find(([key]) => key.endsWith(end))![1].bytes);
    };
    expect(nf4).toEqual(stored("nf4-double")(".quant_map"));
    expect(fp4).toEqual(stored("fp4-double")(".quant_map"));
    expect(dynamic).toEqual(stored("nf4-double")(".nested_quant_map"));
  });
});

const ENGINE = { precision: "fp32", threads: 2, maxTokens: 64, maxSequence: 32 } as const;

async function logitsOf(model: ModelSource): Promise<Float32Array> {
  await using engine = await Engine.create(model, null, { ...ENGINE, training: false });
  return await engine.logits(toBatch(readReference("gqa-untied").batch));
}

/** The options that make a golden folder. */
function optionsOf(name: string) {
  const [type] = name.split("-") as ["nf4" | "fp4" | "int8"];
  return {
    use_4bit: type !== "int8",
    use_8bit: type === "int8",
    quant_type: type,
    double_quant: name.endsWith("-double"),
    quantize_skip: undefined,
    quantize_head: name.endsWith("-head"),
  };
}

describe.each(["nf4", "nf4-double", "fp4", "fp4-double", "fp4-head", "int8"])(
  "a folder as transformers saves it: %s",
  (name) => {
    const saved = join(golden, name);
    const reference = () => readTensors(join(saved, "logits.safetensors")).get("logits")!.data;

    test("has the logits of the dequantised weights", async () => {
      const { difference, scale } = largestDifference(await logitsOf(openModel(saved)), reference());
      expect(difference / scale).toBeLessThan(2e-5);
    });

    test("is what quantising while loading gives", async () => {
      const base = openModel(join(goldensFolder, "gqa-untied"));
      const model = quantizedSource(base, optionsOf(name), silent);
      const [ours, theirs] = [await logitsOf(model), await logitsOf(openModel(saved))];
      const { difference, scale } = largestDifference(ours, theirs);
      // The mean of the maxima may differ in its last bit, see above.
      expect(difference / scale).toBeLessThanOrEqual(name.endsWith("-double") ? 5e-6 : 0);
      expect(await logitsOf(model)).not.toEqual(await logitsOf(base));
    });

    test("is what lowrank quantize writes, tensor for tensor", async () => {
      const base = openModel(join(goldensFolder, "gqa-untied"));
      const model = quantizedSource(base, optionsOf(name), silent);
      const output = join(folder(), "quantized");
      const tokenizer = await Tokenizer.open(tinyBase);
      await writeQuantized({ model, output, tokenizer, threads: 2 });
      const [ours, theirs] = [output, saved].map((each) => rawTensors(join(each, "model.safetensors")));
      expect([...ours!.keys()].sort()).toEqual([...theirs!.keys()].sort());
      // transformers takes a number with a point there, and nothing else.
      const threshold = [output, saved].map(
        (each) => /"llm_int8_threshold": .*/.exec(readFileSync(join(each, "config.json"), "utf8"))![0],
      );
      expect(threshold[0]).toBe(threshold[1]);
      for (const [key, { dtype, shape, bytes }] of theirs!) {
        const found = ours!.get(key)!;
        if (key.includes("quant_state")) {
          const [found_, expected] = [found.bytes, bytes].map((each) => JSON.parse(String(each)));
          const offsets = [found_, expected].map((each) => each.nested_offset ?? 0);
          expect(Math.abs(offsets[0]! - offsets[1]!)).toBeLessThan(1e-6);
          expect({ ...found_, nested_offset: 0 }).toEqual({ ...expected, nested_offset: 0 });
          continue;
        }
        expect([key, found.dtype, found.shape]).toEqual([key, dtype, shape]);
        if (key.endsWith("nested_absmax")) {
          expect(largestDifference(floats(found.bytes), floats(bytes)).difference).toBeLessThan(1e-6);
        } else {
          expect(found.bytes.equals(bytes), key).toBe(true);
        }
      }
      const { difference, scale } = largestDifference(
        await logitsOf(openModel(output)),
        await logitsOf(openModel(saved)),
      );
      expect(difference / scale).toBeLessThanOrEqual(name.endsWith("-double") ? 5e-6 : 0);
    });

    test("trains: the gradients are those of the dequantised weights, the base stays as it is", async () => {
      const before = readFileSync(join(saved, "model.safetensors"));
      const model = openModel(saved);
      const targets = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"];
      const spec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets, seed: 5 };
      await using engine = await Engine.create(model, spec, { ...ENGINE, training: true });
      const batch = toBatch(readReference("gqa-untied").batch);
      const losses: number[] = [];
      for (let step = 0; step < 8; step++) {
        losses.push(await trainedLoss(engine, batch, 1 / 32, step));
        await engine.optimizerStep({ learningRate: 1e-2, weightDecay: 0, maxGradNorm: 1 });
      }
      expect(losses.at(-1)!).toBeLessThan(losses[0]! * 0.95);
      expect(readFileSync(join(saved, "model.safetensors")).equals(before)).toBe(true);
    });
  },
);

describe("an 8-bit backward pass", () => {
  const base = openModel(join(goldensFolder, "gqa-untied"));
  const eight = { use_4bit: false, use_8bit: true, double_quant: true, quantize_skip: undefined };
  const model = (int8_backward: "none" | "nearest" | "stochastic", more: { quantize_skip?: string[] } = {}) =>
    quantizedSource(base, { ...eight, ...more, int8_backward }, silent);
  const targets = ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj"];
  const spec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets, seed: 5 };
  const batch = toBatch(readReference("gqa-untied").batch);

  /** Gradients of the adapter in the lowest layer, whose B is zero: those of B alone. The mean of as many micro-batches. */
  async function gradients(source: ModelSource, microBatches = 1): Promise<{ loss: number; values: Float64Array }> {
    await using engine = await Engine.create(source, spec, { ...ENGINE, training: true });
    for (let i = 0; i < microBatches; i++) await engine.forwardBackward(batch, 1 / 32, i);
    const { loss } = await engine.readings();
    const all = [...(await engine.gradients()).values()].flatMap(({ data }) => Array.from(data as Float32Array));
    return { loss: loss / microBatches, values: Float64Array.from(all, (value) => value / microBatches) };
  }
  const norm = (values: Float64Array) => Math.hypot(...values);
  const apart = (a: Float64Array, b: Float64Array) => norm(a.map((value, i) => value - b[i]!)) / norm(b);

  test("leaves the loss as it is, and moves gradients a little", async () => {
    const exact = await gradients(model("none"));
    const nearest = await gradients(model("nearest"));
    expect(nearest.loss).toBe(exact.loss);
    expect(apart(nearest.values, exact.values)).toBeGreaterThan(1e-4);
    expect(apart(nearest.values, exact.values)).toBeLessThan(0.05);
  });

  test("by chance: micro-batches round otherwise, and their mean lies nearer", async () => {
    const exact = await gradients(model("none"));
    const once = await gradients(model("stochastic"));
    const often = await gradients(model("stochastic"), 16);
    expect(once.values).toEqual((await gradients(model("stochastic"))).values);
    expect(apart(once.values, exact.values)).toBeLessThan(0.1);
    expect(apart(often.values, exact.values)).toBeLessThan(apart(once.values, exact.values) / 2);
  });

  test("linears of one input go through codes together, or not at all", async () => {
    const all = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj"];
    const skip = { quantize_skip: ["k_proj", "up_proj", "o_proj", "down_proj"] };
    expect((await gradients(model("nearest", skip))).values).toEqual((await gradients(model("none", skip))).values);
    const more = { quantize_skip: all.slice(0, 4) };
    expect((await gradients(model("nearest", more))).values).not.toEqual((await gradients(model("none", more))).values);
  });

  test("GPUs refuse it", () => {
    expect(() => planMemory(model("nearest"), spec, { ...ENGINE, training: true, device: "cuda:0" })).toThrow(
      "int8_backward is not supported on cuda:0: leave it out, or train with --device cpu.",
    );
  });
});

describe("LLM.int8", () => {
  const saved = join(golden, "int8");
  const asStored = { use_4bit: false, use_8bit: false, double_quant: true, quantize_skip: undefined };
  const rounding = { ...asStored, quant_type: "llm_int8" as const };
  const { sequences } = readReference("gqa-untied").batch;
  const alone = sequences.map((ids) => ({ sequences: [{ inputIds: Int32Array.from(ids) }] }));

  /**
   * One sequence a call, as in the reference: outliers are found among the tokens that go through the model together.
   */
  async function logitsAlone(model: ModelSource, threads = 2): Promise<Float32Array> {
    await using engine = await Engine.create(model, null, { ...ENGINE, threads, training: false });
    const parts: number[] = [];
    for (const batch of alone) parts.push(...(await engine.logits(batch)));
    return Float32Array.from(parts);
  }

  test("has the logits of the model as bitsandbytes computes it, outliers among its activations", async () => {
    const theirs = readTensors(join(saved, "logits.safetensors")).get("rounded")!.data;
    const ours = await logitsAlone(quantizedSource(openModel(saved), rounding, silent));
    const { difference, scale } = largestDifference(ours, theirs);
    expect(difference / scale).toBeLessThan(2e-5);
    expect(await logitsAlone(quantizedSource(openModel(saved), rounding, silent), 1)).toEqual(ours);
    // Without rounding they are far away.
    const apart = largestDifference(await logitsAlone(openModel(saved)), theirs);
    expect(apart.difference / apart.scale).toBeGreaterThan(5e-3);
  });

  test("while loading, and for a folder in int8 with use_8bit or without: the same", async () => {
    const base = openModel(join(goldensFolder, "gqa-untied"));
    const made = quantizedSource(base, { ...rounding, use_8bit: true }, silent);
    const stored = quantizedSource(openModel(saved), rounding, silent);
    const again = quantizedSource(openModel(saved), { ...rounding, use_8bit: true }, silent);
    expect(again).toEqual(stored);
    expect(await logitsAlone(made)).toEqual(await logitsAlone(stored));
    // The embedding and, if it is there, the head are none of it.
    const rounds = stored.tensors.filter(({ outlierThreshold }) => outlierThreshold === 6).map(({ name }) => name);
    expect(rounds.length).toBe(stored.tensors.filter(({ dtype }) => dtype === "i8").length);
    expect(quantizedSource(openModel(saved), { ...asStored, quant_type: "int8" }, silent)).toEqual(openModel(saved));
  });

  test("llm_int8_threshold of the folder counts; 0 takes no column out", async () => {
    const copy = join(folder(), "int8");
    cpSync(saved, copy, { recursive: true });
    const file = join(copy, "config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    const threshold = (value: unknown) => {
      const quantization_config = { ...config.quantization_config, llm_int8_threshold: value };
      writeFileSync(file, JSON.stringify({ ...config, quantization_config }));
      const source = quantizedSource(openModel(copy), rounding, silent);
      return source.tensors.find(({ dtype }) => dtype === "i8")!.outlierThreshold;
    };
    expect([threshold(4.5), threshold(0), threshold(undefined)]).toEqual([4.5, Number.POSITIVE_INFINITY, 6]);
    const error = await errorOf(() => threshold("six"));
    expect([error.code, error.message]).toEqual([
      "E_CONFIG_VALUE",
      `${file}: llm_int8_threshold is "six", expected a number of at least 0.`,
    ]);
    threshold(0);
    const none = await logitsAlone(quantizedSource(openModel(copy), rounding, silent));
    expect(none).not.toEqual(await logitsAlone(quantizedSource(openModel(saved), rounding, silent)));
  });

  test("trains, evaluates and generates with activations rounded alike; the plan has room for it", async () => {
    const source = quantizedSource(openModel(saved), rounding, silent);
    const targets = ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"];
    const spec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets, seed: 5 };
    const options = { ...ENGINE, training: true };
    const workspace = (model: ModelSource) =>
      planMemory(model, spec, options).items.find(({ name }) => name === "workspace")!.bytes;
    expect(workspace(source)).toBeGreaterThan(workspace(openModel(saved)));
    await using engine = await Engine.create(source, spec, options);
    const [batch] = alone;
    const evaluated = await engine.evaluate(batch!);
    expect(await trainedLoss(engine, batch!, 1 / 16, 0)).toBe(evaluated);
    const logits = await engine.logits(batch!);
    const vocab = logits.length / batch!.sequences[0]!.inputIds.length;
    const last = logits.subarray(-vocab);
    const likeliest = last.indexOf(Math.max(...last));
    const greedy = { temperature: 0, topK: 0, topP: 1, seed: 1 };
    expect(await engine.generateStart(batch!.sequences[0]!.inputIds, greedy)).toBe(likeliest);
    for (let step = 0; step < 8; step++) {
      await engine.forwardBackward(batch!, 1 / 16, step);
      await engine.optimizerStep({ learningRate: 1e-2, weightDecay: 0, maxGradNorm: 1 });
    }
    expect(await engine.evaluate(batch!)).toBeLessThan(evaluated * 0.95);
  });
});

describe("progress", () => {
  test("counts every weight that is quantised, and nothing where none is", async () => {
    const base = openModel(tinyBase);
    const source = quantizedSource(base, { ...optionsOf("nf4") }, silent);
    const total = source.tensors.filter(({ quantize }) => quantize).length;
    const seen: [string, number, number][] = [];
    await using engine = await Engine.create(source, null, { ...ENGINE, training: false }, (...now) => seen.push(now));
    expect(seen.at(-1)).toEqual(["quantising", total, total]);
    expect(seen.every(([, done, all], i) => all === total && done >= (seen[i - 1]?.[1] ?? 0))).toBe(true);
    seen.length = 0;
    await using plain = await Engine.create(base, null, { ...ENGINE, training: false }, (...now) => seen.push(now));
    expect([seen, await plain.parameterCounts()]).toEqual([[], await engine.parameterCounts()]);
  });

  test("writing a folder tells of each step", async () => {
    const model = quantizedSource(openModel(tinyBase), optionsOf("fp4"), silent);
    const tokenizer = await Tokenizer.open(tinyBase);
    const seen: number[] = [];
    const output = join(folder(), "fp4");
    await writeQuantized({ model, output, tokenizer, threads: 2, onProgress: (done) => seen.push(done) });
    const steps = model.tensors.length + model.tensors.filter(({ quantize }) => quantize).length;
    expect(seen).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
  });

  test("is a bar where there is one and it is free, else lines every ten seconds", () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      const lines: string[] = [];
      const log = { info: (line: string) => lines.push(line) };
      const drawn: unknown[] = [];
      const bar = (shown: boolean) => ({
        shown,
        start: (...all: unknown[]) => drawn.push(["start", ...all]),
        update: (done: number) => drawn.push(done),
        stop: () => drawn.push("stop"),
      });
      let isFree = false;
      const show = loading(bar(true), log, () => isFree);
      show("quantising", 3, 8);
      isFree = true;
      for (const done of [4, 6, 8, 8]) show("quantising", done, 8);
      expect([drawn, lines]).toEqual([[["start", "quantising", 8], 4, 6, "stop"], []]);
      drawn.length = 0;
      // After it weights are read, in MiB.
      for (const mib of [1, 2, 3]) show("copying", mib * 2 ** 20, 3 * 2 ** 20);
      expect(drawn.slice(-4)).toEqual([["start", "reading weights, MiB", 3], 1, 2, "stop"]);
      drawn.length = 0;
      const quick = loading(bar(false), log);
      quick("quantising", 4, 8);
      quick("quantising", 8, 8);
      expect(lines).toEqual([]);
      const slow = loading(bar(false), log);
      for (const [seconds, done] of [
        [9, 1],
        [1, 3],
        [5, 4],
        [6, 8],
      ] as const) {
        vi.advanceTimersByTime(seconds * 1000);
        slow("quantising", done, 8);
      }
      expect([drawn, lines]).toEqual([[], ["quantising: 37 %", "quantised the weights in 21 s"]]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("the plan", () => {
  test("counts the quantised weights, and of the file only what stays mapped", () => {
    const base = openModel(tinyBase);
    const bytes = (model: ModelSource, name: string) =>
      planMemory(model, null, { ...ENGINE, training: false }).items.find((item) => item.name === name)?.bytes ?? 0;
    const options = { use_4bit: true, use_8bit: false, double_quant: false, quantize_skip: undefined };
    const four = quantizedSource(base, options, silent);
    const linears = four.tensors.filter(({ quantize }) => quantize);
    const elements = linears.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0);
    expect(bytes(four, "weights (quantised)")).toBe(elements / 2 + (elements / 64) * 4);
    const others =
      base.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0) - linears.reduce((sum, t) => sum + t.bytes, 0);
    expect(bytes(four, "weights (mapped)")).toBe(others);
    expect(bytes(base, "weights (quantised)")).toBe(0);
  });
});

describe("what is refused", () => {
  /** A quantised golden with some tensors changed. */
  async function changed(
    name: string,
    edit: (tensors: Map<string, Buffer>, dtypes: Map<string, string>) => void,
  ): Promise<string> {
    const copy = join(folder(), name);
    cpSync(join(golden, name), copy, { recursive: true });
    const file = join(copy, "model.safetensors");
    const raw = rawTensors(file);
    const bytes = new Map([...raw].map(([key, tensor]) => [key, Buffer.from(tensor.bytes)]));
    const dtypes = new Map([...raw].map(([key, tensor]) => [key, tensor.dtype]));
    edit(bytes, dtypes);
    const tensors = [...bytes].map(([key, data]) => {
      const dtype = dtypes.get(key)!;
      const same = raw.get(key)?.bytes.length === data.length && dtype === raw.get(key)?.dtype;
      const size = { F32: 4, BF16: 2, F16: 2, U8: 1, I8: 1 }[dtype]!;
      return { name: key, dtype, shape: same ? raw.get(key)!.shape : [data.length / size], bytes: data.length, data };
    });
    await writeSafetensors(file, tensors, { format: "pt" });
    return copy;
  }
  const Q = "model.layers.0.self_attn.q_proj";
  const state = (text: string) => Buffer.from(text);

  test.each<[string, string, (tensors: Map<string, Buffer>, dtypes: Map<string, string>) => void, RegExp]>([
    [
      "no maxima",
      "nf4",
      (t) => t.delete(`${Q}.weight.absmax`),
      /q_proj\.weight is quantised, but .*\.absmax is missing/,
    ],
    [
      "no description",
      "nf4",
      (t) => t.delete(`${Q}.weight.quant_state.bitsandbytes__nf4`),
      /quant_state\.bitsandbytes__nf4 is missing/,
    ],
    ["no map", "nf4", (t) => t.delete(`${Q}.weight.quant_map`), /quant_map is missing/],
    [
      "another map",
      "nf4",
      (t) => t.get(`${Q}.weight.quant_map`)!.writeFloatLE(0.25, 8),
      /other values in .*quant_map than nf4's/,
    ],
    [
      "too few maxima",
      "nf4",
      (t) => t.set(`${Q}.weight.absmax`, Buffer.alloc(12)),
      /absmax occupies 12 bytes, expected 64/,
    ],
    [
      "too few codes",
      "nf4",
      (t) => t.set(`${Q}.weight`, Buffer.alloc(100)),
      /q_proj\.weight occupies 100 bytes, expected 512/,
    ],
    ["no JSON", "nf4", (t) => t.set(`${Q}.weight.quant_state.bitsandbytes__nf4`, state("{")), /not valid JSON/],
    [
      "no shape",
      "nf4",
      (t) => t.set(`${Q}.weight.quant_state.bitsandbytes__nf4`, state('{"blocksize":64}')),
      /no shape/,
    ],
    [
      "another shape",
      "nf4",
      (t) => t.set(`${Q}.weight.quant_state.bitsandbytes__nf4`, state('{"shape":[16,64],"blocksize":64}')),
      /shape \[16, 64\], expected \[32, 32\]/,
    ],
    [
      "blocks of nothing",
      "nf4",
      (t) => t.set(`${Q}.weight.quant_state.bitsandbytes__nf4`, state('{"shape":[32,32],"blocksize":0}')),
      /no blocksize/,
    ],
    [
      "huge blocks",
      "nf4",
      (t) => t.set(`${Q}.weight.quant_state.bitsandbytes__nf4`, state('{"shape":[32,32],"blocksize":1e15}')),
      /blocks of \d+ elements/,
    ],
    ["no nested maxima", "nf4-double", (t) => t.delete(`${Q}.weight.nested_absmax`), /nested_absmax is missing/],
    ["no nested map", "nf4-double", (t) => t.delete(`${Q}.weight.nested_quant_map`), /nested_quant_map is missing/],
    [
      "maxima of another kind",
      "nf4-double",
      (t, d) => {
        t.set(`${Q}.weight.absmax`, Buffer.alloc(64));
        d.set(`${Q}.weight.absmax`, "F32");
      },
      /absmax is F32, expected U8/,
    ],
    ["no row maxima", "int8", (t) => t.delete(`${Q}.SCB`), /q_proj\.weight is quantised, but .*\.SCB is missing/],
    ["too few row maxima", "int8", (t) => t.set(`${Q}.SCB`, Buffer.alloc(8)), /SCB occupies 8 bytes, expected 128/],
    [
      "fp4 with nf4's map",
      "fp4",
      (t) => t.set(`${Q}.weight.quant_map`, Buffer.from(quantizationMaps().nf4.buffer)),
      /other values in .*quant_map than fp4's/,
    ],
    [
      "fp4 without a shape",
      "fp4",
      (t) => t.set(`${Q}.weight.quant_state.bitsandbytes__fp4`, state("{}")),
      /no shape in its \.quant_state\.bitsandbytes__fp4/,
    ],
  ])("%s (%s)", async (_, name, edit, message) => {
    const broken = await changed(name, edit);
    const error = await errorOf(() => openModel(broken));
    expect(["E_QUANTIZED", "E_TENSOR_SHAPE", "E_JSON"]).toContain(error.code);
    expect(error.message).toMatch(message);
  });

  // transformers 5.24 and bitsandbytes 0.50 give the same logits, too, whatever the storage.
  test.each(["BF16", "F16", "F32"])("codes that are stored as %s (bnb_4bit_quant_storage)", async (storage) => {
    for (const name of ["nf4", "nf4-double", "fp4", "fp4-head"]) {
      const described = (key: string, all: Map<string, unknown>) =>
        ["nf4", "fp4"].some((type) => all.has(`${key}.quant_state.bitsandbytes__${type}`));
      const stored = await changed(name, (all, dtypes) => {
        for (const key of all.keys()) if (described(key, all)) dtypes.set(key, storage);
      });
      expect(await logitsOf(openModel(stored))).toEqual(await logitsOf(openModel(join(golden, name))));
    }
  });

  const OPTIONS = { base_model: "", use_4bit: true, use_8bit: false, double_quant: true, quantize_skip: undefined };

  test("quantising what is quantised; the same way is no error", async () => {
    const error = await errorOf(() => openBase({ ...OPTIONS, base_model: join(golden, "int8") }, silent));
    expect([error.code, error.message]).toEqual(["E_QUANTIZED", expect.stringContaining("is quantised already (i8)")]);
    expect(
      openBase({ ...OPTIONS, base_model: join(golden, "nf4") }, silent).tensors.some(({ quantize }) => quantize),
    ).toBe(false);
  });

  test.each<[string, Partial<BaseOptions>, string]>([
    [
      "fp4",
      { use_4bit: false, use_8bit: true, quant_type: "fp4" },
      "quant_type is fp4, with use_8bit it is int8 or llm_int8.",
    ],
    ["int8", { quant_type: "int8" }, "quant_type is int8, with use_4bit it is nf4 or fp4."],
    [
      "llm_int8 of both",
      { use_8bit: true, quant_type: "llm_int8" },
      "quant_type is llm_int8, with use_4bit it is nf4 or fp4.",
    ],
    [
      "a type alone",
      { use_4bit: false, quant_type: "llm_int8" },
      "quant_type needs use_4bit or use_8bit; without them it may be int8 or llm_int8, for a base that is stored in int8.",
    ],
    ["a head alone", { use_4bit: false, quantize_head: true }, "quantize_head needs use_4bit or use_8bit."],
    [
      "an 8-bit backward pass through 4 bits",
      { int8_backward: "nearest" as const },
      "int8_backward needs use_8bit, or a base that is stored in int8.",
    ],
    [
      "a head that is skipped",
      { quantize_head: true, quantize_skip: ["lm_head"] },
      "quantize_head is given, but quantize_skip names the head.",
    ],
  ])("a type or a head that does not fit: %s", async (_, options, message) => {
    const untied = join(goldensFolder, "gqa-untied");
    const error = await errorOf(() => openBase({ ...OPTIONS, base_model: untied, ...options }, silent));
    expect([error.code, error.message]).toEqual(["E_USAGE", message]);
  });

  test("a type of 4 bits for a base that is stored in int8", async () => {
    const int8 = { ...OPTIONS, use_4bit: false, quant_type: "nf4" as const, base_model: join(golden, "int8") };
    expect((await errorOf(() => openBase(int8, silent))).message).toMatch(/^quant_type needs use_4bit or use_8bit;/);
  });

  test("a head that is the embedding", async () => {
    const tied = join(goldensFolder, "mha-tied");
    const error = await errorOf(() => openBase({ ...OPTIONS, base_model: tied, quantize_head: true }, silent));
    expect([error.code, error.message]).toEqual([
      "E_USAGE",
      `quantize_head is given, but the head of ${tied} is its embedding (tie_word_embeddings), which stays as it is: leave quantize_head out.`,
    ]);
  });

  test("both widths: 4 bits, with a warning", () => {
    const warnings: string[] = [];
    const model = openBase({ ...OPTIONS, base_model: tinyBase, use_8bit: true }, (message) => warnings.push(message));
    expect(new Set(model.tensors.map(({ quantize }) => quantize?.format))).toEqual(new Set([undefined, "nf4"]));
    expect(warnings).toEqual(["--use_4bit and --use_8bit are both given: the base is quantised to 4 bits"]);
  });

  test("modules to be left out: by their last parts; unknown ones are named", async () => {
    const left = openBase({ ...OPTIONS, base_model: tinyBase, quantize_skip: ["down_proj", "lm_head"] }, silent);
    const quantized = left.tensors.filter(({ quantize }) => quantize).map(({ name }) => name);
    expect(quantized.some((name) => name.includes("down_proj"))).toBe(false);
    expect(quantized.some((name) => name.includes("up_proj"))).toBe(true);
    const error = await errorOf(() => openBase({ ...OPTIONS, base_model: tinyBase, quantize_skip: ["down"] }, silent));
    expect(error.message).toContain("the model has no module down. It has q_proj, k_proj");
    const alone = await errorOf(() =>
      openBase({ ...OPTIONS, base_model: tinyBase, use_4bit: false, quantize_skip: ["q_proj"] }, silent),
    );
    expect(alone.message).toBe("quantize_skip needs use_4bit or use_8bit.");
  });

  test("another method of quantising", async () => {
    const copy = copyGolden("gqa-untied", folder());
    const file = join(copy, "config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...config, quantization_config: { quant_method: "gptq" } }));
    expect((await errorOf(() => openModel(copy))).message).toContain("quantised by gptq, expected bitsandbytes");
    expect(existsSync(copy)).toBe(true);
  });
});
