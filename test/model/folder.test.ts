import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { LlamaConfig } from "../../src/model/families/llama.js";
import { modelDtype, openModel, readSafetensorsHeader, writeSafetensors } from "../../src/model/index.js";
import type { ModelSource } from "../../src/native/index.js";
import {
  copyGolden,
  editJson,
  errorOf,
  rewriteTensors,
  temporaryFolders,
  tinyBase,
  writeIn,
} from "../support/folders.js";
import { goldenNames, goldensFolder } from "../support/golden.js";

const folder = temporaryFolders();
const golden = (name: string) => copyGolden(name, folder());

/** Bytes of every tensor by name. */
function contents(model: ModelSource): Map<string, { dtype: string; shape: number[]; bytes: Buffer }> {
  return new Map(
    model.tensors.map(({ name, dtype, shape, file, offset, bytes }) => [
      name,
      { dtype, shape, bytes: readFileSync(file).subarray(offset, offset + bytes) },
    ]),
  );
}

const threeShards = (name: string) =>
  `model-0000${name.includes("layers.0") ? 1 : name.includes("layers.1") ? 2 : 3}-of-00003.safetensors`;

describe("configuration", () => {
  test.each(goldenNames())("%s opens", (name) => {
    const model = openModel(join(goldensFolder, name));
    const { model_type } = JSON.parse(readFileSync(join(goldensFolder, name, "config.json"), "utf8"));
    expect(model.config.modelType).toBe(model_type);
    expect(model.tensors.length).toBeGreaterThan(10);
  });

  test("every number is read from its own key", () => {
    expect(openModel(join(goldensFolder, "bias-head-dim")).config).toEqual({
      modelType: "llama",
      vocabSize: 110,
      hiddenSize: 32,
      intermediateSize: 56,
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headDim: 12,
      rmsNormEps: 1e-5,
      maxPositions: 64,
      ropeTheta: 10000,
      ropeScaling: null,
      tieWordEmbeddings: true,
      attentionBias: true,
      mlpBias: true,
      activation: "silu",
    });
  });

  test("absent and null keys have transformers' defaults", () => {
    const model = golden("mha-tied");
    editJson(join(model, "config.json"), {
      head_dim: null,
      num_key_value_heads: undefined,
      rms_norm_eps: undefined,
      max_position_embeddings: undefined,
      rope_parameters: undefined,
      attention_bias: undefined,
      mlp_bias: undefined,
      hidden_act: undefined,
      pretraining_tp: undefined,
    });
    expect(openModel(model).config).toMatchObject({
      headDim: 8,
      kvHeads: 4,
      rmsNormEps: 1e-6,
      maxPositions: 2048,
      ropeTheta: 10000,
      ropeScaling: null,
      attentionBias: false,
      mlpBias: false,
    });
  });

  test("an untied head is the default", async () => {
    const model = golden("mha-tied");
    editJson(join(model, "config.json"), { tie_word_embeddings: undefined });
    const error = await errorOf(() => openModel(model));
    expect(error).toMatchObject({ code: "E_TENSOR_MISSING", where: "lm_head.weight" });
    expect(error.message).toContain("lm_head.weight [110, 32] is missing");
    expect(error.message).toContain("set tie_word_embeddings to true");
  });

  const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 };
  test.each([
    ["type", { rope_theta: 5e5, rope_scaling: { type: "llama3", ...llama3 } }],
    ["rope_type", { rope_theta: 5e5, rope_scaling: { rope_type: "llama3", ...llama3 } }],
    ["rope_parameters", { rope_parameters: { rope_type: "llama3", rope_theta: 5e5, ...llama3 } }],
    ["rope_type wins", { rope_theta: 5e5, rope_scaling: { type: "linear", rope_type: "llama3", ...llama3 } }],
  ])("llama3 scaling spelled with %s", (_, keys) => {
    const model = golden("rope-llama3");
    editJson(join(model, "config.json"), { rope_parameters: undefined, ...keys });
    expect(openModel(model).config).toMatchObject({
      ropeTheta: 5e5,
      ropeScaling: { type: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 32 },
    });
  });

  // transformers 5.24 computes with these values, as the losses of such folders show.
  const linear = { type: "linear", factor: 4 };
  test.each<[string, object, number, object | null, RegExp | null]>([
    ["theta in rope_scaling", { rope_scaling: { rope_type: "default", rope_theta: 5e5 } }, 5e5, null, null],
    ["theta beside rope_parameters", { rope_theta: 5e5, rope_parameters: { rope_type: "default" } }, 5e5, null, null],
    [
      "both places",
      { rope_scaling: { ...linear, rope_theta: 1e4 }, rope_parameters: { rope_type: "default", rope_theta: 1e4 } },
      1e4,
      linear,
      /rope_scaling and rope_parameters differ. rope_scaling counts/,
    ],
    [
      "both places and a theta beside them",
      { rope_theta: 5e5, rope_scaling: linear, rope_parameters: { rope_type: "default", rope_theta: 1e3 } },
      5e5,
      linear,
      /rope_scaling and rope_parameters differ/,
    ],
    [
      "both places with the same in them",
      { rope_theta: 5e5, rope_scaling: linear, rope_parameters: { rope_type: "linear", factor: 4, rope_theta: 5e5 } },
      5e5,
      linear,
      null,
    ],
    [
      "rope_parameters of a type that does not count",
      { rope_scaling: linear, rope_parameters: { rope_type: "yarn", factor: 4 } },
      1e4,
      linear,
      /rope_scaling and rope_parameters differ/,
    ],
    ["an empty rope_scaling", { rope_scaling: {}, rope_parameters: { rope_theta: 5e5 } }, 5e5, null, null],
    ["an empty rope_parameters", { rope_theta: 5e5, rope_parameters: {} }, 5e5, null, null],
    [
      "two thetas",
      { rope_theta: 5e5, rope_parameters: { rope_type: "default", rope_theta: 1e3 } },
      1e3,
      null,
      /rope_parameters.rope_theta is 1000, rope_theta is 500000. rope_parameters.rope_theta counts/,
    ],
    [
      "two types",
      { rope_scaling: { ...linear, rope_type: "default" } },
      1e4,
      null,
      /rope_scaling.rope_type is "default", rope_scaling.type is "linear"/,
    ],
    ["type in rope_parameters", { rope_parameters: { ...linear, rope_theta: 5e5 } }, 5e5, linear, null],
    ["a factor without a type", { rope_scaling: { factor: 4 } }, 1e4, null, null],
  ])("rope settings: %s", (_, keys, ropeTheta, ropeScaling, warning) => {
    const model = golden("mha-tied");
    editJson(join(model, "config.json"), { rope_parameters: undefined, ...keys });
    const warnings: string[] = [];
    expect(openModel(model, (message) => warnings.push(message)).config).toMatchObject({ ropeTheta, ropeScaling });
    expect(warnings).toEqual(warning ? [expect.stringMatching(warning)] : []);
  });

  test.each([
    ["nowhere", {}, {}, 64],
    ["beside", { original_max_position_embeddings: 16 }, {}, 16],
    ["beside and within", { original_max_position_embeddings: 16 }, { original_max_position_embeddings: 32 }, 16],
  ])("llama3's trained length %s", (_, beside, within, originalMaxPositions) => {
    const model = golden("mha-tied");
    const scaling = { ...llama3, original_max_position_embeddings: undefined, ...within };
    editJson(join(model, "config.json"), {
      ...{ rope_parameters: undefined, max_position_embeddings: 64 },
      ...beside,
      rope_scaling: { rope_type: "llama3", ...scaling },
    });
    expect((openModel(model).config as LlamaConfig).ropeScaling).toMatchObject({ originalMaxPositions });
  });

  test.each([
    ["linear", { type: "linear", factor: 4 }, { type: "linear", factor: 4 }],
    // transformers takes max_position_embeddings here.
    [
      "dynamic",
      { rope_type: "dynamic", factor: 2, original_max_position_embeddings: 7 },
      { type: "dynamic", factor: 2, originalMaxPositions: 64 },
    ],
    ["default", { rope_type: "default" }, null],
    ["nothing", null, null],
  ])("scaling %s", (_, spelled, expected) => {
    const model = golden("mha-tied");
    editJson(join(model, "config.json"), { rope_parameters: undefined, rope_scaling: spelled });
    expect((openModel(model).config as LlamaConfig).ropeScaling).toEqual(expected);
  });

  test.each([
    [
      "another architecture",
      { model_type: "mamba" },
      "E_ARCHITECTURE",
      /"mamba" is not supported. Supported architectures: llama/,
    ],
    ["an architecture near a known one", { model_type: "qwen3_5" }, "E_ARCHITECTURE", /did you mean "qwen3"\?/],
    ["no architecture", { model_type: undefined }, "E_ARCHITECTURE", /model_type is nothing/],
    [
      "quantised weights",
      { quantization_config: { quant_method: "gptq" } },
      "E_QUANTIZED",
      /quantised by gptq, expected bitsandbytes/,
    ],
    [
      "another activation",
      { hidden_act: "mish" },
      "E_CONFIG_VALUE",
      /hidden_act: expected .*"silu" or "swish" .*found the text "mish"/,
    ],
    [
      "tensor parallel pretraining",
      { pretraining_tp: 2 },
      "E_CONFIG_VALUE",
      /pretraining_tp: expected 1 .*found the number 2/,
    ],
    [
      "no layers",
      { num_hidden_layers: undefined },
      "E_CONFIG_VALUE",
      /num_hidden_layers: expected a whole number.*found nothing/,
    ],
    ["half a layer", { num_hidden_layers: 1.5 }, "E_CONFIG_VALUE", /num_hidden_layers.*found the number 1.5/],
    ["negative width", { hidden_size: -32 }, "E_CONFIG_VALUE", /hidden_size.*found the number -32/],
    ["a width beyond reason", { hidden_size: 1e15 }, "E_CONFIG_VALUE", /hidden_size/],
    ["a number as text", { vocab_size: "110" }, "E_CONFIG_VALUE", /vocab_size.*found the text "110"/],
    [
      "heads that do not divide",
      { head_dim: null, num_attention_heads: 3, num_key_value_heads: 3 },
      "E_CONFIG_VALUE",
      /hidden_size: 32 is no multiple of num_attention_heads \(3\)/,
    ],
    [
      "key/value heads that do not divide",
      { num_key_value_heads: 3 },
      "E_CONFIG_VALUE",
      /num_key_value_heads: expected a divisor.*\(4\), found 3/,
    ],
    ["an odd head", { head_dim: 7 }, "E_CONFIG_VALUE", /head_dim: expected an even number, found 7/],
    ["no epsilon", { rms_norm_eps: 0 }, "E_CONFIG_VALUE", /rms_norm_eps: expected a number above 0/],
    [
      "unknown scaling",
      { rope_parameters: undefined, rope_scaling: { type: "ntk", factor: 2 } },
      "E_CONFIG_VALUE",
      /rope_scaling.type: "ntk" is not supported. Supported: default, linear, dynamic, llama3, yarn, longrope/,
    ],
    [
      "unknown scaling, new spelling",
      { rope_parameters: { rope_type: "proportional" } },
      "E_CONFIG_VALUE",
      /rope_parameters.rope_type: "proportional"/,
    ],
    [
      "scaling named like an object's property",
      { rope_parameters: { rope_type: "toString" } },
      "E_CONFIG_VALUE",
      /"toString" is not supported/,
    ],
    [
      "scaling without a factor",
      { rope_parameters: { rope_type: "linear" } },
      "E_CONFIG_VALUE",
      /rope_parameters.factor: expected a number above 0, found nothing/,
    ],
    [
      "llama3 bounds in reverse",
      { rope_parameters: { rope_type: "llama3", ...llama3, high_freq_factor: 1 } },
      "E_CONFIG_VALUE",
      /high_freq_factor: expected more than low_freq_factor/,
    ],
    [
      "scaling that is a list",
      { rope_parameters: [] },
      "E_CONFIG_VALUE",
      /rope_parameters: expected an object, found an array/,
    ],
    [
      "settings of one type of layers",
      { rope_parameters: { full_attention: { rope_type: "default" } } },
      "E_CONFIG_VALUE",
      /rope_parameters.full_attention: settings of one type of layers are not supported/,
    ],
    ["partial rotation", { partial_rotary_factor: 0.5 }, "E_CONFIG_VALUE", /partial_rotary_factor: expected 1/],
    [
      "a flag as text",
      { tie_word_embeddings: "true" },
      "E_CONFIG_VALUE",
      /tie_word_embeddings: expected true or false/,
    ],
  ])("%s", async (_, keys, code, message) => {
    const model = golden("mha-tied");
    editJson(join(model, "config.json"), keys);
    const error = await errorOf(() => openModel(model));
    expect(error.message).toMatch(message);
    expect(error.message).toContain(join(model, "config.json"));
    expect(error.code).toBe(code);
  });

  test("broken JSON names line and column", async () => {
    const model = golden("mha-tied");
    writeIn(model, "config.json", '{\n  "model_type": "llama",\n  "hidden_size": oops\n}');
    const error = await errorOf(() => openModel(model));
    expect(error.code).toBe("E_JSON");
    expect(error.message).toContain("config.json, line 3, column 18: not valid JSON: Unexpected token 'o'");
  });

  test.each([
    ["", /line 1, column 1: not valid JSON: the file is empty/],
    ['{"a": 1,\n\n}', /line 3, column 1: not valid JSON/],
    ['{"a": "x\n"}', /line 1, column 9: not valid JSON: Bad control character/],
    ['{"a": [1, 2\n', /line 1, column 12: not valid JSON/],
    ["[]", /holds an array, expected an object/],
  ])("configuration %j", async (text, message) => {
    const model = golden("mha-tied");
    writeIn(model, "config.json", text);
    expect((await errorOf(() => openModel(model))).message).toMatch(message);
  });
});

