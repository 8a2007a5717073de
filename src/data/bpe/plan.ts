// The rules of a tokenizer.json, as far as they can be followed here, in a form that threads can be sent.
import { isObject } from "../../base/json.js";
import { type MergeTable, mergeTable } from "./merges.js";
import { type Placing, placing } from "./places.js";
import { classTable } from "./scanner.js";
import { type Cut, cuts } from "./splitters.js";
import { byteTokens, readModelLists, sharedVocabulary, tokenLengths, type Vocabulary } from "./vocabulary.js";

export interface BpePlan {
  cuts: Cut[];
  /** Class of each UTF-16 unit, see `classTable`. */
  classes: Uint8Array;
  merges: MergeTable;
  /** Whole words that are tokens whatever the merges say; null where the merges decide. */
  wholeWords: Vocabulary | null;
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

/** Whether a model is a plain byte-level BPE. */
const isPlain = (model: Record<string, unknown>): boolean =>
  model.type === "BPE" && !model.dropout && !model.continuing_subword_prefix && !model.end_of_word_suffix;

/**
 * @param bytes of tokenizer.json, which change
 * @param added texts of all added tokens
 * @returns null where only the package understands it
 */
export function planBpe(bytes: Buffer, added: string[]): BpePlan | null {
  const read = readModelLists(bytes);
  if (read === null) return null;
  const { rest, lists } = read;
  const { normalizer, model } = rest;
  const isNormalised = isObject(normalizer) && normalizer.type === "NFC";
  if ((normalizer && !isNormalised) || !isObject(model) || !isPlain(model)) return null;
  const found = cuts(rest.pre_tokenizer);
  const special = specialTokens(rest.post_processor);
  if (!found || !special) return null;
  if (added.includes("")) return null;
  // Some are looked for in the text's normal form by their own.
  const forms = isNormalised ? [...new Set(added.flatMap((text) => [text, text.normalize("NFC")]))] : added;
  return {
    cuts: found,
    classes: classTable(),
    merges: mergeTable(byteTokens(lists.vocabulary), lists.merges),
    wholeWords: model.ignore_merges === true ? sharedVocabulary(lists.vocabulary) : null,
    ...special,
    added: forms,
    isNormalised,
    placing: placing(rest, added, tokenLengths(lists)),
  };
}
