// A golden as llama.cpp's convert_hf_to_gguf.py writes it, in f32: its names, numbers and changes of the weights, told here once more and apart from
// the code under test.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type MetaValue, type TensorToWrite, writeGguf } from "./gguf.js";
import { readTensors } from "./golden.js";

interface Stored {
  shape: number[];
  data: Float32Array;
}
// biome-ignore lint/suspicious/noExplicitAny: config.json as it is
type Config = Record<string, any>;
type Numbers = Record<string, MetaValue>;

interface Converter {
  architecture: string;
  /** Names of the goldens' tensors and llama.cpp's; a block's without its prefix. */
  names: Record<string, string>;
  /** Prefix of blocks in the golden. */
  layers: string;
  numbers(config: Config): Numbers;
  /** @param name llama.cpp's, of a block without blk.N */
  weights?(tensor: Stored, name: string, config: Config): Stored;
  others?(config: Config): Record<string, number[]>;
}

const u32 = (value: number) => ({ u32: value });
const f32 = (value: number) => ({ f32: value });

const llamaNames = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
  input_layernorm: "attn_norm",
  post_attention_layernorm: "ffn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};
const sandwichNames = {
  ...llamaNames,
  post_attention_layernorm: "post_attention_norm",
  pre_feedforward_layernorm: "ffn_norm",
  post_feedforward_layernorm: "post_ffw_norm",
};
const gptNames = {
  "transformer.wte": "token_embd",
  "transformer.word_embeddings": "token_embd",
  "transformer.word_embeddings_layernorm": "token_embd_norm",
  "transformer.wpe": "position_embd",
  "transformer.ln_f": "output_norm",
  lm_head: "output",
  ln_1: "attn_norm",
  ln_2: "ffn_norm",
  "attn.c_attn": "attn_qkv",
  "attn.c_proj": "attn_output",
  "mlp.c_fc": "ffn_up",
  "mlp.c_proj": "ffn_down",
  input_layernorm: "attn_norm",
  post_attention_layernorm: "ffn_norm",
  ln_mlp: "attn_norm",
  ln_attn: "attn_norm_2",
  "self_attention.query_key_value": "attn_qkv",
  "self_attention.dense": "attn_output",
  "mlp.dense_h_to_4h": "ffn_up",
  "mlp.dense_4h_to_h": "ffn_down",
};

const theta = (config: Config) => f32(config.rope_parameters.rope_theta);
const llamaNumbers = (config: Config): Numbers => ({
  context_length: u32(config.max_position_embeddings),
  embedding_length: u32(config.hidden_size),
  block_count: u32(config.num_hidden_layers),
  feed_forward_length: u32(config.intermediate_size),
  "attention.head_count": u32(config.num_attention_heads),
  ...(config.num_key_value_heads && { "attention.head_count_kv": u32(config.num_key_value_heads) }),
  ...(config.rms_norm_eps && { "attention.layer_norm_rms_epsilon": f32(config.rms_norm_eps) }),
  ...(config.layer_norm_eps && { "attention.layer_norm_epsilon": f32(config.layer_norm_eps) }),
});
const keyLength = (config: Config): Numbers => ({
  "attention.key_length": u32(config.head_dim),
  "attention.value_length": u32(config.head_dim),
});
const rotary = (config: Config): Numbers => {
  const part = config.rope_parameters.partial_rotary_factor ?? 1;
  return { "rope.dimension_count": u32(Math.trunc((part * config.hidden_size) / config.num_attention_heads)) };
};

/** Blocks of rows in another order. */
function blocks({ shape, data }: Stored, order: number[]): Stored {
  const size = data.length / order.length;
  const out = new Float32Array(data.length);
  for (const [to, from] of order.entries()) out.set(data.subarray(from * size, (from + 1) * size), to * size);
  return { shape, data: out };
}
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Gemma's norms of 1 + weight. */
const plusOne = (tensor: Stored, name: string): Stored =>
  name.endsWith("norm.weight") ? { ...tensor, data: tensor.data.map((x) => x + 1) } : tensor;

/** Rotary pairs side by side (LlamaModel.permute). */
function permute(tensor: Stored, name: string, config: Config): Stored {
  if (name !== "attn_q.weight" && name !== "attn_k.weight") return tensor;
  const heads = name === "attn_q.weight" ? config.num_attention_heads : config.num_key_value_heads;
  const dim = tensor.shape[0]! / heads;
  const order = range(tensor.shape[0]!).map((row) => {
    const within = row % dim;
    return row - within + (within % 2) * (dim / 2) + Math.floor(within / 2);
  });
  return blocks(tensor, order);
}

