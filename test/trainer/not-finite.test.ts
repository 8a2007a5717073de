// Weights that hold NaN or infinity are named, whatever is asked of the model: a result that is no number is no success.
import { cpSync, existsSync, openSync, readdirSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readAdapter, writeAdapter, writeMerged, writeQuantized } from "../../src/checkpoint/index.js";
import { Tokenizer } from "../../src/data/index.js";
import { type LowrankError, Model, Trainer } from "../../src/index.js";
import { matchTargets, openModel } from "../../src/model/index.js";
import {
  checkFinite,
  Engine,
  type EngineOptions,
  quantizeTensor,
  type TensorEntry,
  type WeightDtype,
} from "../../src/native/index.js";
import { quantizedSource } from "../../src/setup/base.js";
import { magnitude } from "../../src/trainer/diverged.js";
import { errorOf, temporaryFolders, tinyBase } from "../support/folders.js";
import { goldensFolder } from "../support/golden.js";
import { lowrank, someTexts, validationFile } from "../support/tiny.js";

const folder = temporaryFolders();
const shape: EngineOptions = { precision: "fp32", threads: 2, maxTokens: 64, maxSequence: 64, training: false };
const four = { use_4bit: true, use_8bit: false, double_quant: false, quantize_skip: undefined };

/** Bytes of numbers that are none. */
const NONE: Record<string, number[][]> = {
  f32: [
    [0, 0, 0xc0, 0x7f],
    [0, 0, 0x80, 0x7f],
    [0, 0, 0x80, 0xff],
  ],
  bf16: [
    [0xc0, 0x7f],
    [0x80, 0x7f],
    [0x80, 0xff],
  ],
  f16: [
    [0, 0x7e],
    [0, 0x7c],
    [0, 0xfc],
  ],
};

function overwrite(file: string, at: number, bytes: number[]): void {
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, Uint8Array.from(bytes), 0, bytes.length, at);
}

/** A copy of a model in which one number of a tensor is another. */
function changed(source: string, name: string, numberOf: (dtype: string) => number[]): string {
  const copy = join(folder(), "model");
  cpSync(source, copy, { recursive: true });
  const { file, offset, bytes, dtype } = openModel(copy).tensors.find((tensor) => tensor.name === name)!;
  const number = numberOf(dtype);
  overwrite(file, offset + Math.floor(bytes / number.length / 3) * number.length, number);
  return copy;
}

/** A copy of a model in which one number of a tensor is none. */
const damaged = (source: string, name: string, which = 0) => changed(source, name, (dtype) => NONE[dtype]![which]!);

const NORM = "model.layers.1.input_layernorm.weight";
const UP = "model.layers.0.mlp.up_proj.weight";

