// A GGUF file as a model: its configuration from the metadata, its tensors under Hugging Face's names.
import { LowrankError } from "../../base/errors.js";
import { readGgufHeader } from "./header.js";
import { Metadata, shown } from "./metadata.js";
import { llama3Scaling } from "./rope-factors.js";
import { READABLE_TYPES, tensorType } from "./types.js";
const BLOCK_NAMES = {
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
const NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
};
const ROPE_FACTORS = "rope_freqs.weight";
/** Hugging Face's name of a tensor; undefined where the model does not use it. */
function nameOf(name) {
    const [, layer, part] = /^blk\.(\d+)\.(\w+)\.weight$/.exec(name) ?? [];
    if (layer === undefined)
        return NAMES[name];
    const module = Object.hasOwn(BLOCK_NAMES, part) ? BLOCK_NAMES[part] : undefined;
    return module && `model.layers.${layer}.${module}.weight`;
}
/** Rows of q and k lie so that rotary pairs are neighbours; the engine reads them in Hugging Face's order. */
const isInterleaved = (name) => /^blk\.\d+\.attn_[qk]\.weight$/.test(name);
function entryOf(file, tensor, name, headDim) {
    const { shape, offset, bytes } = tensor;
    const { name: type, stored } = tensorType(tensor.type);
    if (stored === undefined || bytes === undefined) {
        const message = `${file}: tensor ${tensor.name} is stored as ${type}, expected ${READABLE_TYPES.join(", ")}. Use a file with one of these.`;
        throw new LowrankError("E_TENSOR_DTYPE", message, tensor.name);
    }
    const entry = { name, dtype: stored.dtype, shape, file, offset, bytes };
    return isInterleaved(tensor.name) ? { ...entry, interleaved: headDim } : entry;
}
const ADVICE = "Use another file, or the Hugging Face folder of the model.";
/** @throws LowrankError E_ARCHITECTURE, E_CONFIG_VALUE, E_GGUF */
function readConfig(header) {
    const metadata = new Metadata(header, "E_CONFIG_VALUE", ADVICE);
    const modelType = metadata.text("general.architecture");
    if (modelType !== "llama") {
        const message = `${header.file}: general.architecture is ${shown(modelType)}. Supported in GGUF files: llama.`;
        throw new LowrankError("E_ARCHITECTURE", message, "general.architecture");
    }
    const key = (name) => `${modelType}.${name}`;
    checkWhole(header, metadata);
    metadata.only(key("expert_count"), [0], 0);
    metadata.only(key("attention.causal"), [true], true);
    const hiddenSize = metadata.count(key("embedding_length"));
    const { heads, kvHeads, headDim } = readHeads(metadata, key, hiddenSize);
    metadata.only(key("attention.value_length"), [headDim], headDim);
    metadata.only(key("rope.dimension_count"), [headDim], headDim);
    const embedding = header.tensors.find(({ name }) => name === "token_embd.weight");
    const ropeTheta = metadata.positive(key("rope.freq_base"), 10000);
    return {
        modelType,
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
        ropeScaling: readScaling(header, metadata, headDim, ropeTheta),
        tieWordEmbeddings: !header.tensors.some(({ name }) => name === "output.weight"),
        attentionBias: false,
        mlpBias: false,
    };
}
function checkWhole({ file }, metadata) {
    const parts = metadata.get("split.count") ?? 1;
    if (parts === 0 || parts === 1)
        return;
    const message = `${file} is one part of a split model: split.count is ${shown(parts)}, expected 1. Join the parts first (llama-gguf-split --merge).`;
    throw new LowrankError("E_GGUF", message, "split.count");
}
function readHeads(metadata, key, hiddenSize) {
    const heads = metadata.count(key("attention.head_count"));
    const kvHeads = metadata.count(key("attention.head_count_kv"), { otherwise: heads });
    if (heads % kvHeads !== 0) {
        const what = `is ${kvHeads}, expected a divisor of ${key("attention.head_count")} (${heads})`;
        throw metadata.error(key("attention.head_count_kv"), what);
    }
    const headDim = metadata.count(key("attention.key_length"), { otherwise: hiddenSize / heads });
    if (headDim % 2 !== 0)
        throw metadata.error(key("attention.key_length"), `is ${headDim}, expected an even number`);
    return { heads, kvHeads, headDim };
}
function readScaling(header, metadata, headDim, theta) {
    metadata.only("llama.rope.scaling.attn_factor", [1], 1);
    // As in llama.cpp: a factor without a type is linear, a factor of 0 is none, and older files have another key.
    const type = metadata.only("llama.rope.scaling.type", ["none", "linear"], "linear");
    const keys = ["llama.rope.scaling.factor", "llama.rope.scale_linear"];
    const key = keys.find((name) => metadata.get(name) !== undefined);
    const factor = key === undefined || metadata.get(key) === 0 ? 1 : metadata.positive(key);
    const linear = type === "linear" && factor !== 1 ? { type: "linear", factor } : null;
    const factors = header.tensors.find(({ name }) => name === ROPE_FACTORS);
    if (!factors)
        return linear;
    if (linear)
        throw metadata.error(key, `is ${factor} beside tensor ${ROPE_FACTORS}, expected one of the two`);
    return llama3Scaling(header, factors, headDim, theta);
}
/**
 * Every tensor of every block, so that a wrong number of blocks ends here.
 * @throws LowrankError E_TENSOR_MISSING
 */
function checkComplete({ file, tensors }, { layers }) {
    const found = new Set(tensors.map(({ name }) => name));
    const check = (name) => {
        if (found.has(name))
            return;
        const message = `${file}: tensor ${name} (${nameOf(name)}) is missing: the file is incomplete, or llama.block_count (${layers}) is wrong. Download the file again.`;
        throw new LowrankError("E_TENSOR_MISSING", message, name);
    };
    check("token_embd.weight");
    check("output_norm.weight");
    for (let layer = 0; layer < layers; layer++) {
        for (const part of Object.keys(BLOCK_NAMES))
            check(`blk.${layer}.${part}.weight`);
    }
}
/**
 * A GGUF file as a base model; the weights stay where they are, as they are.
 * @throws LowrankError E_GGUF, E_ARCHITECTURE, E_TENSOR_DTYPE, E_TENSOR_MISSING, E_CONFIG_VALUE naming file, key or tensor
 */
export function openGguf(file) {
    const header = readGgufHeader(file);
    const config = readConfig(header);
    checkComplete(header, config);
    const tensors = [];
    for (const tensor of header.tensors) {
        if (/^blk\.\d+\.(attn|ffn)_\w+\.bias$/.test(tensor.name)) {
            const message = `${file}: tensor ${tensor.name}: biases of linears are not supported in GGUF files. Use the Hugging Face folder of the model.`;
            throw new LowrankError("E_GGUF", message, tensor.name);
        }
        const name = nameOf(tensor.name);
        if (name !== undefined)
            tensors.push(entryOf(file, tensor, name, config.headDim));
    }
    return { folder: file, config, tensors };
}
