// The rules of a tokenizer.json, as far as they can be followed here, in a form that threads can be sent.
import { isObject } from "../../base/json.js";
import { type MergeTable, mergeTable } from "./merges.js";
import { type Placing, placing } from "./places.js";
import { type Cut, cuts } from "./splitters.js";

export interface BpePlan {
  cuts: Cut[];
  merges: MergeTable;
  /** Whole words that are tokens whatever the merges say; null where the merges decide. */
  wholeWords: Map<string, number> | null;
  /** Special tokens around every text. */
  before: number[];
  after: number[];
  /** Texts that hold one of these are not for us: the added tokens. */
  added: string[];
  /** Whether texts have to be in Unicode's normal form C. */
  isNormalised: boolean;
  /** Null where the package alone knows the places of tokens, and tokens of texts with added ones. */
  placing: Placing | null;
}

/** GPT-2's letters for bytes: printable ones for themselves, the others from U+0100 on. */
export const LETTERS = letters();

function letters(): string[] {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : 256 + others++));
}

type Special = Pick<BpePlan, "before" | "after">;

/** Special tokens around a text; null where the post-processor does more. */
function specialTokens(processor: unknown): Special | null {
  if (processor === null || processor === undefined) return { before: [], after: [] };
  if (!isObject(processor)) return null;
  if (processor.type === "ByteLevel") return { before: [], after: [] };
  if (processor.type === "Sequence" && Array.isArray(processor.processors)) {
    const parts = processor.processors.map(specialTokens);
    const adding = parts.filter((part) => part === null || part.before.length + part.after.length > 0);
    if (adding.length > 1) return null;
    return adding.length === 0 ? { before: [], after: [] } : adding[0]!;
  }
  if (processor.type !== "TemplateProcessing" || !Array.isArray(processor.single)) return null;
  const special: Special = { before: [], after: [] };
  let seen = 0;
  for (const piece of processor.single) {
    if (isObject(piece) && isObject(piece.Sequence) && piece.Sequence.id === "A") {
      seen++;
      continue;
    }
    const name = isObject(piece) && isObject(piece.SpecialToken) ? piece.SpecialToken.id : undefined;
    const token = isObject(processor.special_tokens) ? processor.special_tokens[String(name)] : undefined;
    const ids = isObject(token) ? token.ids : undefined;
    if (!Array.isArray(ids) || !ids.every(Number.isInteger)) return null;
    special[seen === 0 ? "before" : "after"].push(...ids);
  }
  return seen === 1 ? special : null;
}

/** Null where the model is not a plain byte-level BPE. */
function readModel(model: unknown): (Pick<BpePlan, "merges" | "wholeWords"> & { vocab: Map<string, number> }) | null {
  if (!isObject(model) || model.type !== "BPE" || model.dropout) return null;
  if (model.continuing_subword_prefix || model.end_of_word_suffix) return null;
  const { vocab: table, merges } = model;
  if (!isObject(table) || !Array.isArray(merges)) return null;
  const vocab = new Map(Object.entries(table) as [string, number][]);
  const pairs: [number, number, number][] = [];
  for (const item of merges) {
    const [left, right, more] = Array.isArray(item) ? item : String(item).split(" ");
    const [a, b, id] = [vocab.get(left), vocab.get(right), vocab.get(left + right)];
    if (a === undefined || b === undefined || id === undefined || more !== undefined) return null;
    pairs.push([a, b, id]);
  }
  const bytes = Int32Array.from(LETTERS, (letter) => vocab.get(letter) ?? -1);
  return { merges: mergeTable(bytes, pairs), wholeWords: model.ignore_merges === true ? vocab : null, vocab };
}

/**
 * @param json content of tokenizer.json
 * @param added texts of all added tokens
 * @returns null where only the package understands it
 */
export function planBpe(json: Record<string, unknown>, added: string[]): BpePlan | null {
  const { normalizer } = json;
  const isNormalised = isObject(normalizer) && normalizer.type === "NFC";
  if (normalizer && !isNormalised) return null;
  const found = cuts(json.pre_tokenizer);
  const special = specialTokens(json.post_processor);
  if (!found || !special) return null;
  if (added.includes("")) return null;
  const model = readModel(json.model);
  // Some are looked for in the text's normal form by their own.
  const forms = isNormalised ? [...new Set(added.flatMap((text) => [text, text.normalize("NFC")]))] : added;
  if (model === null) return null;
  const { vocab, ...merging } = model;
  const own = { placing: placing(json, added, vocab) };
  return { cuts: found, ...merging, ...special, added: forms, isNormalised, ...own };
}
