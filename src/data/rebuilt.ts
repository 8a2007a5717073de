// What transformers 5 makes of a tokenizer.json whose tokenizer_class builds a normaliser and a pre-tokenizer of its own: vocabulary, merges, added
// tokens and post-processor are the file's, the other parts are the class's. (tokenization_utils_tokenizers.py, convert_to_native_format.)
import { dirname, join } from "node:path";
import { readJsonObject } from "../base/json.js";
import { LARGEST_LIST_BYTES } from "../base/system-errors.js";
import { byteLevel, tokenizerOf } from "../model/index.js";
import { hasTokenizerFile, readTokenizerJson } from "./made-files.js";
import type { Tokenizer } from "./tokenizer.js";
import { qwen2Parts, TOKENIZER_CONFIG } from "./vocabulary-files.js";

type Settings = Record<string, unknown>;

interface Parts {
  normalizer: object | null;
  pre_tokenizer: object;
  /** Of the BPE. */
  model?: object;
}

const addsSpace = ({ add_prefix_space }: Settings) => add_prefix_space === true;
/** SentencePiece's BPE as transformers has it. */
const PIECES = { fuse_unk: true, byte_fallback: true };

/** By transformers' name, without Fast. Other classes read the file, or are not known here. */
const CLASSES: Record<string, (settings: Settings) => Parts> = {
  GPT2Tokenizer: (settings) => ({ normalizer: null, pre_tokenizer: byteLevel(addsSpace(settings)) }),
  GPTNeoXTokenizer: (settings) => ({ normalizer: { type: "NFC" }, pre_tokenizer: byteLevel(addsSpace(settings)) }),
  Qwen2Tokenizer: (settings) => qwen2Parts(addsSpace(settings)),
  LlamaTokenizer: ({ add_prefix_space, legacy }) => {
    const scheme = add_prefix_space === false ? "never" : legacy === true ? "always" : "first";
    const pre_tokenizer = { type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split: false };
    return { normalizer: null, pre_tokenizer, model: { ...PIECES, unk_token: null } };
  },
  GemmaTokenizer: ({ unk_token }) => ({
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false },
    model: { ...PIECES, unk_token: typeof unk_token === "string" ? unk_token : "<unk>" },
  }),
};

const isByteLevel = (part: unknown) => JSON.stringify(part ?? null).includes('"ByteLevel"');

/** The class that builds the tokenizer anew; undefined where the file counts. */
function builder(file: string, settings: Settings): string | undefined {
  const config = join(dirname(file), "config.json");
  const { model_type: model } = hasTokenizerFile(config) ? readJsonObject(config) : {};
  const { className, always, asStored } = tokenizerOf(model);
  if (always) return className;
  if (asStored) return undefined;
  const { tokenizer_class: named } = settings;
  const name = typeof named === "string" ? named.replace(/Fast$/, "") : undefined;
  if (name === undefined || CLASSES[name] === undefined) return undefined;
  return name === "LlamaTokenizer" && isByteLevel(readTokenizerJson(file, LARGEST_LIST_BYTES).pre_tokenizer)
    ? undefined
    : name;
}

/** tokenizer.json as transformers 5 builds it, and the class that does; undefined where it takes the file. */
export function rebuilt(file: string): { name: string; json: Record<string, unknown> } | undefined {
  const settingsFile = join(dirname(file), TOKENIZER_CONFIG);
  if (!hasTokenizerFile(settingsFile)) return undefined;
  const settings = readTokenizerJson(settingsFile);
  const name = builder(file, settings);
  if (name === undefined) return undefined;
  const own = readTokenizerJson(file, LARGEST_LIST_BYTES);
  const { type, vocab, merges } = (own.model ?? {}) as Record<string, unknown>;
  if (type !== "BPE") return undefined;
  const plain = { dropout: null, unk_token: null, continuing_subword_prefix: "", end_of_word_suffix: "" };
  const { model, ...parts } = CLASSES[name]!(settings);
  const bpe = { type, ...plain, fuse_unk: false, byte_fallback: false, ignore_merges: false, ...model, vocab, merges };
  return { name, json: { ...own, ...parts, model: bpe } };
}

/** Texts that normalisers and pre-tokenizers treat differently. */
export const PROBES = [
  "12 345 67890",
  " a a",
  "a  b\n\n c\td",
  "Ünï CODE naïve e\u0301 ﬁ",
  "don't I'LL",
  "x=1; y_2",
  "中文字",
];

/**
 * Where transformers 5 builds another tokenizer than the file's, and a text has other tokens under it: one line that says so.
 * @param tokenizer of the file
 */
export async function rebuiltDifference(tokenizer: Tokenizer): Promise<string | undefined> {
  const { file } = tokenizer;
  const other = rebuilt(file);
  if (!other) return undefined;
  const special = tokenizer.specialTexts().slice(0, 2);
  const texts = [...PROBES, ...special.flatMap((token) => [`${token}a a`, `a ${token} a`])];
  const found = await tokenizer.firstDifference(JSON.stringify(other.json), texts);
  if (!found) return undefined;
  const shown = (ids: readonly number[]) => `[${ids.join(", ")}]`;
  return (
    `${file}: transformers 5 drops the file's normaliser and pre-tokenizer under tokenizer_class ${other.name}, and gives ${JSON.stringify(found.text)} the ids ` +
    `${shown(found.others)}, not ${shown(found.ids)}. tokenizer.json decides here. With "tokenizer_class": "PreTrainedTokenizerFast" in ${TOKENIZER_CONFIG} transformers reads the file, too.`
  );
}