describe("weights", () => {
  test("shards give the same tensors as one file", async () => {
    const name = "stored-bf16";
    const model = golden(name);
    await rewriteTensors(model, () => ({}), threeShards);
    const sharded = openModel(model);
    const single = openModel(join(goldensFolder, name));
    expect(new Set(sharded.tensors.map(({ file }) => file)).size).toBe(3);
    expect(sharded.config).toEqual(single.config);
    expect([...contents(sharded)].sort()).toEqual([...contents(single)].sort());
  });

  test("a missing shard", async () => {
    const model = golden("mha-tied");
    await rewriteTensors(model, () => ({}), threeShards);
    rmSync(join(model, "model-00002-of-00003.safetensors"));
    const error = await errorOf(() => openModel(model));
    expect(error.code).toBe("E_FILE_MISSING");
    expect(error.message).toMatch(/lacks 1 of 3 weight files .*: model-00002-of-00003.safetensors/);
  });

  test("an index that names a tensor no shard holds", async () => {
    const model = golden("mha-tied");
    await rewriteTensors(model, ({ name }) => (name === "model.norm.weight" ? null : {}), threeShards);
    const file = join(model, "model.safetensors.index.json");
    const index = JSON.parse(readFileSync(file, "utf8"));
    index.weight_map["model.norm.weight"] = "model-00001-of-00003.safetensors";
    writeFileSync(file, JSON.stringify(index));
    const error = await errorOf(() => openModel(model));
    expect(error).toMatchObject({ code: "E_INDEX", where: "model.norm.weight" });
    expect(error.message).toContain("says that model-00001-of-00003.safetensors holds tensor model.norm.weight");
  });

  test.each([
    ["a path out of the folder", { weight_map: { a: "../other/model.safetensors" } }, /shard of a is the text/],
    ["a shard that is a number", { weight_map: { a: 1 } }, /shard of a is the number 1/],
    ["no map", { metadata: {} }, /weight_map is nothing, expected an object/],
  ])("an index with %s", async (_, index, message) => {
    const model = golden("mha-tied");
    rmSync(join(model, "model.safetensors"));
    writeIn(model, "model.safetensors.index.json", JSON.stringify(index));
    const error = await errorOf(() => openModel(model));
    expect(error.code).toBe("E_INDEX");
    expect(error.message).toMatch(message);
  });

  test("an unused tensor may have any type, a used one may not", async () => {
    const model = golden("mha-tied");
    const file = join(model, "model.safetensors");
    const other = { name: "model.layers.0.self_attn.rotary_emb.inv_freq", dtype: "F64", shape: [1], bytes: 8 };
    const { tensors } = readSafetensorsHeader(file);
    const bytes = readFileSync(file);
    const entries = tensors.map(({ begin, end, ...t }) => ({
      ...t,
      bytes: end - begin,
      data: bytes.subarray(begin, end),
    }));
    await writeSafetensors(file, [...entries, { ...other, data: new Uint8Array(8) }], {});
    expect(openModel(model).tensors.map(({ name }) => name)).not.toContain(other.name);

    const used = "model.layers.1.mlp.up_proj.weight";
    await rewriteTensors(model, ({ name, bytes, shape }) =>
      name === used ? { dtype: "F8_E4M3", bytes: bytes / 4, data: new Uint8Array(shape[0]! * shape[1]!) } : {},
    );
    const error = await errorOf(() => openModel(model));
    expect(error).toMatchObject({ code: "E_TENSOR_DTYPE", where: used });
    expect(error.message).toMatch(/up_proj.weight is stored as F8_E4M3, expected F32, BF16, F16/);
  });

  test("a missing tensor and one of the wrong shape", async () => {
    const name = "model.layers.0.mlp.gate_proj.weight";
    const missing = golden("mha-tied");
    await rewriteTensors(missing, (tensor) => (tensor.name === name ? null : {}));
    expect((await errorOf(() => openModel(missing))).message).toContain(`${name} [56, 32] is missing`);
    const turned = golden("mha-tied");
    await rewriteTensors(turned, (tensor) => (tensor.name === name ? { shape: [32, 56] } : {}));
    const error = await errorOf(() => openModel(turned));
    expect(error).toMatchObject({ code: "E_TENSOR_SHAPE", where: name });
    expect(error.message).toContain("has shape [32, 56], expected [56, 32]");
  });

  test("the dtype of most bytes", () => {
    expect(modelDtype(openModel(tinyBase))).toBe("bf16");
    expect(modelDtype(openModel(join(goldensFolder, "odd-sizes-f16")))).toBe("f16");
    expect(modelDtype(openModel(join(goldensFolder, "mha-tied")))).toBe("f32");
  });
});

describe("folders", () => {
  test.each([
    [
      "no folder",
      (f: string) => join(f, "nope"),
      "E_FILE_MISSING",
      /Model folder .*nope cannot be read: there is no such/,
    ],
    ["a file", (f: string) => writeIn(f, "model.bin", ""), "E_FILE", /is a file, expected a model folder/],
    ["an empty folder", (f: string) => f, "E_FILE_MISSING", /Model configuration .*config.json cannot be read/],
  ])("%s", async (_, make, code, message) => {
    const error = await errorOf(() => openModel(make(folder())));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test("weights in another format", async () => {
    const model = golden("mha-tied");
    for (const name of ["model.safetensors", "reference.safetensors"]) rmSync(join(model, name));
    expect((await errorOf(() => openModel(model))).message).toMatch(/has neither .* Download its weights/);
    writeIn(model, "pytorch_model.bin", "");
    expect((await errorOf(() => openModel(model))).message).toMatch(
      /It has pytorch_model.bin; save the model as model.safetensors, in Python with .*save_pretrained/,
    );
  });
});