/** (heads, 3, width) as (3, heads, width). */
function threeParts(tensor: Stored, name: string, config: Config): Stored {
  if (!name.startsWith("attn_qkv")) return tensor;
  const heads = config.n_head ?? config.num_attention_heads;
  return blocks(
    tensor,
    [0, 1, 2].flatMap((part) => range(heads).map((head) => head * 3 + part)),
  );
}

function falconParts(tensor: Stored, name: string, config: Config): Stored {
  if (!name.startsWith("attn_qkv")) return tensor;
  const groups = config.new_decoder_architecture ? config.num_kv_heads : 1;
  const own = config.num_attention_heads / groups;
  const queries = range(groups).flatMap((g) => range(own).map((j) => g * (own + 2) + j));
  const shared = [own, own + 1].flatMap((part) => range(groups).map((g) => g * (own + 2) + part));
  return blocks(tensor, [...queries, ...shared]);
}

function conv1d(tensor: Stored, name: string): Stored {
  if (!/^(attn_qkv|attn_output|ffn_up|ffn_down)\.weight$/.test(name)) return tensor;
  const [inputs, outputs] = tensor.shape as [number, number];
  const data = new Float32Array(tensor.data.length);
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++) data[o * inputs + i] = tensor.data[i * outputs + o]!;
  return { shape: [outputs, inputs], data };
}

const llamaLike = { names: llamaNames, layers: "model.layers." };

export const CONVERTERS: Record<string, Converter> = {
  gemma: {
    architecture: "gemma",
    ...llamaLike,
    numbers: (c) => ({ ...llamaNumbers(c), ...keyLength(c) }),
    weights: plusOne,
  },
  gemma2: {
    architecture: "gemma2",
    layers: "model.layers.",
    names: sandwichNames,
    numbers: (c) => ({
      ...llamaNumbers(c),
      ...keyLength(c),
      attn_logit_softcapping: f32(c.attn_logit_softcapping),
      final_logit_softcapping: f32(c.final_logit_softcapping),
      "attention.sliding_window": u32(c.sliding_window),
    }),
    weights: plusOne,
  },
  gemma3: {
    architecture: "gemma3",
    layers: "model.layers.",
    names: sandwichNames,
    numbers: (c) => ({
      ...llamaNumbers(c),
      ...keyLength(c),
      "rope.freq_base": f32(c.rope_parameters.full_attention.rope_theta),
      "attention.sliding_window": u32(c.sliding_window),
      "rope.scaling.type": "linear",
      "rope.scaling.factor": f32(c.rope_parameters.full_attention.factor),
    }),
    weights: plusOne,
  },
  phi3: {
    architecture: "phi3",
    ...llamaLike,
    names: { ...llamaNames, "self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up" },
    numbers: (c) => ({
      ...llamaNumbers(c),
      ...rotary(c),
      "rope.freq_base": theta(c),
      "rope.scaling.original_context_length": u32(c.original_max_position_embeddings),
      "rope.scaling.attn_factor": f32(
        Math.sqrt(
          1 +
            Math.log(c.max_position_embeddings / c.original_max_position_embeddings) /
              Math.log(c.original_max_position_embeddings),
        ),
      ),
      "attention.sliding_window": u32(c.sliding_window ?? 0),
    }),
    others: ({ rope_parameters: rope }) => ({
      "rope_factors_long.weight": rope.long_factor,
      "rope_factors_short.weight": rope.short_factor,
    }),
  },
  olmo2: {
    architecture: "olmo2",
    layers: "model.layers.",
    names: sandwichNames,
    numbers: (c) => ({ ...llamaNumbers(c), "rope.freq_base": theta(c) }),
  },
  smollm3: {
    architecture: "smollm3",
    ...llamaLike,
    numbers: (c) => ({ ...llamaNumbers(c), ...rotary(c), "rope.freq_base": theta(c) }),
    weights: permute,
  },
  granite: {
    architecture: "granite",
    ...llamaLike,
    numbers: (c) => ({
      ...llamaNumbers(c),
      ...rotary(c),
      "rope.freq_base": theta(c),
      "attention.scale": f32(c.attention_multiplier),
      embedding_scale: f32(c.embedding_multiplier),
      residual_scale: f32(c.residual_multiplier),
      logit_scale: f32(c.logits_scaling),
    }),
    weights: permute,
  },
  cohere: {
    architecture: "command-r",
    ...llamaLike,
    numbers: (c) => ({
      ...llamaNumbers(c),
      "rope.freq_base": theta(c),
      logit_scale: f32(c.logit_scale),
      "rope.scaling.type": "none",
    }),
  },
  gpt2: {
    architecture: "gpt2",
    names: gptNames,
    layers: "transformer.h.",
    numbers: (c) => ({
      block_count: u32(c.n_layer),
      context_length: u32(c.n_positions),
      embedding_length: u32(c.n_embd),
      feed_forward_length: u32(c.n_inner),
      "attention.head_count": u32(c.n_head),
      "attention.layer_norm_epsilon": f32(c.layer_norm_epsilon),
    }),
    weights: conv1d,
  },
  "gpt-neox": {
    architecture: "gptneox",
    layers: "gpt_neox.layers.",
    names: {
      "gpt_neox.embed_in": "token_embd",
      "gpt_neox.final_layer_norm": "output_norm",
      embed_out: "output",
      input_layernorm: "attn_norm",
      post_attention_layernorm: "ffn_norm",
      "attention.query_key_value": "attn_qkv",
      "attention.dense": "attn_output",
      "mlp.dense_h_to_4h": "ffn_up",
      "mlp.dense_4h_to_h": "ffn_down",
    },
    numbers: (c) => ({ ...llamaNumbers(c), ...rotary(c), use_parallel_residual: c.use_parallel_residual }),
    weights: threeParts,
  },
  bloom: {
    architecture: "bloom",
    names: gptNames,
    layers: "transformer.h.",
    numbers: (c) => ({
      context_length: u32(c.seq_length ?? c.hidden_size),
      embedding_length: u32(c.hidden_size),
      feed_forward_length: u32(4 * c.hidden_size),
      block_count: u32(c.n_layer),
      "attention.head_count": u32(c.n_head),
      "attention.head_count_kv": u32(c.n_head),
      "attention.layer_norm_epsilon": f32(c.layer_norm_epsilon),
    }),
    weights: threeParts,
  },
  falcon: {
    architecture: "falcon",
    names: gptNames,
    layers: "transformer.h.",
    numbers: (c) => ({
      context_length: u32(2048),
      embedding_length: u32(c.hidden_size),
      feed_forward_length: u32(c.ffn_hidden_size),
      block_count: u32(c.num_hidden_layers),
      "attention.head_count": u32(c.num_attention_heads),
      "attention.head_count_kv": u32(c.new_decoder_architecture ? c.num_kv_heads : 1),
      "attention.layer_norm_epsilon": f32(c.layer_norm_epsilon),
    }),
    weights: falconParts,
  },
  phi: {
    architecture: "phi2",
    layers: "model.layers.",
    names: {
      ...llamaNames,
      "model.final_layernorm": "output_norm",
      "self_attn.dense": "attn_output",
      "mlp.fc1": "ffn_up",
      "mlp.fc2": "ffn_down",
    },
    numbers: (c) => ({ ...llamaNumbers(c), ...rotary(c) }),
  },
  stablelm: {
    architecture: "stablelm",
    ...llamaLike,
    numbers: (c) => ({ ...llamaNumbers(c), ...rotary(c), use_parallel_residual: c.use_parallel_residual }),
  },
};

