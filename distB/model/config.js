// config.json of a model folder to the numbers that the engine takes.
import { LowrankError } from "../base/errors.js";
import { isObject, kindOf, readJsonObject } from "../base/json.js";
import { supportedArchitectures } from "../native/index.js";
import { ConfigKeys } from "./keys.js";
import { readRope } from "./rope.js";
export const EMBEDDING = "model.embed_tokens.weight";
/** The weight of a head that is not the embedding. */
export const HEAD = "lm_head.weight";
/** LLM.int8's, where nothing else is said. */
export const OUTLIER_THRESHOLD = 6;
/** Largest size that a plausible model has; products of two stay exact integers. */
const LARGEST = 2 ** 26;
/**
 * Reads and checks config.json. Defaults are those of transformers' LlamaConfig.
 * @throws LowrankError E_FILE_MISSING, E_JSON, E_ARCHITECTURE, E_QUANTIZED, E_CONFIG_VALUE
 */
export function readConfig(file, warn) {
    const json = readJsonObject(file, "Model configuration");
    const modelType = checkArchitecture(json.model_type, file);
    const keys = new ConfigKeys(json, file);
    if (keys.given("quantization_config")) {
        const method = isObject(json.quantization_config) ? json.quantization_config.quant_method : undefined;
        if (method !== "bitsandbytes") {
            throw new LowrankError("E_QUANTIZED", `${file}: the weights are quantised by ${method ? String(method) : "a method that quantization_config does not name"}, ` +
                "expected bitsandbytes. Use such a folder, a GGUF file, or the folder with f32, bf16 or f16 weights.", "quantization_config");
        }
    }
    keys.only("hidden_act", ["silu", "swish"], "silu");
    keys.only("pretraining_tp", [1], 1);
    const maxPositions = keys.count("max_position_embeddings", 2 ** 31, 2048);
    return {
        modelType,
        vocabSize: keys.count("vocab_size", LARGEST),
        intermediateSize: keys.count("intermediate_size", LARGEST),
        layers: keys.count("num_hidden_layers", 100_000),
        ...readHeads(keys),
        rmsNormEps: keys.number("rms_norm_eps", { above: 0, atMost: 1 }, 1e-6),
        maxPositions,
        ...readRope(keys, maxPositions, warn),
        tieWordEmbeddings: keys.flag("tie_word_embeddings", false),
        attentionBias: keys.flag("attention_bias", false),
        mlpBias: keys.flag("mlp_bias", false),
    };
}
/**
 * Magnitude from which on activations of a folder with int8 weights are outliers in LLM.int8; Infinity where none are.
 * @throws LowrankError E_CONFIG_VALUE
 */
export function readOutlierThreshold(file) {
    const { quantization_config: quantization } = readJsonObject(file, "Model configuration");
    const found = isObject(quantization) ? (quantization.llm_int8_threshold ?? OUTLIER_THRESHOLD) : OUTLIER_THRESHOLD;
    if (typeof found === "number" && found >= 0)
        return found === 0 ? Number.POSITIVE_INFINITY : found;
    const message = `${file}: llm_int8_threshold is ${JSON.stringify(found)}, expected a number of at least 0.`;
    throw new LowrankError("E_CONFIG_VALUE", message, "llm_int8_threshold");
}
function readHeads(keys) {
    const hiddenSize = keys.count("hidden_size", LARGEST);
    const heads = keys.count("num_attention_heads", LARGEST);
    const kvHeads = keys.count("num_key_value_heads", LARGEST, heads);
    if (heads % kvHeads !== 0) {
        throw keys.error("num_key_value_heads", `expected a divisor of num_attention_heads (${heads}), found ${kvHeads}`);
    }
    if (!keys.given("head_dim") && hiddenSize % heads !== 0) {
        throw keys.error("hidden_size", `${hiddenSize} is no multiple of num_attention_heads (${heads}), and head_dim is absent`);
    }
    const headDim = keys.count("head_dim", LARGEST, hiddenSize / heads);
    if (headDim % 2 !== 0)
        throw keys.error("head_dim", `expected an even number, found ${headDim}`);
    return { hiddenSize, heads, kvHeads, headDim };
}
function checkArchitecture(modelType, file) {
    const supported = supportedArchitectures();
    if (typeof modelType === "string" && supported.includes(modelType))
        return modelType;
    const found = typeof modelType === "string" ? `"${modelType}" is not supported` : `is ${kindOf(modelType)}`;
    throw new LowrankError("E_ARCHITECTURE", `${file}: model_type ${found}. Supported architectures: ${supported.join(", ")}.`, "model_type");
}
