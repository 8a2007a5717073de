// A repository with the files of meta-llama/Llama-2-7b-hf: the same names, the tokenizer's and the weights' forms, one small layer.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../../src/model/index.js";

const HIDDEN = 64;
const MLP = 160;

/** "▁the", "▁a": pieces of the tokenizer that are more than a letter, by the two pieces that make each. */
const MERGES = ["▁ t", "▁t h", "▁th e", "▁ a", "a n", "an d", "▁ o", "▁o f", "i n", "in g", "e r", "o n", "▁ w"];

function tokenizerJson(): { json: string; size: number } {
  const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`);
  const letters = ["▁", ..."etaoinsrhldcumfpgwybvkxjqzETAOINSRHLDCUMFPGWYBVKXJQZ0123456789.,:;?!'\"()-#\n"];
  const made = MERGES.map((merge) => merge.replace(" ", ""));
  const pieces = ["<unk>", "<s>", "</s>", ...bytes, ...made, ...letters];
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: true };
  const one = (type_id: number, name: "A" | "B") => [
    { SpecialToken: { id: "<s>", type_id } },
    { Sequence: { id: name, type_id } },
  ];
  const json = {
    ...{ version: "1.0", truncation: null, padding: null },
    added_tokens: ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, ...added })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: one(0, "A"),
      pair: [...one(0, "A"), ...one(1, "B")],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        ...[{ type: "ByteFallback" }, { type: "Fuse" }],
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      ...{ type: "BPE", dropout: null, unk_token: "<unk>", continuing_subword_prefix: null },
      ...{ end_of_word_suffix: null, fuse_unk: true, byte_fallback: true },
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges: MERGES,
    },
  };
  return { json: JSON.stringify(json), size: pieces.length };
}

const token = (content: string) => ({
  ...{ __type: "AddedToken", content, lstrip: false, normalized: true, rstrip: false, single_word: false },
});

/** Weights in f16, in two files; the frequencies of rotary positions are among them, as in Llama 2's. */
async function weights(folder: string, vocabulary: number): Promise<Record<string, Buffer | string>> {
  const layer = "model.layers.0";
  const shapes: Record<string, number[]>[] = [
    {
      "model.embed_tokens.weight": [vocabulary, HIDDEN],
      ...Object.fromEntries(["q", "k", "v", "o"].map((name) => [`self_attn.${name}_proj.weight`, [HIDDEN, HIDDEN]])),
      "self_attn.rotary_emb.inv_freq": [8],
    },
    {
      "mlp.gate_proj.weight": [MLP, HIDDEN],
      "mlp.up_proj.weight": [MLP, HIDDEN],
      "mlp.down_proj.weight": [HIDDEN, MLP],
      "input_layernorm.weight": [HIDDEN],
      "post_attention_layernorm.weight": [HIDDEN],
      "model.norm.weight": [HIDDEN],
      "lm_head.weight": [vocabulary, HIDDEN],
    },
  ];
  const files: Record<string, Buffer | string> = {};
  const weight_map: Record<string, string> = {};
  let state = 1;
  for (const [i, group] of shapes.entries()) {
    const name = `model-0000${i + 1}-of-00002.safetensors`;
    const tensors = Object.entries(group).map(([short, shape]) => {
      const values = Uint16Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) | 0;
        // 1, or a number between 1/64 and 1/32 of either sign, as f16.
        return shape.length === 1 ? 0x3c00 : 0x2400 | (state >>> 22) | (state & 0x8000);
      });
      const full = /^(self_attn|mlp|input_|post_)/.test(short) ? `${layer}.${short}` : short;
      weight_map[full] = name;
      return { name: full, dtype: "F16", shape, bytes: values.byteLength, data: new Uint8Array(values.buffer) };
    });
    await writeSafetensors(join(folder, name), tensors, { format: "pt" });
    files[name] = readFileSync(join(folder, name));
  }
  const total_size = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  return { ...files, "model.safetensors.index.json": JSON.stringify({ metadata: { total_size }, weight_map }) };
}

/** @param folder an empty one to write in */
export async function llama2Files(folder: string): Promise<Record<string, Buffer | string>> {
  const { json, size: vocab_size } = tokenizerJson();
  const config = {
    ...{ _name_or_path: "meta-llama/Llama-2-7b-hf", architectures: ["LlamaForCausalLM"], model_type: "llama" },
    ...{ bos_token_id: 1, eos_token_id: 2, hidden_act: "silu", hidden_size: HIDDEN, initializer_range: 0.02 },
    ...{ intermediate_size: MLP, max_position_embeddings: 4096, num_attention_heads: 4, num_hidden_layers: 1 },
    ...{ num_key_value_heads: 4, pretraining_tp: 1, rms_norm_eps: 1e-5, rope_scaling: null, use_cache: true },
    ...{ tie_word_embeddings: false, torch_dtype: "float16", transformers_version: "4.31.0.dev0", vocab_size },
  };
  const settings = {
    ...{ add_bos_token: true, add_eos_token: false, bos_token: token("<s>"), clean_up_tokenization_spaces: false },
    ...{ eos_token: token("</s>"), legacy: false, model_max_length: 1e30, pad_token: null, padding_side: "right" },
    ...{ sp_model_kwargs: {}, tokenizer_class: "LlamaTokenizer", unk_token: token("<unk>") },
  };
  const special = Object.fromEntries(
    ["bos", "eos", "unk"].map((name) => [`${name}_token`, settings[`${name}_token` as "bos_token"]]),
  );
  const pickles = Object.fromEntries([1, 2].map((i) => [`pytorch_model-0000${i}-of-00002.bin`, "pickle"]));
  return {
    ...{ ".gitattributes": "*.bin filter=lfs", "LICENSE.txt": "LLAMA 2", "USE_POLICY.md": "# Policy", ...pickles },
    "README.md": "---\nlicense: llama2\n---\n# Llama 2\n",
    "pytorch_model.bin.index.json": "{}",
    "config.json": JSON.stringify(config),
    "generation_config.json":
      '{"bos_token_id":1,"do_sample":true,"eos_token_id":2,"pad_token_id":0,"temperature":0.6,"top_p":0.9}',
    "tokenizer.json": json,
    "tokenizer_config.json": JSON.stringify(settings),
    "special_tokens_map.json": JSON.stringify(special),
    "tokenizer.model": "a protocol buffer",
    ...(await weights(folder, vocab_size)),
  };
}
