// A GGUF file as a model: its configuration from the metadata, its tensors under Hugging Face's names.
import type { ModelConfig, ModelSource, RopeScaling, TensorEntry, WeightDtype } from "../../engine.js";
import { LowrankError } from "../../errors.js";
import { type GgufHeader, type GgufTensor, readGgufHeader } from "./header.js";
import { Metadata } from "./metadata.js";
import { llama3Scaling } from "./rope-factors.js";

interface TensorType {
  name: string;
  /** Elements stored together, and their bytes; of types that cannot be read, unknown here. */
  block?: number;
  bytes?: number;
}

/** ggml's types by their number. */
const TYPES: Record<number, TensorType> = {
  0: { name: "f32", block: 1, bytes: 4 },
  1: { name: "f16", block: 1, bytes: 2 },
  2: { name: "q4_0", block: 32, bytes: 18 },
  3: { name: "q4_1", block: 32, bytes: 20 },
  6: { name: "q5_0", block: 32, bytes: 22 },
  7: { name: "q5_1" },
  8: { name: "q8_0", block: 32, bytes: 34 },
  9: { name: "q8_1" },
  10: { name: "q2_k" },
  11: { name: "q3_k" },
  12: { name: "q4_k", block: 256, bytes: 144 },
  13: { name: "q5_k", block: 256, bytes: 176 },
  14: { name: "q6_k", block: 256, bytes: 210 },
  15: { name: "q8_k" },
  16: { name: "iq2_xxs" },
  17: { name: "iq2_xs" },
  18: { name: "iq3_xxs" },
  19: { name: "iq1_s" },
  20: { name: "iq4_nl" },
  21: { name: "iq3_s" },
  22: { name: "iq2_s" },
  23: { name: "iq4_xs" },
  29: { name: "iq1_m" },
  30: { name: "bf16", block: 1, bytes: 2 },
  34: { name: "tq1_0" },
  35: { name: "tq2_0" },
  39: { name: "mxfp4" },
};
const READABLE = Object.values(TYPES).filter(({ block }) => block !== undefined);

const BLOCK_NAMES: Record<string, string> = {
  attn_norm: "input_layernorm",
  ffn_norm: "post_attention_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};
const NAMES: Record<string, string> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};
const ROPE_FACTORS = "rope_freqs.weight";

/** Hugging Face's name of a tensor; undefined where the model does not use it. */
function nameOf(name: string): string | undefined {
  const [, layer, part] = /^blk\.(\d+)\.(\w+)\.weight$/.exec(name) ?? [];
  if (layer === undefined) return NAMES[name];
  const module = Object.hasOwn(BLOCK_NAMES, part!) ? BLOCK_NAMES[part!] : undefined;
  return module && `model.layers.${layer}.${module}.weight`;
}

/** Rows of q and k lie so that rotary pairs are neighbours; the engine reads them in Hugging Face's order. */
const isInterleaved = (name: string) => /^blk\.\d+\.attn_[qk]\.weight$/.test(name);

function entryOf({ file, fileBytes }: GgufHeader, tensor: GgufTensor, name: string, headDim: number): TensorEntry {
  const { shape, type, offset } = tensor;
  const fail = (code: string, what: string) =>
    new LowrankError(code, `${file}: tensor ${tensor.name} ${what}.`, tensor.name);
  const { name: dtype, block, bytes: blockBytes } = TYPES[type] ?? { name: `of the unknown type ${type}` };
  if (block === undefined || blockBytes === undefined) {
    const known = READABLE.map((each) => each.name).join(", ");
    throw fail("E_TENSOR_DTYPE", `is stored as ${dtype}, expected ${known}. Use a file with one of these`);
  }
  const elements = shape.reduce((product, n) => product * n, 1);
  const bytes = (elements / block) * blockBytes;
  if (shape.at(-1)! % block !== 0 || !Number.isSafeInteger(bytes))
    throw fail("E_GGUF", `has rows of ${shape.at(-1)} elements, but ${dtype} is stored in blocks of ${block}`);
  if (offset + bytes > fileBytes) {
    const what = `ends at byte ${offset + bytes} of a file of ${fileBytes}: the file is cut short. Download it again`;
    throw fail("E_GGUF", what);
  }
  const entry = { name, dtype: dtype as WeightDtype, shape, file, offset, bytes };
  return isInterleaved(tensor.name) ? { ...entry, interleaved: headDim } : entry;
}

