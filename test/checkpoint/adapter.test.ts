import { readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { readAdapter, writeAdapter } from "../../src/checkpoint/index.js";
import { openModel, readSafetensorsHeader, widen, writeSafetensors } from "../../src/model/index.js";
import { copyGolden, editJson, errorOf, temporaryFolders, writeIn } from "../support/folders.js";
import { goldenNames, goldensFolder, readTensors } from "../support/golden.js";

const folder = temporaryFolders();
const WEIGHTS = "adapter_model.safetensors";
const CONFIG = "adapter_config.json";
const PREFIX = "base_model.model.";

/** A copy of a golden's final adapter to be damaged, and its model. */
function openCopy(name: string) {
  const copy = copyGolden(name, folder());
  return { adapter: join(copy, "final"), model: openModel(copy) };
}

interface Tensor {
  name: string;
  dtype: string;
  shape: number[];
  data: Uint8Array;
}

/** Rewrites an adapter's tensors. */
async function rewrite(adapter: string, edit: (tensor: Tensor) => Tensor | null, more: Tensor[] = []): Promise<void> {
  const file = join(adapter, WEIGHTS);
  const bytes = readFileSync(file);
  const tensors = readSafetensorsHeader(file).tensors.flatMap(({ begin, end, ...tensor }) => {
    const edited = edit({ ...tensor, data: bytes.subarray(begin, end) });
    return edited === null ? [] : [edited];
  });
  const all = [...tensors, ...more].map((tensor) => ({ ...tensor, bytes: tensor.data.byteLength }));
  await writeSafetensors(file, all, { format: "pt" });
}

describe.each(goldenNames())("%s", (name) => {
  const source = join(goldensFolder, name);
  const model = openModel(source);
  const read = readAdapter(join(source, "final"), model);

  test("PEFT's adapter is read", () => {
    const expected = readTensors(join(source, "final", WEIGHTS));
    expect([...read.tensors.keys()].map((key) => PREFIX + key).sort()).toEqual([...expected.keys()].sort());
    for (const [key, tensor] of read.tensors) expect(tensor).toEqual(expected.get(PREFIX + key));
    const config = JSON.parse(readFileSync(join(source, "final", CONFIG), "utf8"));
    expect(read.config).toEqual(config);
    expect(read.spec).toMatchObject({
      rank: config.r,
      alpha: config.lora_alpha,
      dropout: config.lora_dropout,
      useRslora: config.use_rslora,
      targets: read.targets.modules,
    });
  });

  test("written, it is PEFT's: keys, tensors, configuration", async () => {
    const written = join(folder(), "new", "adapter");
    await writeAdapter(written, { ...read, baseModel: name });
    expect(readAdapter(written, model)).toEqual({ ...read, config: expect.anything() });
    expect(readFileSync(join(written, WEIGHTS)).equals(readFileSync(join(source, "final", WEIGHTS)))).toBe(true);

    const ours = JSON.parse(readFileSync(join(written, CONFIG), "utf8"));
    const theirs = read.config as { target_modules: string[]; base_model_name_or_path: string };
    const same = { base_model_name_or_path: resolve(name), target_modules: [...theirs.target_modules].sort() };
    const { base_model_name_or_path, target_modules } = theirs;
    expect(theirs).toMatchObject({ ...ours, base_model_name_or_path, target_modules });
    expect(ours).toMatchObject(same);
    // The keys that PEFT 0.11 knows; it refuses any other.
    const later = ["use_dora", "lora_bias", "modules_to_save", "trainable_token_indices"];
    const others = new Set([...later, ...Object.keys(read.targets.rules ?? {})]);
    expect(Object.keys(ours).filter((key) => !others.has(key))).toEqual([
      ...["base_model_name_or_path", "bias", ...(read.targets.transposed ? ["fan_in_fan_out"] : [])],
      ...["inference_mode", "lora_alpha", "lora_dropout"],
      ...["peft_type", "r", "target_modules", "task_type", "use_rslora"],
    ]);
    expect(Object.keys(ours)).toEqual(Object.keys(ours).sort());
    const card = readFileSync(join(written, "README.md"), "utf8");
    expect(card).toMatch(/^---\nlibrary_name: peft\npipeline_tag: text-generation\ntags:\n- lora\n- lowrank\n---\n/);
    expect(card).toContain(`| base model | \`${resolve(name)}\` |`);
  });
});

describe("dtypes are widened exactly", () => {
  test("bf16", async () => {
    const { adapter, model } = openCopy("mha-tied");
    const bits = [0x0000, 0x8000, 0x3f80, 0xc049, 0x0001, 0x7f7f, 0x3eab];
    const values = [0, -0, 1, -3.140625, 2 ** -133, 3.3895313892515355e38, 0.333984375];
    await checkWidened(adapter, model, "BF16", bits, values);
  });

  test("f16", async () => {
    const { adapter, model } = openCopy("mha-tied");
    const bits = [0x0000, 0x8000, 0x3c00, 0xc248, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x3555];
    const values = [0, -0, 1, -3.140625, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65504, 0.333251953125];
    await checkWidened(adapter, model, "F16", bits, values);
  });

  test.each([
    ["bf16", [0x7f80, 0xff80, 0x7fc0]],
    ["f16", [0x7c00, 0xfc00, 0x7e00]],
  ] as const)("what is no number stays none (%s)", (dtype, bits) => {
    const bytes = new Uint8Array(Uint16Array.from(bits).buffer);
    expect([...widen(bytes, dtype)]).toEqual([Infinity, -Infinity, Number.NaN]);
  });

  async function checkWidened(
    adapter: string,
    model: ReturnType<typeof openModel>,
    dtype: string,
    bits: number[],
    values: number[],
  ) {
    await rewrite(adapter, ({ name, shape }) => {
      const count = shape.reduce((product, n) => product * n, 1);
      const narrow = Uint16Array.from({ length: count }, (_, i) => bits[i % bits.length]!);
      return { name, shape, dtype, data: new Uint8Array(narrow.buffer) };
    });
    for (const { data } of readAdapter(adapter, model).tensors.values()) {
      for (const [i, value] of data.entries()) expect(Object.is(value, values[i % values.length])).toBe(true);
    }
  }
});

test("a regular expression stays one", async () => {
  const { adapter, model } = openCopy("mha-tied");
  editJson(join(adapter, CONFIG), { target_modules: ".*_attn\\.(q|k|v|o)_proj" });
  const read = readAdapter(adapter, model);
  expect(read.targets.peft).toBe(".*_attn\\.(q|k|v|o)_proj");
  expect(read.spec.targets.length).toBe(8);
  const written = folder();
  await writeAdapter(written, { ...read, baseModel: "base" });
  expect(JSON.parse(readFileSync(join(written, CONFIG), "utf8")).target_modules).toBe(".*_attn\\.(q|k|v|o)_proj");
});

test("the least that PEFT loads", async () => {
  const { adapter, model } = openCopy("mha-tied");
  await rewrite(adapter, (tensor) => tensor);
  const { target_modules } = JSON.parse(readFileSync(join(adapter, CONFIG), "utf8"));
  writeIn(adapter, CONFIG, JSON.stringify({ peft_type: "LORA", target_modules, r: 4 }));
  expect(readAdapter(adapter, model).spec).toMatchObject({ rank: 4, alpha: 8, dropout: 0, useRslora: false });
});

test("keys that change nothing may have any value", () => {
  const { adapter, model } = openCopy("mha-tied");
  editJson(join(adapter, CONFIG), {
    inference_mode: false,
    init_lora_weights: "gaussian",
    task_type: null,
    revision: "main",
    peft_version: "0.5.0",
    loftq_config: { bits: 4 },
    modules_to_save: [],
    runtime_config: { ephemeral_gpu_offload: false },
  });
  expect(readAdapter(adapter, model).tensors.size).toBe(16);
});

describe("what is not plain LoRA", () => {
  test.each([
    [{ peft_type: "IA3" }, "E_CONFIG_VALUE", /peft_type: expected "LORA".*found the text "IA3"/],
    [{ peft_type: undefined }, "E_CONFIG_VALUE", /peft_type: expected "LORA".*found nothing/],
    [{ use_dora: true }, "E_ADAPTER", /lora_magnitude_vector \[32\] is missing/],
    [{ use_bdlora: true }, "E_ADAPTER_UNSUPPORTED", /use_bdlora is true, which is not supported; expected null/],
    [{ bias: "all" }, "E_ADAPTER_UNSUPPORTED", /bias is "all", which is not supported; expected "none"/],
    [{ modules_to_save: ["lm_head"] }, "E_ADAPTER", /lm_head.weight \[110, 32\] is missing/],
    [{ modules_to_save: ["norm"] }, "E_TARGET", /"norm" is no module .* which are model.embed_tokens and lm_head/],
    [{ trainable_token_indices: [5] }, "E_ADAPTER", /trainable_tokens_delta \[1, 32\] is missing/],
    [{ trainable_token_indices: [5, 110] }, "E_TARGET", /token 110 is outside the vocabulary, .* from 0 to 109/],
    [{ trainable_token_indices: [5, 7, 5] }, "E_TARGET", /token 5 is given twice/],
    [
      { trainable_token_indices: { wte: [5] } },
      "E_TARGET",
      /"wte" is no table of tokens .* model.embed_tokens and lm_head/,
    ],
    [
      { trainable_token_indices: { lm_head: [5] } },
      "E_TARGET",
      /the head lm_head is the embedding, and shares its rows/,
    ],
    [{ trainable_token_indices: { embed_tokens: [5], lm_head: [7] } }, "E_TARGET", /shares its rows/],
    [{ trainable_token_indices: [5], modules_to_save: ["lm_head"] }, "E_TARGET", /lm_head trains whole/],
    [{ trainable_token_indices: "5" }, "E_CONFIG_VALUE", /trainable_token_indices: expected a list of token ids/],
    [{ modules_to_save: [1] }, "E_CONFIG_VALUE", /modules_to_save: expected a list of names/],
    [{ modules_to_save: ["lm_head"], ensure_weight_tying: true }, "E_ADAPTER_UNSUPPORTED", /ensure_weight_tying/],
    [{ rank_pattern: { q_proj: 0.5 } }, "E_CONFIG_VALUE", /rank_pattern.*expected an object of positive whole numbers/],
    [{ rank_pattern: { q_proj: 2 } }, "E_ADAPTER", /q_proj.lora_A.weight has shape \[4, 32\], expected \[2, 32\]/],
    [{ alpha_pattern: ["q_proj"] }, "E_CONFIG_VALUE", /alpha_pattern.*expected an object of positive numbers/],
    [{ layers_to_transform: 0 }, "E_ADAPTER", /layers.1.self_attn.k_proj.lora_A.weight belongs to no module/],
    [{ layers_to_transform: ["1"] }, "E_CONFIG_VALUE", /layers_to_transform.*expected a list of whole numbers/],
    [{ lora_bias: true }, "E_ADAPTER", /lora_B.bias \[32\] is missing/],
    [{ layer_replication: [[0, 2]] }, "E_ADAPTER_UNSUPPORTED", /layer_replication/],
    [{ target_parameters: ["experts"] }, "E_ADAPTER_UNSUPPORTED", /target_parameters/],
    [{ init_lora_weights: "pissa_niter_4" }, "E_ADAPTER_UNSUPPORTED", /init_lora_weights is "pissa_niter_4"/],
    [{ r: 0 }, "E_CONFIG_VALUE", /r: expected a whole number/],
    [{ lora_alpha: "16" }, "E_CONFIG_VALUE", /lora_alpha: expected a number/],
    [{ lora_dropout: -1 }, "E_CONFIG_VALUE", /lora_dropout/],
    [{ target_modules: null }, "E_CONFIG_VALUE", /target_modules: expected a list of names .*, found null/],
    [{ target_modules: [1] }, "E_CONFIG_VALUE", /target_modules: expected a list of names/],
    [
      { target_modules: ["c_attn"] },
      "E_TARGET",
      /adapter_config.json: target_modules: c_attn matches none of the linears/,
    ],
  ])("%j", async (keys, code, message) => {
    const { adapter, model } = openCopy("mha-tied");
    editJson(join(adapter, CONFIG), keys);
    const error = await errorOf(() => readAdapter(adapter, model));
    expect(error.message).toMatch(message);
    expect(error.code).toBe(code);
  });

  const tensor = (name: string, shape: number[] = [1]): Tensor => ({
    name: PREFIX + name,
    dtype: "F32",
    shape,
    data: new Uint8Array(shape.reduce((a, b) => a * b, 4)),
  });
  test.each([
    ["model.embed_tokens.lora_embedding_A", /adapts an embedding/],
    ["model.layers.9.self_attn.q_proj.lora_magnitude_vector", /belongs to no module that target_modules names/],
    ["model.layers.0.self_attn.q_proj.lora_A.bias", /is a bias of A/],
    ["lm_head.weight", /is a whole weight that modules_to_save does not name/],
    ["model.layers.0.mlp.up_proj.lora_A.weight", /belongs to no module that target_modules names/],
    ["model.layers.9.self_attn.q_proj.lora_A.weight", /belongs to no module that target_modules names and the base/],
  ])("tensor %s", async (name, message) => {
    const { adapter, model } = openCopy("mha-tied");
    await rewrite(adapter, (t) => t, [tensor(name)]);
    const error = await errorOf(() => readAdapter(adapter, model));
    expect(error).toMatchObject({ code: "E_ADAPTER", where: PREFIX + name });
    expect(error.message).toMatch(message);
  });
});

describe("adapters that do not fit", () => {
  const module = "model.layers.1.self_attn.v_proj";

  test("an adapter of another model names tensor, expected and found", async () => {
    const { adapter } = openCopy("mha-tied");
    const other = openModel(join(goldensFolder, "gqa-untied"));
    const error = await errorOf(() => readAdapter(adapter, other));
    expect(error.code).toBe("E_ADAPTER");
    expect(error.message).toMatch(
      /tensor base_model\.model\.model\.layers\.0\.self_attn\.k_proj\.lora_B\.weight has shape \[32, 4\], expected \[16, 4\]: the adapter belongs to another base model/,
    );
  });

  test("another rank than the configuration's", async () => {
    const { adapter, model } = openCopy("mha-tied");
    editJson(join(adapter, CONFIG), { r: 5 });
    expect((await errorOf(() => readAdapter(adapter, model))).message).toMatch(
      /has shape \[4, 32\], expected \[5, 32\]/,
    );
  });

  test("a missing tensor", async () => {
    const { adapter, model } = openCopy("mha-tied");
    const name = `${PREFIX}${module}.lora_B.weight`;
    await rewrite(adapter, (tensor) => (tensor.name === name ? null : tensor));
    const error = await errorOf(() => readAdapter(adapter, model));
    expect(error).toMatchObject({ code: "E_ADAPTER", where: name });
    expect(error.message).toContain("[32, 4] is missing, although adapter_config.json names its module");
  });

  test("a dtype that cannot be read", async () => {
    const { adapter, model } = openCopy("mha-tied");
    await rewrite(adapter, (tensor) => ({ ...tensor, dtype: "I32" }));
    expect((await errorOf(() => readAdapter(adapter, model))).message).toMatch(
      /is stored as I32, expected F32, BF16 or F16/,
    );
  });

  test("incomplete folders", async () => {
    const { adapter, model } = openCopy("mha-tied");
    rmSync(join(adapter, WEIGHTS));
    expect((await errorOf(() => readAdapter(adapter, model))).message).toMatch(/has no adapter_model.safetensors/);
    writeIn(adapter, "adapter_model.bin", "");
    expect((await errorOf(() => readAdapter(adapter, model))).message).toMatch(/It has adapter_model.bin; save/);
    rmSync(join(adapter, CONFIG));
    const error = await errorOf(() => readAdapter(adapter, model));
    expect(error.code).toBe("E_FILE_MISSING");
    expect(error.message).toMatch(/Adapter configuration .*adapter_config.json cannot be read/);
  });

  test("a cut file", async () => {
    const { adapter, model } = openCopy("mha-tied");
    const bytes = readFileSync(join(adapter, WEIGHTS));
    writeIn(adapter, WEIGHTS, bytes.subarray(0, bytes.length - 1));
    const error = await errorOf(() => readAdapter(adapter, model));
    expect(error.code).toBe("E_SAFETENSORS");
    expect(error.message).toContain("cut short");
  });
});

test("a folder that cannot be written", async () => {
  const source = join(goldensFolder, "mha-tied");
  const read = readAdapter(join(source, "final"), openModel(source));
  const error = await errorOf(() => writeAdapter(writeIn(folder(), "file", ""), { ...read, baseModel: "x" }));
  expect(error.code).toBe("E_WRITE");
});
