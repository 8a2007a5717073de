import { isDeepStrictEqual } from "node:util";

// How a text is cut before it is merged, by tokenizer.ggml.pre, as parts of a tokenizer.json.
export interface Pretokenizer {
  pre_tokenizer: object;
  normalizer?: object;
  ignore_merges?: boolean;
  /** Whether a text begins with the first token where tokenizer.ggml.add_bos_token does not say. */
  addsBos?: boolean;
}

const byteLevel = (use_regex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
});
const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });

const WORDS = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|`;
const REST = String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const GPT2: Pretokenizer = { pre_tokenizer: byteLevel(true) };
const DIGITS: Pretokenizer = { pre_tokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)) };

/** Patterns of the models' own tokenizer.json; "default" is llama.cpp's, punctuation first and digits by threes. Of equal ones the first is written. */
export const PRETOKENIZERS = new Map<string, Pretokenizer>([
  ["gpt-2", GPT2],
  ["smollm", DIGITS],
  [
    "llama-bpe",
    {
      pre_tokenizer: sequence(split(String.raw`${WORDS}\p{N}{1,3}${REST}`), byteLevel(false)),
      ignore_merges: true,
      addsBos: true,
    },
  ],
  [
    "qwen2",
    {
      pre_tokenizer: sequence(split(String.raw`${WORDS}\p{N}${REST}`), byteLevel(false)),
      normalizer: { type: "NFC" },
    },
  ],
  [
    "default",
    {
      pre_tokenizer: sequence(
        split(String.raw`[\p{P}\$\+<=>\^~\|]+`),
        split(String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)`),
        split(String.raw`\p{N}+`),
        split("[0-9][0-9][0-9]"),
        byteLevel(false),
      ),
    },
  ],
  // llama.cpp cuts these as the models above.
  ["olmo", GPT2],
  ["mpt", GPT2],
  ["phi-2", GPT2],
  ["starcoder", DIGITS],
  ["command-r", { ...DIGITS, normalizer: { type: "NFC" } }],
]);

/** The parts of a pre-tokenizer that decide where texts are cut. */
function cutsOf(pretokenizer: unknown): unknown[] {
  if (typeof pretokenizer !== "object" || pretokenizer === null) return [null];
  const { type, pretokenizers, pattern, behavior, invert, individual_digits, use_regex, add_prefix_space } =
    pretokenizer as Record<string, unknown>;
  if (type === "Sequence") return (pretokenizers as unknown[]).flatMap(cutsOf);
  return [{ type, pattern, behavior, invert, individual_digits, use_regex, add_prefix_space }];
}

/** tokenizer.ggml.pre of a tokenizer.json's pre_tokenizer; undefined where llama.cpp has no name for it. */
export function pretokenizerName(pretokenizer: unknown): string | undefined {
  const wanted = cutsOf(pretokenizer);
  for (const [name, { pre_tokenizer }] of PRETOKENIZERS)
    if (isDeepStrictEqual(cutsOf(pre_tokenizer), wanted)) return name;
  return undefined;
}