/** @throws LowrankError E_ARCHITECTURE, E_CONFIG_VALUE */
function readConfig(header: GgufHeader): ModelConfig {
  const metadata = new Metadata(header);
  const modelType = metadata.text("general.architecture");
  if (modelType !== "llama") {
    const message = `${header.file}: general.architecture is ${modelType}. Supported in GGUF files: llama.`;
    throw new LowrankError("E_ARCHITECTURE", message, "general.architecture");
  }
  const key = (name: string) => `${modelType}.${name}`;
  metadata.only(key("expert_count"), [0], 0);
  metadata.only("split.count", [0, 1], 0);
  const hiddenSize = metadata.count(key("embedding_length"));
  const heads = metadata.count(key("attention.head_count"));
  const headDim = metadata.count(key("attention.key_length"), hiddenSize / heads);
  metadata.only(key("attention.value_length"), [headDim], headDim);
  metadata.only(key("rope.dimension_count"), [headDim], headDim);
  const embedding = header.tensors.find(({ name }) => name === "token_embd.weight");
  const maxPositions = metadata.count(key("context_length"));
  return {
    modelType,
    vocabSize: embedding?.shape[0] ?? metadata.count(key("vocab_size")),
    hiddenSize,
    intermediateSize: metadata.count(key("feed_forward_length")),
    layers: metadata.count(key("block_count")),
    heads,
    kvHeads: metadata.count(key("attention.head_count_kv"), heads),
    headDim,
    rmsNormEps: metadata.positive(key("attention.layer_norm_rms_epsilon")),
    maxPositions,
    ropeTheta: metadata.positive(key("rope.freq_base"), 10000),
    ropeScaling: readScaling(header, metadata, headDim),
    tieWordEmbeddings: !header.tensors.some(({ name }) => name === "output.weight"),
    attentionBias: false,
    mlpBias: false,
  };
}

function readScaling(header: GgufHeader, metadata: Metadata, headDim: number): RopeScaling | null {
  const type = metadata.only("llama.rope.scaling.type", ["none", "linear"], "none");
  const factors = header.tensors.find(({ name }) => name === ROPE_FACTORS);
  if (factors) return llama3Scaling(header, factors, headDim, metadata.positive("llama.rope.freq_base", 10000));
  const factor = metadata.positive("llama.rope.scaling.factor", metadata.positive("llama.rope.scale_linear", 1));
  return type === "linear" && factor !== 1 ? { type: "linear", factor } : null;
}

/**
 * A GGUF file as a base model; the weights stay where they are, as they are.
 * @throws LowrankError E_GGUF, E_ARCHITECTURE, E_TENSOR_DTYPE, E_CONFIG_VALUE naming file, key or tensor
 */
export function openGguf(file: string): ModelSource {
  const header = readGgufHeader(file);
  const config = readConfig(header);
  const tensors: TensorEntry[] = [];
  for (const tensor of header.tensors) {
    if (/^blk\.\d+\.(attn|ffn)_\w+\.bias$/.test(tensor.name)) {
      const message = `${file}: tensor ${tensor.name}: biases of linears are not supported in GGUF files. Use the Hugging Face folder of the model.`;
      throw new LowrankError("E_GGUF", message, tensor.name);
    }
    const name = nameOf(tensor.name);
    if (name !== undefined) tensors.push(entryOf(header, tensor, name, config.headDim));
  }
  return { folder: file, config, tensors };
}
