// The tokenizer of a model as metadata of a GGUF file.
import { basename, dirname } from "node:path";
import { LowrankError } from "../base/errors.js";
import { isObject, parseJson } from "../base/json.js";
import { LARGEST_LIST_BYTES, readText } from "../base/system-errors.js";
import { madeFile, readChatTemplates, type Tokenizer } from "../data/index.js";
import { type MetadataValue, pretokenizerName } from "../model/index.js";

/** Kinds of tokens (tokenizer.ggml.token_type). */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

type Json = Record<string, unknown>;

function contents(tokenizer: Tokenizer, name: string): string | undefined {
  const file = tokenizer.files.find((each) => basename(each) === name);
  return file === undefined ? undefined : (madeFile(file) ?? readText(file, "Tokenizer", LARGEST_LIST_BYTES));
}

function unsupported(what: string): LowrankError {
  const way =
    "Export the adapter alone (--format gguf-adapter), or write the merged model with lowrank merge, and convert it with llama.cpp's convert_hf_to_gguf.py.";
  return new LowrankError(
    "E_TOKENIZER",
    `The tokenizer ${what}, which is not written as GGUF yet. ${way}`,
    "tokenizer.json",
  );
}

/** Whether every text begins with this token. */
function beginsWith(processor: unknown, token: string | undefined): boolean {
  if (!isObject(processor) || token === undefined) return false;
  if (processor.type === "Sequence") return (processor.processors as unknown[]).some((each) => beginsWith(each, token));
  const [first] = processor.type === "TemplateProcessing" ? (processor.single as Json[]) : [];
  return isObject(first?.SpecialToken) && first.SpecialToken.id === token;
}

/**
 * @param rows of the embedding; the list of tokens is filled up to them
 * @param template of chats; default the tokenizer's own
 * @throws LowrankError E_TOKENIZER for a tokenizer that is no byte-level BPE with a cut that llama.cpp has a name for
 */
export function tokenizerMetadata(
  tokenizer: Tokenizer,
  rows: number,
  template = readChatTemplates(dirname(tokenizer.file)).get("default")?.text,
): Record<string, MetadataValue> {
  const main = parseJson(contents(tokenizer, "tokenizer.json") ?? "", "tokenizer.json") as Json;
  const model = main.model as Json;
  if (model.type !== "BPE" || model.byte_fallback === true)
    throw unsupported(`is ${model.type === "BPE" ? "a BPE with byte tokens" : model.type}`);
  const pre = pretokenizerName(main.pre_tokenizer);
  if (pre === undefined) throw unsupported("cuts texts in a way of its own");
  const tokens = Array.from({ length: rows }, (_, id) => `[PAD${id}]`);
  const kinds = new Array<number>(rows).fill(UNUSED);
  const put = (content: string, id: number, kind: number) => {
    if (id >= rows) return;
    tokens[id] = content;
    kinds[id] = kind;
  };
  for (const [content, id] of Object.entries(model.vocab as Record<string, number>)) put(content, id, NORMAL);
  for (const { content, id, special } of (main.added_tokens ?? []) as {
    content: string;
    id: number;
    special: boolean;
  }[])
    put(content, id, special ? CONTROL : USER_DEFINED);
  const merges = (model.merges as (string | [string, string])[]).map((merge) =>
    Array.isArray(merge) ? merge.join(" ") : merge,
  );
  const { bosTokenId: bos, eosTokenId: eos, padTokenId: pad } = tokenizer;
  const id = (name: string, value: number | undefined) =>
    value === undefined || value >= rows ? {} : { [`tokenizer.ggml.${name}_token_id`]: value };
  return {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": pre,
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": { i32: kinds },
    "tokenizer.ggml.merges": merges,
    ...id("bos", bos),
    ...id("eos", eos),
    ...id("padding", pad),
    "tokenizer.ggml.add_bos_token": beginsWith(main.post_processor, bos === undefined ? undefined : tokens[bos]),
    "tokenizer.ggml.add_space_prefix": false,
    ...(template === undefined ? {} : { "tokenizer.chat_template": template }),
  };
}
