// The tokenizer of a GGUF file as the files of a Hugging Face one.
import { bpeModel, byteLevel } from "../byte-level-bpe.js";
import { sentencePieceParts } from "../sentence-piece.js";
import { readGgufHeader } from "./header.js";
import { Metadata, shown } from "./metadata.js";
import { PRETOKENIZERS, type Pretokenizer } from "./pretokenizers.js";

/** Kinds of tokens (tokenizer.ggml.token_type). */
const CONTROL = 3;
const USER_DEFINED = 4;

const ADVICE = "Give the model's Hugging Face tokenizer with --tokenizer_name FOLDER.";

/** Contents of tokenizer.json, tokenizer_config.json and generation_config.json. */
export type TokenizerFiles = Record<"tokenizer.json" | "tokenizer_config.json" | "generation_config.json", object>;

interface Special {
  id: number;
  content: string;
}

/** @throws LowrankError E_GGUF; E_TOKENIZER naming the key, and --tokenizer_name as the way out */
export function ggufTokenizer(file: string): TokenizerFiles {
  const metadata = new Metadata(readGgufHeader(file), "E_TOKENIZER", ADVICE);
  const cut = metadata.get("tokenizer.ggml.model") === "llama" ? undefined : readPretokenizer(metadata);
  const tokens = metadata.texts("tokenizer.ggml.tokens");
  const parts = cut ? bytePairs(metadata, tokens, cut) : pieces(metadata, tokens);
  const special = (name: string): Special | undefined => {
    const id = specialId(metadata, name, tokens.length);
    return id === undefined ? undefined : { id, content: tokens[id]! };
  };
  const [bos, eos] = [special("bos"), special("eos")];
  return {
    "tokenizer.json": {
      version: "1.0",
      truncation: null,
      padding: null,
      ...parts,
      post_processor: template(
        around(metadata, "bos", bos, cut ? (cut.addsBos ?? false) : true),
        around(metadata, "eos", eos, false),
      ),
    },
    "tokenizer_config.json": {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: bos?.content,
      eos_token: eos?.content,
      pad_token: special("padding")?.content,
      unk_token: special("unknown")?.content,
      chat_template:
        metadata.get("tokenizer.chat_template") === undefined ? undefined : metadata.text("tokenizer.chat_template"),
    },
    "generation_config.json": { eos_token_id: endIds(metadata, tokens.length) },
  };
}

/**
 * Ids of the tokens that end a text, in a file whose tokenizer is perhaps of a kind that is not read; empty where it names none.
 * @throws LowrankError E_GGUF
 */
export function ggufEndIds(file: string): number[] {
  const metadata = new Metadata(readGgufHeader(file), "E_TOKENIZER", ADVICE);
  const tokens = metadata.get("tokenizer.ggml.tokens");
  return endIds(metadata, Array.isArray(tokens) ? tokens.length : 0);
}

/** Old files have ids that mean none, such as -1, for tokens that nothing needs. */
function specialId(metadata: Metadata, name: string, count: number): number | undefined {
  return metadata.index(`tokenizer.ggml.${name}_token_id`, count);
}

function endIds(metadata: Metadata, count: number): number[] {
  return [...new Set(["eos", "eot", "eom"].flatMap((name) => specialId(metadata, name, count) ?? []))];
}

function bytePairs(metadata: Metadata, tokens: string[], cut: Pretokenizer): Record<string, unknown> {
  const vocab = readVocab(metadata, tokens);
  return {
    added_tokens: readAdded(metadata, tokens),
    normalizer: cut.normalizer ?? null,
    pre_tokenizer: cut.pre_tokenizer,
    decoder: byteLevel(true),
    model: bpeModel(Object.fromEntries(vocab), readMerges(metadata, vocab), cut.ignore_merges),
  };
}

/** SentencePiece's BPE. As in llama.cpp, a space comes before each part of a text between special tokens. */
function pieces(metadata: Metadata, tokens: string[]): Record<string, unknown> {
  readVocab(metadata, tokens);
  const [scores, kinds] = ["scores", "token_type"].map((name) => {
    const key = `tokenizer.ggml.${name}`;
    const values = metadata.numbers(key);
    if (values.length === tokens.length) return values;
    throw metadata.error(key, `is a list of ${values.length}, expected one number for each of ${tokens.length} tokens`);
  });
  return sentencePieceParts({
    pieces: tokens.map((text, id) => ({ text, score: scores![id]!, kind: kinds![id]! })),
    type: "bpe",
    prefix: metadata.flag("tokenizer.ggml.add_space_prefix", true) ? "each" : "none",
    removesSpaces: metadata.flag("tokenizer.ggml.remove_extra_whitespaces", false),
    charsMap: "",
  });
}

