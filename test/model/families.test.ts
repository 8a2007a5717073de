// Tests of a family besides the goldens: refusals, defaults, GGUF names.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readAdapter } from "../../src/checkpoint/adapter.js";
import { adapterConfigJson } from "../../src/checkpoint/adapter-config.js";
import { writeMerged } from "../../src/checkpoint/merge.js";
import type { LlamaConfig } from "../../src/model/families/llama.js";
import { listLinears, openModel, resolveTargets } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { writeGguf } from "../support/gguf.js";
import { goldensFolder, largestDifference, readTensors } from "../support/golden.js";
import { root } from "../support/tiny.js";

const folder = temporaryFolders();
const base = join(goldensFolder, "qwen2");

/** A golden with other keys in its config.json. */
function changed(name: string, keys: Record<string, unknown>): string {
  const to = join(folder(), "model");
  cpSync(join(goldensFolder, name), to, { recursive: true });
  const file = join(to, "config.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...keys }));
  return to;
}

test.each([
  ["mistral", ["k_proj", "o_proj", "q_proj", "v_proj"]],
  ["qwen3", ["k_proj", "o_proj", "q_proj", "v_proj"]],
  ["gemma", ["q_proj", "v_proj"]],
  ["gemma2", ["q_proj", "v_proj"]],
  ["gemma3", ["q_proj", "v_proj"]],
  ["phi3", ["o_proj", "qkv_proj"]],
  ["smollm3", ["k_proj", "o_proj", "q_proj", "v_proj"]],
  ["olmo2", ["k_proj", "o_proj", "q_proj", "v_proj"]],
  ["granite", ["k_proj", "o_proj", "q_proj", "v_proj"]],
  ["bloom", ["dense", "query_key_value"]],
  ["gpt-neo", ["k_proj", "out_proj", "q_proj", "v_proj"]],
  ["gpt-neox", ["query_key_value"]],
  ["gptj", ["q_proj", "v_proj"]],
  ["phi", ["fc1", "fc2", "q_proj", "v_proj"]],
  ["stablelm", ["q_proj", "v_proj"]],
  ["cohere", ["k_proj", "o_proj", "q_proj", "v_proj"]],
  ["cohere2", ["k_proj", "o_proj", "q_proj", "v_proj"]],
])("%s: default targets", (name, targets) => {
  expect(resolveTargets(openModel(join(goldensFolder, name)), null).peft).toEqual(targets);
});

test.each([
  ["mistral", "attention_dropout", 1],
  ["opt", "layerdrop", 0.1],
  ["mistral", "hidden_act", "mish"],
  ["mistral", "sliding_window", 0],
  ["qwen3", "layer_types", ["full_attention"]],
  ["qwen3", "head_dim", 0],
  ["gemma", "use_bidirectional_attention", true],
  ["gemma2", "attn_logit_softcapping", -1],
  ["gemma3", "attn_logit_softcapping", 50],
  ["phi3", "resid_pdrop", -0.1],
  ["smollm3", "no_rope_layers", [1]],
  ["granite", "residual_multiplier", 0],
])("%s: %s %j is refused by name", async (name, key, value) => {
  const error = await errorOf(() => openModel(changed(name, { [key]: value })));
  expect([error.code, error.where]).toEqual(["E_CONFIG_VALUE", key]);
});

test("gemma 3: the ropes of an older configuration", () => {
  const keys = { rope_theta: 5e5, rope_local_base_freq: 2e4, rope_scaling: { rope_type: "linear", factor: 8 } };
  const { spec } = openModel(changed("gemma3", { ...keys, rope_parameters: null }));
  expect(spec.block.attention.kinds).toEqual([
    { window: 6, rope: { theta: 2e4, scaling: null } },
    { window: 0, rope: { theta: 5e5, scaling: { type: "linear", factor: 8 } } },
  ]);
});

/** The golden as llama.cpp's converter names and stores it: rotary pairs as they are. */
function gguf(base: string, without = ""): string {
  const parts: [string, string][] = [
    ["model.layers.", "blk."],
    ["self_attn.q_norm", "attn_q_norm"],
    ["self_attn.k_norm", "attn_k_norm"],
    ["self_attn.q_proj", "attn_q"],
    ["self_attn.k_proj", "attn_k"],
    ["self_attn.v_proj", "attn_v"],
    ["self_attn.o_proj", "attn_output"],
    ["mlp.gate_proj", "ffn_gate"],
    ["mlp.up_proj", "ffn_up"],
    ["mlp.down_proj", "ffn_down"],
    ["input_layernorm", "attn_norm"],
    ["post_attention_layernorm", "ffn_norm"],
    ["model.embed_tokens", "token_embd"],
    ["model.norm", "output_norm"],
  ];
  const rename = (name: string) => parts.reduce((text, [theirs, ours]) => text.replace(theirs, ours), name);
  const config = openModel(base).config as LlamaConfig;
  const type = config.modelType;
  const metadata = {
    "general.architecture": type,
    [`${type}.block_count`]: { u32: config.layers },
    [`${type}.context_length`]: { u32: config.maxPositions },
    [`${type}.embedding_length`]: { u32: config.hiddenSize },
    [`${type}.feed_forward_length`]: { u32: config.intermediateSize },
    [`${type}.attention.key_length`]: { u32: config.headDim },
    [`${type}.attention.head_count`]: { u32: config.heads },
    [`${type}.attention.head_count_kv`]: { u32: config.kvHeads },
    [`${type}.attention.layer_norm_rms_epsilon`]: { f32: config.rmsNormEps },
    [`${type}.rope.freq_base`]: { f32: config.ropeTheta },
  };
  const tensors = [...readTensors(join(base, "model.safetensors"))]
    .map(([name, { shape, data }]) => ({ name: rename(name), shape, type: 0, data: new Uint8Array(data.buffer) }))
    .filter(({ name }) => name !== without);
  return writeGguf(join(folder(), "model.gguf"), metadata, tensors);
}

async function logits(path: string): Promise<Float32Array> {
  const options = { precision: "fp32", threads: 1, maxTokens: 16, maxSequence: 16, training: false } as const;
  const engine = await Engine.create(openModel(path), null, options);
  try {
    return await engine.logits({
      sequences: [{ inputIds: Int32Array.from({ length: 12 }, (_, i) => (7 * i) % 100) }],
    });
  } finally {
    await engine.close();
  }
}

describe("qwen2", () => {
  test("has biases of q, k and v alone, and llama's default targets", () => {
    const model = openModel(base);
    const { attention, mlp } = model.spec.block;
    const linears = [...attention.inputs, attention.out, ...mlp.inputs, mlp.down];
    expect(linears.map(({ bias }) => bias)).toEqual([true, true, true, false, false, false, false]);
    expect(resolveTargets(model, null).peft).toEqual(["k_proj", "o_proj", "q_proj", "v_proj"]);
    expect(listLinears(model)).toHaveLength(14);
  });

  test("a window is one of the layers from max_window_layers on", () => {
    const keys = { use_sliding_window: true, sliding_window: 8, max_window_layers: 1, layer_types: null };
    const { attention } = openModel(changed("qwen2", keys)).spec.block;
    expect([attention.kinds.map(({ window }) => window), attention.layerKinds]).toEqual([
      [0, 8],
      [0, 1],
    ]);
  });

  test("a GGUF file has the logits of its folder, bit for bit", async () => {
    expect(openModel(gguf(base)).config).toEqual(openModel(base).config);
    expect(await logits(gguf(base))).toEqual(await logits(base));
  });

  test("a GGUF file without a bias is named", async () => {
    const error = await errorOf(() => openModel(gguf(base, "blk.1.attn_k.bias")));
    expect([error.code, error.where]).toEqual(["E_TENSOR_MISSING", "blk.1.attn_k.bias"]);
  });
});

describe("qwen3", () => {
  const base = () => changed("qwen3", { use_sliding_window: false, layer_types: null });

  test("a GGUF file has the logits of its folder, bit for bit", async () => {
    const path = base();
    expect(openModel(gguf(path)).config).toEqual(openModel(path).config);
    expect(await logits(gguf(path))).toEqual(await logits(path));
  });

  test("a GGUF file without a norm of the heads is named", async () => {
    const error = await errorOf(() => openModel(gguf(base(), "blk.0.attn_k_norm.weight")));
    expect([error.code, error.where]).toEqual(["E_TENSOR_MISSING", "blk.0.attn_k_norm.weight"]);
  });
});

test("docs/adding-a-model.md shows the family's file as it is", () => {
  const read = (file: string) => readFileSync(join(root, file), "utf8");
  expect(read("docs/adding-a-model.md")).toContain(`\`\`\`ts\n${read("src/model/families/qwen2.ts")}\`\`\``);
});

test.each([
  ["gpt2", { scale_attn_weights: false }],
  ["gpt2", { scale_attn_by_inverse_layer_idx: true }],
  ["gpt2", { add_cross_attention: true }],
  ["gpt2", { activation_function: "mish" }],
  ["gpt2", { n_head: 5 }],
  ["opt", { word_embed_proj_dim: 0 }],
  ["opt", { layer_norm_elementwise_affine: false }],
  ["gpt-neo", { attention_types: [[["global"], 3]] }],
  ["gpt-neo", { attention_types: [[["banded"], 2]] }],
  ["gptj", { rotary_dim: 5 }],
  ["gptj", { rotary_dim: 10 }],
  ["gpt-neox", { hidden_act: "quick_gelu" }],
  ["bloom", { apply_residual_connection_post_layernorm: true }],
  ["phi", { num_key_value_heads: 2 }],
  ["stablelm", { partial_rotary_factor: 0.1, rope_parameters: null }],
  ["cohere", { logit_scale: 0 }],
  ["cohere2", { layer_types: ["full_attention"] }],
  ["falcon-40b", { num_kv_heads: 4 }],
  ["falcon-40b", { parallel_attn: false }],
])("%s refuses %o by its key", async (golden, keys) => {
  const error = await errorOf(() => openModel(changed(golden, keys)));
  expect(error.code).toBe("E_CONFIG_VALUE");
  expect([...Object.keys(keys), "n_embd"]).toContain(error.where);
});

test.each([
  ["gpt2", ["c_attn", "c_proj"], 6],
  ["opt", ["q_proj", "v_proj"], 4],
  ["opt-350m", ["q_proj", "v_proj"], 4],
  ["falcon-7b", ["dense", "query_key_value"], 4],
])("%s has its default targets", (golden, names, modules) => {
  const targets = resolveTargets(openModel(join(goldensFolder, golden)), null);
  expect([targets.peft, targets.modules.length, targets.transposed]).toEqual([
    names,
    modules,
    golden === "gpt2" ? true : undefined,
  ]);
});

test("dropouts of the base as transformers applies them", () => {
  const of = (name: string, keys: Record<string, unknown>) => openModel(changed(name, keys)).config.dropouts;
  const none = { embedding: 0, attention: 0, attentionOutput: 0, mlpOutput: 0 };
  expect(of("gpt2", {})).toBeUndefined();
  // The defaults of transformers, of keys that are not there.
  const absent = { resid_pdrop: undefined, embd_pdrop: undefined, attn_pdrop: undefined };
  expect(of("gpt2", absent)).toEqual({ embedding: 0.1, attention: 0.1, attentionOutput: 0.1, mlpOutput: 0.1 });
  expect(of("opt", { dropout: undefined })).toEqual({ ...none, attentionOutput: 0.1, mlpOutput: 0.1 });
  expect(of("mistral", { attention_dropout: 0.25 })).toEqual({ ...none, attention: 0.25 });
  expect(of("stablelm", { hidden_dropout: 0.2 })).toEqual({ ...none, mlpOutput: 0.2 });
  const falcon = { attention_dropout: 0.3, hidden_dropout: 0.2 };
  expect(of("falcon-7b", falcon)).toEqual({ ...none, attentionOutput: 0.2, mlpOutput: 0.2 });
  expect(of("falcon-rw", falcon)).toEqual({ ...none, attention: 0.3, attentionOutput: 0.3, mlpOutput: 0.2 });
});

describe("gpt2's files", () => {
  const options = { precision: "fp32", threads: 1, maxTokens: 16, maxSequence: 16, training: false } as const;
  const batch = { sequences: [{ inputIds: Int32Array.from({ length: 12 }, (_, i) => (7 * i) % 60) }] };

  async function logits(path: string, adapter: string | null = null): Promise<Float32Array> {
    const model = openModel(path);
    const read = adapter === null ? null : readAdapter(adapter, model);
    await using engine = await Engine.create(model, read?.spec ?? null, options);
    if (read) await engine.setAdapter(read.tensors);
    return await engine.logits(batch);
  }

  test("names without a prefix, as the hub has them, are the same model", async () => {
    const to = changed("gpt2", {});
    const file = join(to, "model.safetensors");
    const bytes = readFileSync(file);
    const length = Number(bytes.readBigUInt64LE(0));
    const header = bytes
      .toString("utf8", 8, 8 + length)
      .replaceAll('"transformer.', '"')
      .padEnd(length);
    writeFileSync(file, Buffer.concat([bytes.subarray(0, 8), Buffer.from(header), bytes.subarray(8 + length)]));
    expect(await logits(to)).toEqual(await logits(join(goldensFolder, "gpt2")));
  });

  test("an adapter is merged into weights that are stored (in, out), and says so", async () => {
    const base = join(goldensFolder, "gpt2");
    const model = openModel(base);
    const adapter = readAdapter(join(base, "final"), model);
    const output = join(folder(), "merged");
    await using engine = await Engine.create(model, adapter.spec, options);
    await engine.setAdapter(adapter.tensors);
    await writeMerged({ engine, model, modules: adapter.targets.modules, output });
    const [merged, apart] = [await logits(output), await logits(base, join(base, "final"))];
    expect(largestDifference(merged, apart).difference).toBeLessThan(1e-4);
    expect(adapterConfigJson(adapter.spec, adapter.targets, { named: "x" })).toMatchObject({ fan_in_fan_out: true });
  });

  test("a sequence beyond the learned positions is refused", async () => {
    const error = await errorOf(() =>
      Engine.create(openModel(join(goldensFolder, "gpt2")), null, { ...options, maxTokens: 80, maxSequence: 80 }),
    );
    expect([error.code, error.where]).toEqual(["E_OPTIONS", "max_length"]);
  });
});