test("the magnitude of an adapter is added up in slices, and is a number where every element is one", async () => {
  const data = new Float32Array(5 << 19).fill(-0.5);
  const tensors = new Map(["A", "B"].map((name) => [name, { shape: [data.length], data }]));
  let [turns, isDone] = [0, false];
  const turn = () => {
    turns++;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  expect(await magnitude(tensors)).toBe(data.length);
  isDone = true;
  expect(turns).toBeGreaterThanOrEqual(5);
  for (const none of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    data[data.length - 1] = none;
    expect(Number.isFinite(await magnitude(tensors))).toBe(false);
  }
});

describe("every number of a file is looked at", () => {
  test.each(["mha-tied", "stored-bf16", "odd-sizes-f16"])("of %s", async (name) => {
    const source = join(goldensFolder, name);
    await checkFinite(openModel(source), 2);
    for (const tensor of openModel(source).tensors) {
      for (const which of [0, 1, 2]) {
        const error = await errorOf(() => checkFinite(openModel(damaged(source, tensor.name, which)), 2));
        expect(error).toMatchObject({ code: "E_TENSOR_VALUE", where: tensor.name });
      }
    }
  });

  test("also in tensors of many megabytes, first and last", async () => {
    const file = join(folder(), "large");
    const bytes = (3 << 20) + 8;
    writeFileSync(file, new Uint8Array(bytes));
    const tensor: TensorEntry = { name: "x", dtype: "f32", shape: [bytes / 4], file, offset: 0, bytes };
    await checkFinite({ tensors: [tensor] }, 2);
    for (const at of [0, 4 << 18, bytes - 4]) {
      writeFileSync(file, new Uint8Array(bytes));
      overwrite(file, at, NONE.f32![0]!);
      expect((await errorOf(() => checkFinite({ tensors: [tensor] }, 2))).where).toBe("x");
    }
    writeFileSync(file, new Uint8Array(bytes - 1));
    expect((await errorOf(() => checkFinite({ tensors: [tensor] }, 2))).code).toBe("E_FILE");
  });

  test.each(["nf4", "fp4", "int8"])("the maxima of %s", async (type) => {
    const source = join(goldensFolder, "quantized", type);
    await checkFinite(openModel(source), 2);
    const copy = join(folder(), "model");
    cpSync(source, copy, { recursive: true });
    const tensor = openModel(copy).tensors.find(({ name }) => name === UP)!;
    const { file, offset } = tensor.absmax!;
    overwrite(file, offset + 4, NONE.f32![0]!);
    expect((await errorOf(() => checkFinite({ tensors: [tensor] }, 2))).where).toBe(UP);
  });

  test.each<[WeightDtype, number, number, number[]]>([
    ["q4_0", 32, 18, [0]],
    ["q4_1", 32, 20, [0, 2]],
    ["q5_0", 32, 22, [0]],
    ["q8_0", 32, 34, [0]],
    ["q4_k", 256, 144, [0, 2]],
    ["q5_k", 256, 176, [0, 2]],
    ["q6_k", 256, 210, [208]],
  ])("the scales of %s", async (dtype, elements, size, scales) => {
    const file = join(folder(), "blocks");
    const tensor: TensorEntry = { name: "x", dtype, shape: [3, 2 * elements], file, offset: 0, bytes: 6 * size };
    writeFileSync(file, new Uint8Array(6 * size));
    await checkFinite({ tensors: [tensor] }, 1);
    for (const scale of scales) {
      for (const bytes of NONE.f16!) {
        writeFileSync(file, new Uint8Array(6 * size));
        overwrite(file, 5 * size + scale, bytes);
        expect((await errorOf(() => checkFinite({ tensors: [tensor] }, 1))).where).toBe("x");
      }
    }
  });
});

describe("a model with one", () => {
  const ids = Int32Array.from({ length: 40 }, (_, i) => (i * 7 + 3) % 2000);
  const sampling = { temperature: 0, topK: 0, topP: 1, seed: 0 };

  test("generates nothing", async () => {
    await using engine = await Engine.create(openModel(damaged(tinyBase, NORM)), null, shape);
    expect(await errorOf(() => engine.generateStart(ids, sampling))).toMatchObject({
      code: "E_TENSOR_VALUE",
      where: NORM,
    });
  });

  test("is named by eval, which ends with an error", async () => {
    const base = damaged(tinyBase, UP, 1);
    const { code, stdout, stderr } = await lowrank(["eval", "--base_model", base, "--validation_file", validationFile]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(`E_TENSOR_VALUE: ${join(base, "model.safetensors")}: tensor ${UP} holds NaN or infinity`);
  });

  test.each(["fp32", "fp16"] as const)("is not trained (%s)", async (precision) => {
    const base = damaged(tinyBase, UP);
    const train_file = [someTexts(join(folder(), "texts.jsonl"), 40)];
    const output_dir = join(folder(), "out");
    await using model = await Model.open(base, { precision, threads: 1 });
    await using trainer = await Trainer.create(model, { train_file, output_dir, max_steps: 3 });
    const types: string[] = [];
    const run = async () => {
      for await (const { type } of trainer.run()) types.push(type);
    };
    expect(await errorOf(run)).toMatchObject({ code: "E_TENSOR_VALUE", where: UP });
    expect(types).toEqual(["start"]);
    expect(readdirSync(output_dir).filter((name) => /^adapter|^checkpoint/.test(name))).toEqual([]);
  });

  describe.each(["nf4", "fp4", "int8", "llm_int8"] as const)("quantised to %s while it is loaded", (quant_type) => {
    const bits = quant_type.endsWith("int8") ? 8 : 4;
    const options = { use_4bit: bits === 4, use_8bit: bits === 8, quant_type, double_quant: true };

    test.each([0, 1, 2])("is not opened (%d)", async (which) => {
      for (const source of [tinyBase, join(goldensFolder, "stored-bf16"), join(goldensFolder, "odd-sizes-f16")]) {
        const plain = openModel(damaged(source, UP, which));
        for (const double_quant of [true, false]) {
          const model = quantizedSource(plain, { ...options, double_quant, quantize_skip: undefined }, () => {});
          expect(await errorOf(() => Engine.create(model, null, shape))).toMatchObject({
            code: "E_TENSOR_VALUE",
            where: UP,
          });
          const tensor = model.tensors.find(({ name }) => name === UP)!;
          expect(await errorOf(() => quantizeTensor(tensor, 2))).toMatchObject({ code: "E_TENSOR_VALUE", where: UP });
        }
      }
    });

    test("is named by generate", async () => {
      const base = damaged(tinyBase, UP);
      const args = ["--base_model", base, "--prompt", "a", `--use_${bits}bit`, "--quant_type", quant_type];
      const { code, stdout, stderr } = await lowrank(["generate", ...args]);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toContain(
        `E_TENSOR_VALUE: ${join(base, "model.safetensors")}: tensor ${UP} holds NaN or infinity`,
      );
    });
  });

  test("is neither merged nor quantised", async () => {
    const model = openModel(damaged(tinyBase, UP, 2));
    const tokenizer = await Tokenizer.open(tinyBase);
    const output = join(folder(), "out");
    const targets = matchTargets(model, ["q_proj"]).modules;
    await using engine = await Engine.create(
      model,
      { rank: 2, alpha: 2, dropout: 0, useRslora: false, targets, seed: 1 },
      shape,
    );
    const merging = { engine, model, modules: targets, output, tokenizer };
    expect(await errorOf(() => writeMerged(merging))).toMatchObject({ code: "E_TENSOR_VALUE", where: UP });
    const quantizing = { model: quantizedSource(model, four, () => {}), output, tokenizer, threads: 1 };
    expect(await errorOf(() => writeQuantized(quantizing))).toMatchObject({ code: "E_TENSOR_VALUE", where: UP });
    expect(existsSync(output)).toBe(false);
  });
});

/** 2 ** 16 as bf16: the smallest power of two that f16 lacks. */
const LARGE = [0x80, 0x47];

test.each(["int8", "llm_int8"] as const)("a weight that f16 cannot hold is not quantised to %s", async (quant_type) => {
  const plain = openModel(changed(tinyBase, UP, () => LARGE));
  const options = { use_4bit: false, double_quant: false, quant_type };
  const eight = quantizedSource(plain, { ...options, use_8bit: true, quantize_skip: undefined }, () => {});
  const expected = {
    code: "E_TENSOR_VALUE",
    where: UP,
    message: expect.stringContaining(`tensor ${UP} holds a number beyond 65,504`),
  };
  expect(await errorOf(() => Engine.create(eight, null, shape))).toMatchObject(expected);
  const output = join(folder(), "out");
  const quantizing = { model: eight, output, tokenizer: await Tokenizer.open(tinyBase), threads: 1 };
  expect(await errorOf(() => writeQuantized(quantizing))).toMatchObject(expected);
  const others = quantizedSource(plain, { ...options, use_8bit: true, quantize_skip: ["up_proj"] }, () => {});
  await (await Engine.create(others, null, shape)).close();
  await (
    await Engine.create(
      quantizedSource(plain, four, () => {}),
      null,
      shape,
    )
  ).close();
});

test("an adapter with one is not read", async () => {
  const source = join(goldensFolder, "mha-tied");
  const model = openModel(source);
  const read = readAdapter(join(source, "final"), model);
  const [name, first] = [...read.tensors][1]!;
  first.data[3] = Number.NaN;
  const written = join(folder(), "adapter");
  await writeAdapter(written, { ...read, baseModel: "x" });
  const error: LowrankError = await errorOf(() => readAdapter(written, model));
  expect(error).toMatchObject({ code: "E_ADAPTER", where: `base_model.model.${name}` });
  expect(error.message).toContain("holds NaN or infinity");
});

test("a merged weight that its type cannot hold is an error", async () => {
  const model = openModel(join(goldensFolder, "odd-sizes-f16"));
  const targets = matchTargets(model, ["q_proj"]).modules;
  const spec = { rank: 2, alpha: 2, dropout: 0, useRslora: false, targets, seed: 1 };
  await using engine = await Engine.create(model, spec, shape);
  const tensors = await engine.adapter();
  for (const { data } of tensors.values()) data.fill(300);
  await engine.setAdapter(tensors);
  expect(await errorOf(() => engine.mergedWeight(targets[0]!))).toMatchObject({ code: "E_NAN", where: targets[0] });
});