/** llama.cpp's other kinds, which no architecture that is read has. */
const OTHER_KINDS: Record<string, string> = { t5: "SentencePiece unigram", bert: "WordPiece", rwkv: "RWKV's trie" };

function readPretokenizer(metadata: Metadata): Pretokenizer {
  const unsupported = (key: string, known: string, what?: string) =>
    metadata.error(key, `is ${shown(metadata.get(key))}${what ? ` (${what})` : ""}; supported in GGUF files: ${known}`);
  const kind = metadata.get("tokenizer.ggml.model");
  if (kind !== "gpt2")
    throw unsupported(
      "tokenizer.ggml.model",
      "gpt2 (byte-level BPE), llama (SentencePiece BPE)",
      OTHER_KINDS[String(kind)],
    );
  const pre = metadata.get("tokenizer.ggml.pre");
  const found = typeof pre === "string" ? PRETOKENIZERS.get(pre) : undefined;
  if (!found) throw unsupported("tokenizer.ggml.pre", [...PRETOKENIZERS.keys()].join(", "));
  return found;
}

function readVocab(metadata: Metadata, tokens: string[]): Map<string, number> {
  const vocab = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    const other = vocab.get(token);
    if (other !== undefined)
      throw metadata.error("tokenizer.ggml.tokens", `has ${shown(token)} twice, as ${other} and ${id}`);
    vocab.set(token, id);
  }
  return vocab;
}

/** Tokens that stand for a text as it is, whatever the merges say. */
function readAdded(metadata: Metadata, tokens: string[]): object[] {
  const key = "tokenizer.ggml.token_type";
  if (metadata.get(key) === undefined) return [];
  const kinds = metadata.numbers(key);
  if (kinds.length !== tokens.length)
    throw metadata.error(key, `is a list of ${kinds.length}, expected one number for each of ${tokens.length} tokens`);
  return tokens.flatMap((content, id) => {
    if (kinds[id] !== CONTROL && kinds[id] !== USER_DEFINED) return [];
    const special = kinds[id] === CONTROL;
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
}

/** "a b"; neither half has a space, for bytes are spelled as letters. */
function readMerges(metadata: Metadata, vocab: Map<string, number>): [string, string][] {
  return metadata.texts("tokenizer.ggml.merges").map((merge) => {
    const [left = "", right = "", ...more] = merge.split(" ");
    if (left === "" || right === "" || more.length > 0 || ![left, right, left + right].every((each) => vocab.has(each)))
      throw metadata.error("tokenizer.ggml.merges", `has ${shown(merge)}, expected two tokens that make a third`);
    return [left, right];
  });
}

/** The token that every text begins (bos) or ends (eos) with, undefined where there is none. */
function around(
  metadata: Metadata,
  name: "bos" | "eos",
  token: Special | undefined,
  otherwise: boolean,
): Special | undefined {
  const key = `tokenizer.ggml.add_${name}_token`;
  if (!metadata.flag(key, otherwise)) return undefined;
  if (token) return token;
  const idKey = `tokenizer.ggml.${name}_token_id`;
  const id = metadata.get(idKey);
  if (id === undefined && metadata.get(key) === undefined) return undefined;
  const found = id === undefined ? "missing" : `${shown(id)}, which no token has`;
  throw metadata.error(key, `is true, but ${idKey} is ${found}`);
}

function template(bos: Special | undefined, eos: Special | undefined): object | null {
  const tokens = [bos, eos].filter((token) => token !== undefined);
  if (tokens.length === 0) return null;
  const piece = (token: Special | undefined) => (token ? [{ SpecialToken: { id: token.content, type_id: 0 } }] : []);
  const text = (id: "A" | "B") => [...piece(bos), { Sequence: { id, type_id: id === "A" ? 0 : 1 } }, ...piece(eos)];
  const special_tokens = Object.fromEntries(
    tokens.map(({ id, content }) => [content, { id: content, ids: [id], tokens: [content] }]),
  );
  return { type: "TemplateProcessing", single: text("A"), pair: [...text("A"), ...text("B")], special_tokens };
}
