// Model folders of a named shape and adapters of theirs with random weights, for timing only. The shapes belong to well-known models.
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

const llama = (hidden, intermediate, layers, heads, kvHeads, vocab, tied) => ({
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_act: "silu",
  rms_norm_eps: 1e-5,
  attention_bias: false,
  mlp_bias: false,
  rope_theta: 10000,
  max_position_embeddings: 2048,
  hidden_size: hidden,
  intermediate_size: intermediate,
  num_hidden_layers: layers,
  num_attention_heads: heads,
  num_key_value_heads: kvHeads,
  vocab_size: vocab,
  tie_word_embeddings: tied,
});

export const SHAPES = {
  "tiny-llama": llama(256, 688, 4, 8, 4, 4096, true),
  "smollm2-135m": llama(576, 1536, 30, 9, 3, 49152, true),
  "tinyllama-1.1b": llama(2048, 5632, 22, 32, 4, 32000, false),
  "llama-3.2-1b": llama(2048, 8192, 16, 32, 8, 128256, true),
  "llama-2-7b": llama(4096, 11008, 32, 32, 32, 32000, false),
  "llama-3-8b": llama(4096, 14336, 32, 32, 8, 128256, false),
};

function tensorShapes(c) {
  const kv = (c.hidden_size / c.num_attention_heads) * c.num_key_value_heads;
  const shapes = [["model.embed_tokens.weight", [c.vocab_size, c.hidden_size]]];
  for (let l = 0; l < c.num_hidden_layers; l++) {
    const block = `model.layers.${l}`;
    shapes.push(
      [`${block}.input_layernorm.weight`, [c.hidden_size]],
      [`${block}.self_attn.q_proj.weight`, [c.hidden_size, c.hidden_size]],
      [`${block}.self_attn.k_proj.weight`, [kv, c.hidden_size]],
      [`${block}.self_attn.v_proj.weight`, [kv, c.hidden_size]],
      [`${block}.self_attn.o_proj.weight`, [c.hidden_size, c.hidden_size]],
      [`${block}.post_attention_layernorm.weight`, [c.hidden_size]],
      [`${block}.mlp.gate_proj.weight`, [c.intermediate_size, c.hidden_size]],
      [`${block}.mlp.up_proj.weight`, [c.intermediate_size, c.hidden_size]],
      [`${block}.mlp.down_proj.weight`, [c.hidden_size, c.intermediate_size]],
    );
  }
  shapes.push(["model.norm.weight", [c.hidden_size]]);
  if (!c.tie_word_embeddings) shapes.push(["lm_head.weight", [c.vocab_size, c.hidden_size]]);
  return shapes;
}

/**
 * Numbers of N(0, deviation) as the file's element type: drawn from a table, which is enough for timing.
 * @param width of the model: the wider it is, the smaller are the weights, so that a linear's outputs are as large in every shape. With
 *   one deviation for all, the MLP of a wide one would have an outlier of LLM.int8 in nearly every column, as no trained model has.
 */
function normalTable(bf16, width) {
  const deviation = 0.48 / Math.sqrt(width);
  const table = Float32Array.from({ length: 1 << 16 }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
    return deviation * radius * Math.cos(2 * Math.PI * Math.random());
  });
  return bf16 ? Uint16Array.from(new Uint32Array(table.buffer), (bits) => (bits + 0x8000) >>> 16) : table;
}

const ONE = { bf16: 0x3f80, fp32: 1 };

function writeWeights(file, shapes, precision, width) {
  const bytesPerElement = precision === "bf16" ? 2 : 4;
  const header = { __metadata__: { format: "pt" } };
  let end = 0;
  const tensors = shapes.map(([name, shape]) => {
    const elements = shape.reduce((a, b) => a * b, 1);
    const begin = end;
    end += elements * bytesPerElement;
    header[name] = { dtype: precision === "bf16" ? "BF16" : "F32", shape, data_offsets: [begin, end] };
    return { norm: shape.length === 1, elements };
  });
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));

  const table = normalTable(precision === "bf16", width);
  const chunk = new table.constructor(1 << 20);
  let state = 1;
  const out = openSync(file, "w");
  writeSync(out, size);
  writeSync(out, json);
  for (const { norm, elements } of tensors) {
    for (let done = 0; done < elements; done += chunk.length) {
      const n = Math.min(chunk.length, elements - done);
      for (let i = 0; i < n; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        chunk[i] = norm ? ONE[precision] : table[state >>> 16];
      }
      writeSync(out, new Uint8Array(chunk.buffer, 0, n * bytesPerElement));
    }
  }
  closeSync(out);
}

const cache = () => join(tmpdir(), `lowrank-bench-${userInfo().username}`);

/** Folder of an adapter in PEFT's layout of this rank on all linears of a shape's layers, in f32, kept as `randomModel`'s is. */
export function randomAdapter(shape, rank) {
  const folder = join(cache(), `${shape}-r${rank}`);
  const weights = join(folder, "adapter_model.safetensors");
  if (existsSync(weights)) return folder;
  const linears = tensorShapes(SHAPES[shape]).filter(([name]) => name.includes("_proj."));
  const factors = linears.flatMap(([name, [out, inputs]]) => {
    const module = `base_model.model.${name.replace(/\.weight$/, "")}`;
    return [
      [`${module}.lora_A.weight`, [rank, inputs]],
      [`${module}.lora_B.weight`, [out, rank]],
    ];
  });
  const modules = [...new Set(linears.map(([name]) => name.split(".").at(-2)))];
  const kind = { peft_type: "LORA", task_type: "CAUSAL_LM", base_model_name_or_path: shape };
  const config = { ...kind, r: rank, lora_alpha: 2 * rank, target_modules: modules };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "adapter_config.json"), JSON.stringify(config, null, 2));
  writeWeights(`${weights}.tmp`, factors, "fp32", SHAPES[shape].hidden_size);
  renameSync(`${weights}.tmp`, weights);
  return folder;
}

/**
 * Folder with config.json and model.safetensors, kept in the system's folder for temporary files.
 * @param layers instead of the shape's own number; 0 keeps it
 */
export function randomModel(shape, precision, layers = 0) {
  const config = { ...SHAPES[shape], dtype: precision === "bf16" ? "bfloat16" : "float32" };
  if (layers > 0) config.num_hidden_layers = layers;
  const folder = join(cache(), `${shape}-${config.num_hidden_layers}-layers-${precision}`);
  const weights = join(folder, "model.safetensors");
  if (!existsSync(weights)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "config.json"), JSON.stringify(config, null, 2));
    writeWeights(`${weights}.tmp`, tensorShapes(config), precision, config.hidden_size);
    renameSync(`${weights}.tmp`, weights);
  }
  return folder;
}
