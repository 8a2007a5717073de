// Qwen2 and Qwen2.5: LLaMA's block with biases on q, k and v (Yang et al., 2024).
import { LARGEST, readHeads } from "../heads.js";
import { readRope } from "../rope.js";
import type { Family } from "./family.js";
import { llama, llamaBlock } from "./llama.js";

export const qwen2: Family = {
  modelType: "qwen2",
  names: llama.names,
  // Defaults are those of transformers' Qwen2Config.
  readConfig(keys, warn) {
    keys.only("hidden_act", ["silu", "swish"], "silu");
    keys.only("use_sliding_window", [false], false);
    const maxPositions = keys.count("max_position_embeddings", 2 ** 31, 32768);
    return {
      vocabSize: keys.count("vocab_size", LARGEST),
      intermediateSize: keys.count("intermediate_size", LARGEST),
      layers: keys.count("num_hidden_layers", 100_000),
      ...readHeads(keys),
      rmsNormEps: keys.number("rms_norm_eps", { above: 0, atMost: 1 }, 1e-6),
      maxPositions,
      ...readRope(keys, maxPositions, warn),
      tieWordEmbeddings: keys.flag("tie_word_embeddings", false),
      attentionBias: true,
      mlpBias: false,
    };
  },
  block: (config) => llamaBlock(config, { qkv: true, out: false, mlp: false }),
  targets: llama.targets,
  gguf: { ...llama.gguf!, architecture: "qwen2", interleaved: [], attentionBias: true },
};
