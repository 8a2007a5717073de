// A GGUF file as a model: its configuration from the metadata, its tensors under Hugging Face's names.

import { LowrankError } from "../../base/errors.js";
import type { ModelConfig, ModelSource, RopeScaling, TensorEntry } from "../../native/index.js";
import { type FamilyNames, findGgufFamily, type GgufNames, ggufArchitectures } from "../families/index.js";
import type { LlamaConfig } from "../families/llama.js";
import { linearsOf, modelSource } from "../spec.js";
import { type GgufHeader, type GgufTensor, readGgufHeader } from "./header.js";
import { Metadata, shown } from "./metadata.js";
import { llama3Scaling } from "./rope-factors.js";
import { READABLE_TYPES, tensorType } from "./types.js";

const ROPE_FACTORS = "rope_freqs.weight";

interface GgufFamily {
  names: FamilyNames;
  gguf: GgufNames;
}

/** Names of tensors outside of the blocks. */
const outsideOf = ({ names }: GgufFamily): Record<string, string> => ({
  "token_embd.weight": names.embedding,
  "output_norm.weight": names.finalNorm,
  "output.weight": names.head,
});

/** Hugging Face's name of a tensor; undefined where the model does not use it. */
function nameOf(name: string, family: GgufFamily): string | undefined {
  const [, layer, part, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const { modules } = family.gguf;
  if (layer === undefined) return outsideOf(family)[name];
  const module = Object.hasOwn(modules, part!) ? modules[part!] : undefined;
  return module && `${family.names.layers}${layer}.${module}.${kind}`;
}

/** The part of a block's matrix, as attn_q. */
const partOf = (name: string) => /^blk\.\d+\.(\w+)\.weight$/.exec(name)?.[1];

/** @param headDim of a tensor whose rotary pairs lie side by side */
function entryOf(file: string, tensor: GgufTensor, name: string, headDim: number | undefined): TensorEntry {
  const { shape, offset, bytes } = tensor;
  const { name: type, stored } = tensorType(tensor.type);
  if (stored === undefined || bytes === undefined) {
    const message = `${file}: tensor ${tensor.name} is stored as ${type}, expected ${READABLE_TYPES.join(", ")}. Use a file with one of these.`;
    throw new LowrankError("E_TENSOR_DTYPE", message, tensor.name);
  }
  const entry = { name, dtype: stored.dtype, shape, file, offset, bytes };
  return headDim === undefined ? entry : { ...entry, interleaved: headDim };
}

const ADVICE = "Use another file, or the Hugging Face folder of the model.";

/** @throws LowrankError E_ARCHITECTURE, E_CONFIG_VALUE, E_GGUF */
function readConfig(header: GgufHeader): { config: ModelConfig; family: GgufFamily } {
  const metadata = new Metadata(header, "E_CONFIG_VALUE", ADVICE);
  const architecture = metadata.text("general.architecture");
  const family = findGgufFamily(architecture);
  if (!family) {
    const message = `${header.file}: general.architecture is ${shown(architecture)}. Supported in GGUF files: ${ggufArchitectures().join(", ")}.`;
    throw new LowrankError("E_ARCHITECTURE", message, "general.architecture");
  }
  const key = (name: string) => `${architecture}.${name}`;
  checkWhole(header, metadata);
  metadata.only(key("expert_count"), [0], 0);
  metadata.only(key("attention.causal"), [true], true);
  const hiddenSize = metadata.count(key("embedding_length"));
  const { heads, kvHeads, headDim } = readHeads(metadata, key, hiddenSize);
  metadata.only(key("attention.value_length"), [headDim], headDim);
  metadata.only(key("rope.dimension_count"), [headDim], headDim);
  const embedding = header.tensors.find(({ name }) => name === "token_embd.weight");
  const ropeTheta = metadata.positive(key("rope.freq_base"), 10000);
  const config: LlamaConfig = {
    modelType: family.modelType,
    vocabSize: embedding?.shape[0] ?? metadata.count(key("vocab_size")),
    hiddenSize,
    intermediateSize: metadata.count(key("feed_forward_length")),
    layers: metadata.count(key("block_count"), { most: 100_000 }),
    heads,
    kvHeads,
    headDim,
    rmsNormEps: metadata.positive(key("attention.layer_norm_rms_epsilon")),
    maxPositions: metadata.count(key("context_length"), { most: 2 ** 31 }),
    ropeTheta,
    ropeScaling: readScaling(header, metadata, key, headDim, ropeTheta),
    tieWordEmbeddings: !header.tensors.some(({ name }) => name === "output.weight"),
    attentionBias: family.gguf.attentionBias,
    mlpBias: false,
    activation: "silu",
  };
  return { config, family };
}

function checkWhole({ file }: GgufHeader, metadata: Metadata): void {
  const parts = metadata.get("split.count") ?? 1;
  if (parts === 0 || parts === 1) return;
  const message = `${file} is one part of a split model: split.count is ${shown(parts)}, expected 1. Join the parts first (llama-gguf-split --merge).`;
  throw new LowrankError("E_GGUF", message, "split.count");
}

function readHeads(
  metadata: Metadata,
  key: (name: string) => string,
  hiddenSize: number,
): Pick<ModelConfig, "heads" | "kvHeads" | "headDim"> {
  const heads = metadata.count(key("attention.head_count"));
  const kvHeads = metadata.count(key("attention.head_count_kv"), { otherwise: heads });
  if (heads % kvHeads !== 0) {
    const what = `is ${kvHeads}, expected a divisor of ${key("attention.head_count")} (${heads})`;
    throw metadata.error(key("attention.head_count_kv"), what);
  }
  const headDim = metadata.count(key("attention.key_length"), { otherwise: hiddenSize / heads });
  if (headDim % 2 !== 0) throw metadata.error(key("attention.key_length"), `is ${headDim}, expected an even number`);
  return { heads, kvHeads, headDim };
}

function readScaling(
  header: GgufHeader,
  metadata: Metadata,
  key: (name: string) => string,
  headDim: number,
  theta: number,
): RopeScaling | null {
  metadata.only(key("rope.scaling.attn_factor"), [1], 1);
  // As in llama.cpp: a factor without a type is linear, a factor of 0 is none, and older files have another key.
  const type = metadata.only(key("rope.scaling.type"), ["none", "linear"], "linear");
  const keys = ["rope.scaling.factor", "rope.scale_linear"].map(key);
  const used = keys.find((name) => metadata.get(name) !== undefined);
  const factor = used === undefined || metadata.get(used) === 0 ? 1 : metadata.positive(used);
  const linear: RopeScaling | null = type === "linear" && factor !== 1 ? { type: "linear", factor } : null;
  const factors = header.tensors.find(({ name }) => name === ROPE_FACTORS);
  if (!factors) return linear;
  if (linear) throw metadata.error(used!, `is ${factor} beside tensor ${ROPE_FACTORS}, expected one of the two`);
  return llama3Scaling(header, factors, headDim, theta);
}

/**
 * Every tensor of every block, so that a wrong number of blocks ends here.
 * @throws LowrankError E_TENSOR_MISSING
 */
function checkComplete({ file, tensors }: GgufHeader, { spec }: ModelSource, family: GgufFamily): void {
  const { architecture, modules } = family.gguf;
  const found = new Set(tensors.map(({ name }) => name));
  const check = (name: string) => {
    if (found.has(name)) return;
    const message = `${file}: tensor ${name} (${nameOf(name, family)}) is missing: the file is incomplete, or ${architecture}.block_count (${spec.layers}) is wrong. Download the file again.`;
    throw new LowrankError("E_TENSOR_MISSING", message, name);
  };
  check("token_embd.weight");
  check("output_norm.weight");
  const biased = new Set(linearsOf(spec.block).flatMap(({ module, bias }) => (bias ? [module] : [])));
  for (let layer = 0; layer < spec.layers; layer++) {
    for (const [part, module] of Object.entries(modules)) {
      check(`blk.${layer}.${part}.weight`);
      if (biased.has(module)) check(`blk.${layer}.${part}.bias`);
    }
  }
}

/**
 * A GGUF file as a base model; the weights stay where they are, as they are.
 * @throws LowrankError E_GGUF, E_ARCHITECTURE, E_TENSOR_DTYPE, E_TENSOR_MISSING, E_CONFIG_VALUE naming file, key or tensor
 */
export function openGguf(file: string): ModelSource {
  const header = readGgufHeader(file);
  const { config, family } = readConfig(header);
  const model = modelSource(file, config, []);
  checkComplete(header, model, family);
  const biases = new Set(linearsOf(model.spec.block).flatMap(({ module, bias }) => (bias ? [`${module}.bias`] : [])));
  for (const tensor of header.tensors) {
    const name = nameOf(tensor.name, family);
    const isBias = /^blk\.\d+\.(attn|ffn)_\w+\.bias$/.test(tensor.name);
    if (isBias && !(name !== undefined && biases.has(name.slice(family.names.layers.length).replace(/^\d+\./, "")))) {
      const message = `${file}: tensor ${tensor.name}: this bias is not supported in GGUF files of ${family.gguf.architecture}. Use the Hugging Face folder of the model.`;
      throw new LowrankError("E_GGUF", message, tensor.name);
    }
    if (name === undefined) continue;
    const interleaved = family.gguf.interleaved.includes(partOf(tensor.name) ?? "");
    model.tensors.push(entryOf(file, tensor, name, interleaved ? config.headDim : undefined));
  }
  return model;
}
