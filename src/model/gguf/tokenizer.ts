// The tokenizer of a GGUF file as the files of a Hugging Face one.
import { LowrankError } from "../../errors.js";
import { readGgufHeader } from "./header.js";
import { Metadata } from "./metadata.js";

/** Kinds of tokens (tokenizer.ggml.token_type). */
const CONTROL = 3;
const USER_DEFINED = 4;

const byteLevel = (use_regex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
});
const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });

/** How a text is cut before it is merged, by tokenizer.ggml.pre: as the models' own tokenizer.json say it. */
const WORDS = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`;
const REST = String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const PRETOKENIZERS: Record<string, { pre_tokenizer: object; normalizer?: object; ignore_merges?: boolean }> = {
  "gpt-2": { pre_tokenizer: byteLevel(true) },
  smollm: { pre_tokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)) },
  "llama-bpe": {
    pre_tokenizer: sequence(split(String.raw`${WORDS}\p{N}{1,3}${REST}`), byteLevel(false)),
    ignore_merges: true,
  },
  qwen2: {
    pre_tokenizer: sequence(split(String.raw`${WORDS}\p{N}${REST}`), byteLevel(false)),
    normalizer: { type: "NFC" },
  },
};

/** Contents of tokenizer.json, tokenizer_config.json and generation_config.json. */
export type TokenizerFiles = Record<"tokenizer.json" | "tokenizer_config.json" | "generation_config.json", object>;

/** @throws LowrankError E_TOKENIZER naming the key, and --tokenizer_name as the way out */
export function ggufTokenizer(file: string): TokenizerFiles {
  const metadata = new Metadata(readGgufHeader(file));
  const unsupported = (key: string, found: string, known: string) =>
    new LowrankError(
      "E_TOKENIZER",
      `${file}: ${key} is ${found}; supported in GGUF files: ${known}. Give the model's Hugging Face tokenizer with --tokenizer_name FOLDER.`,
      key,
    );
  const model = metadata.get("tokenizer.ggml.model");
  if (model !== "gpt2") throw unsupported("tokenizer.ggml.model", String(model ?? "missing"), "gpt2 (byte-level BPE)");
  const pre = String(metadata.get("tokenizer.ggml.pre") ?? "missing");
  const cut = Object.hasOwn(PRETOKENIZERS, pre) ? PRETOKENIZERS[pre]! : undefined;
  if (!cut) throw unsupported("tokenizer.ggml.pre", pre, Object.keys(PRETOKENIZERS).join(", "));
  const tokens = metadata.texts("tokenizer.ggml.tokens");
  const kinds =
    metadata.get("tokenizer.ggml.token_type") === undefined ? [] : metadata.numbers("tokenizer.ggml.token_type");
  const token = (key: string) => {
    const id = metadata.id(key);
    return id === undefined ? undefined : tokens[id];
  };
  const bos = token("tokenizer.ggml.bos_token_id");
  const eos = token("tokenizer.ggml.eos_token_id");
  const addsBos = bos !== undefined && metadata.flag("tokenizer.ggml.add_bos_token", pre === "llama-bpe");
  const added = tokens.flatMap((content, id) => {
    if (kinds[id] !== CONTROL && kinds[id] !== USER_DEFINED) return [];
    const special = kinds[id] === CONTROL;
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
  const ends = ["eos_token_id", "eot_token_id", "eom_token_id"].flatMap(
    (name) => metadata.id(`tokenizer.ggml.${name}`) ?? [],
  );
  return {
    "tokenizer.json": {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: cut.normalizer ?? null,
      pre_tokenizer: cut.pre_tokenizer,
      post_processor: addsBos ? withBos(bos, metadata.id("tokenizer.ggml.bos_token_id")!) : null,
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: "",
        end_of_word_suffix: "",
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: cut.ignore_merges ?? false,
        vocab: Object.fromEntries(tokens.map((text, id) => [text, id])),
        merges: metadata.texts("tokenizer.ggml.merges").map((merge) => splitMerge(merge)),
      },
    },
    "tokenizer_config.json": {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: bos,
      eos_token: eos,
      pad_token: token("tokenizer.ggml.padding_token_id"),
      unk_token: token("tokenizer.ggml.unknown_token_id"),
      chat_template: metadata.get("tokenizer.chat_template"),
    },
    "generation_config.json": { eos_token_id: [...new Set(ends)] },
  };
}

/** "a b"; neither half has a space, for bytes are spelled as letters. */
function splitMerge(merge: string): [string, string] {
  const space = merge.indexOf(" ", 1);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function withBos(bos: string, id: number): object {
  const first = { SpecialToken: { id: bos, type_id: 0 } };
  const a = { Sequence: { id: "A", type_id: 0 } };
  const b = { Sequence: { id: "B", type_id: 1 } };
  const special_tokens = { [bos]: { id: bos, ids: [id], tokens: [bos] } };
  return { type: "TemplateProcessing", single: [first, a], pair: [first, a, first, b], special_tokens };
}
