import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openModel, writeSafetensors } from "../../src/model/index.js";
import { tinyBase } from "./folders.js";

const CONFIG = {
  ...{ architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_act: "silu", rms_norm_eps: 1e-5 },
  ...{
    vocab_size: openModel(tinyBase).config.vocabSize,
    hidden_size: 512,
    intermediate_size: 1408,
    num_hidden_layers: 3,
  },
  ...{ num_attention_heads: 8, num_key_value_heads: 4, max_position_embeddings: 256, tie_word_embeddings: true },
};

/** Writes a model of 14 MB into a folder; large pages of it can be copied. */
export async function writeModel(path: string): Promise<string> {
  const { hidden_size: dim, intermediate_size: mlp, num_hidden_layers: layers, vocab_size: vocab } = CONFIG;
  const shapes: Record<string, number[]> = {
    "model.embed_tokens.weight": [vocab, dim],
    "model.norm.weight": [dim],
  };
  for (let l = 0; l < layers; l++) {
    const linears = { q_proj: [dim, dim], k_proj: [dim / 2, dim], v_proj: [dim / 2, dim], o_proj: [dim, dim] };
    for (const [name, shape] of Object.entries(linears)) shapes[`model.layers.${l}.self_attn.${name}.weight`] = shape;
    const wide = { gate_proj: [mlp, dim], up_proj: [mlp, dim], down_proj: [dim, mlp] };
    for (const [name, shape] of Object.entries(wide)) shapes[`model.layers.${l}.mlp.${name}.weight`] = shape;
    for (const norm of ["input_layernorm", "post_attention_layernorm"])
      shapes[`model.layers.${l}.${norm}.weight`] = [dim];
  }
  let state = 1;
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const n = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length: n }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return shape.length === 1 ? 1 : state / 2 ** 36;
    });
    const data = Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
    return { name, dtype: "BF16", shape, bytes: 2 * n, data: new Uint8Array(data.buffer) };
  });
  writeFileSync(join(path, "config.json"), JSON.stringify(CONFIG));
  await writeSafetensors(join(path, "model.safetensors"), tensors, { format: "pt" });
  return path;
}