/** Tokens that llama.cpp takes for a byte-level BPE. */
function vocabulary(size: number): Record<string, MetaValue> {
  const tokens = range(size).map((i) => String.fromCodePoint(0x100 + i));
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": tokens.map(() => 1),
    "tokenizer.ggml.merges": [`${tokens[0]} ${tokens[1]}`],
    "tokenizer.ggml.bos_token_id": u32(0),
    "tokenizer.ggml.eos_token_id": u32(1),
  };
}

/**
 * @param keep whether a tensor of the golden is written
 * @returns the file
 */
export function convert(folder: string, file: string, how: string, keep = (_name: string) => true): string {
  const config: Config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
  const converter = CONVERTERS[how]!;
  const { architecture, names, layers, numbers, weights = (tensor) => tensor, others } = converter;
  const metadata: Record<string, MetaValue> = {
    "general.architecture": architecture,
    ...Object.fromEntries(Object.entries(numbers(config)).map(([key, value]) => [`${architecture}.${key}`, value])),
    ...vocabulary(config.vocab_size),
  };
  const tensors: TensorToWrite[] = [];
  for (const [name, tensor] of readTensors(join(folder, "model.safetensors"))) {
    if (!keep(name)) continue;
    const [, layer, rest] = name.startsWith(layers) ? /^(\d+)\.(.+)$/.exec(name.slice(layers.length))! : [];
    const [, stem, kind] = /^(.+)\.(weight|bias)$/.exec(rest ?? name)!;
    const part = names[stem!];
    if (part === undefined) throw new Error(`${name} has no name in llama.cpp`);
    const { shape, data } = weights(tensor, `${part}.${kind}`, config);
    const prefix = layer === undefined ? "" : `blk.${layer}.`;
    tensors.push({ name: `${prefix}${part}.${kind}`, shape, type: 0, data: new Uint8Array(data.buffer) });
  }
  for (const [name, values] of Object.entries(others?.(config) ?? {})) {
    const data = new Uint8Array(Float32Array.from(values).buffer);
    tensors.push({ name, shape: [values.length], type: 0, data });
  }
  return writeGguf(file, metadata, tensors);
}
