// What sets the tokens of two tokenizers apart. The files of one tokenizer differ by the version that saved them: in padding and truncation, in order, in
// how they spell the same merges. So vocabularies are compared, and what becomes of texts.
import { LowrankError } from "../base/errors.js";
import { LARGEST_LIST_BYTES } from "../base/system-errors.js";
import { readTokenizerJson } from "./made-files.js";
import { PROBES } from "./rebuilt.js";
import { Tokenizer } from "./tokenizer.js";
import { findMainFile, tokenizerHash } from "./tokenizer-files.js";

/** Texts that are tokenised at a time. */
const BATCH = 8192;

/** The folder's tokenizer; undefined where it has none that can be read, or its files are the same to the byte. */
async function otherTokenizer(folder: string, { sha256 }: Tokenizer): Promise<Tokenizer | undefined> {
  try {
    return tokenizerHash(findMainFile(folder)) === sha256 ? undefined : await Tokenizer.open(folder);
  } catch (error) {
    if (error instanceof LowrankError) return undefined;
    throw error;
  }
}

/** Ids by token, without the token that fills batches: texts do not have it, and it is often added for a training alone. */
function idsByToken(tokenizer: Tokenizer, fillers: ReadonlySet<number | undefined>): Map<string, number> {
  const tokens = tokenizer.tokensFrom(0).filter(([id]) => !fillers.has(id));
  return new Map(tokens.map(([id, token]) => [token, id]));
}

const fillerOf = ({ padTokenId, eosTokenId }: Tokenizer) => (padTokenId === eosTokenId ? undefined : padTokenId);

/** A token that the two have with different ids, in words. */
function vocabularyDifference(here: Tokenizer, there: Tokenizer): string | undefined {
  const fillers = new Set([here, there].map(fillerOf));
  const [own, others] = [here, there].map((tokenizer) => idsByToken(tokenizer, fillers)) as [
    Map<string, number>,
    Map<string, number>,
  ];
  const shown = (id: number | undefined) => (id === undefined ? "no token" : `token ${id}`);
  for (const token of new Set([...others.keys(), ...own.keys()])) {
    const [id, other] = [own.get(token), others.get(token)];
    if (id !== other) return `${JSON.stringify(token)} is ${shown(other)} there and ${shown(id)} here`;
  }
  return undefined;
}

/** The parts of tokenizer.json that make tokens of a text, with merges in one spelling. */
function rulesOf({ file }: Tokenizer): string {
  const { normalizer, pre_tokenizer, model } = readTokenizerJson(file, LARGEST_LIST_BYTES);
  const { merges, ...others } = (model ?? {}) as { merges?: (string | string[])[] };
  return JSON.stringify([normalizer, pre_tokenizer, others, merges?.map((merge) => [merge].flat().join(" "))]);
}

/** Every token's text, which its merges make, and texts that normalisers and pre-tokenizers treat differently. */
function* texts(tokenizer: Tokenizer): Generator<string> {
  yield* PROBES;
  for (const [id] of tokenizer.tokensFrom(0)) {
    const text = tokenizer.decode([id], { skipSpecialTokens: true });
    if (text !== "") yield text;
  }
}

/** A text that has other tokens under the other one, in words. */
async function textDifference(here: Tokenizer, there: Tokenizer): Promise<string | undefined> {
  const all = [...texts(here)];
  const plain = { maxLength: undefined, specialTokens: false };
  for (let i = 0; i < all.length; i += BATCH) {
    const some = all.slice(i, i + BATCH);
    const [own, others] = await Promise.all([here.encode(some, plain), there.encode(some, plain)]);
    const at = some.findIndex((_, j) => String(own[j]) !== String(others[j]));
    const shown = (ids: Int32Array) => `[${ids.join(", ")}]`;
    if (at >= 0) return `${JSON.stringify(some[at])} is ${shown(others[at]!)} there and ${shown(own[at]!)} here`;
  }
  return undefined;
}

/**
 * An example of the difference between the ids of a tokenizer ("here") and those of the one in a folder ("there"); undefined where there is none, or no
 * tokenizer in the folder. The special tokens around a text are not compared: they are an affair of the training, not of the vocabulary.
 */
export async function tokenizerDifference(tokenizer: Tokenizer, folder: string): Promise<string | undefined> {
  const other = await otherTokenizer(folder, tokenizer);
  if (other === undefined) return undefined;
  const found = vocabularyDifference(tokenizer, other);
  // Rules that are written otherwise may still be the same, which takes a second or more to see.
  return found ?? (rulesOf(tokenizer) === rulesOf(other) ? undefined : textDifference(tokenizer, other));
}
