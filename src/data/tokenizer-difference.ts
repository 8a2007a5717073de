// What sets the tokens of two tokenizers apart. The files of one tokenizer differ by the version that saved them: in padding and truncation, in order, in
// how they spell the same merges. So vocabularies are compared, and what becomes of texts.
import { LowrankError } from "../base/errors.js";
import { LARGEST_LIST_BYTES } from "../base/system-errors.js";
import { readTokenizerJson } from "./made-files.js";
import { PROBES } from "./rebuilt.js";
import { Tokenizer } from "./tokenizer.js";
import { findMainFile, tokenizerHash } from "./tokenizer-files.js";

/** The most texts of a vocabulary that are tokenised. */
const SAMPLE = 4096;

/** The folder's tokenizer; undefined where it has none that can be read, or its files are the same to the byte. */
async function otherTokenizer(folder: string, { sha256 }: Tokenizer): Promise<Tokenizer | undefined> {
  try {
    return tokenizerHash(findMainFile(folder)) === sha256 ? undefined : await Tokenizer.open(folder);
  } catch (error) {
    if (error instanceof LowrankError) return undefined;
    throw error;
  }
}

/** The token that fills batches: texts do not have it, and it is often added for a training alone. */
const fillerOf = ({ padTokenId, eosTokenId }: Tokenizer) => (padTokenId === eosTokenId ? undefined : padTokenId);

const plain = { maxLength: undefined, specialTokens: false };

/** A token that the two have with different ids, in words. */
async function vocabularyDifference(here: Tokenizer, there: Tokenizer): Promise<string | undefined> {
  const fillers = new Set([here, there].map(fillerOf));
  const idsOf = (tokenizer: Tokenizer) => {
    const tokens = tokenizer.tokensFrom(0).filter(([id]) => !fillers.has(id));
    return new Map(tokens.map(([id, token]) => [token, id]));
  };
  const [own, others] = [idsOf(here), idsOf(there)];
  const shown = (id: number | undefined) => (id === undefined ? "no token" : `token ${id}`);
  const told = (token: string) =>
    `${JSON.stringify(token)} is ${shown(others.get(token))} there and ${shown(own.get(token))} here`;
  for (const [token, id] of others) if (own.has(token) && own.get(token) !== id) return told(token);
  // Rows of the embedding that are no token of any text have names, too, in a GGUF file for one.
  const token =
    (await inTexts(
      there,
      [...others].filter(([name]) => !own.has(name)),
    )) ??
    (await inTexts(
      here,
      [...own].filter(([name]) => !others.has(name)),
    ));
  return token === undefined ? undefined : told(token);
}

/** The first of some tokens that a text has: its own. */
async function inTexts(tokenizer: Tokenizer, all: readonly [string, number][]): Promise<string | undefined> {
  const tokens = all.slice(0, SAMPLE);
  const texts = tokens.map(([, id]) => tokenizer.decode([id], { skipSpecialTokens: false }));
  const ids = await tokenizer.encode(texts, plain);
  return tokens.find(([, id], i) => ids[i]!.includes(id))?.[0];
}

/** The parts of tokenizer.json that make tokens of a text, with merges in one spelling. */
function rulesOf({ file }: Tokenizer): string {
  const { normalizer, pre_tokenizer, model } = readTokenizerJson(file, LARGEST_LIST_BYTES);
  const { merges, ...others } = (model ?? {}) as { merges?: (string | string[])[] };
  return JSON.stringify([normalizer, pre_tokenizer, others, merges?.map((merge) => [merge].flat().join(" "))]);
}

/** Each added token at both ends of a text and within one, where spaces may belong to it. Versions write such settings in many ways. */
function addedTexts(here: Tokenizer, there: Tokenizer): string[] {
  const fillers = [here, there].flatMap((one) =>
    one.decode([fillerOf(one) ?? []].flat(), { skipSpecialTokens: false }),
  );
  const contents = new Set([here, there].flatMap((one) => one.addedTexts()));
  for (const filler of fillers) contents.delete(filler);
  return [...contents].flatMap((token) => [`a ${token} b`, `${token} b`, `a${token}b`]);
}

/** Texts that normalisers and pre-tokenizers treat differently, and an even sample of the tokens' own, which the merges make. */
function otherTexts(tokenizer: Tokenizer): string[] {
  const tokens = tokenizer.tokensFrom(0);
  const every = Math.ceil(tokens.length / SAMPLE);
  const sample = tokens.filter((_, i) => i % every === 0);
  return [...PROBES, ...sample.map(([id]) => tokenizer.decode([id], { skipSpecialTokens: true }))];
}

/** A text that has other tokens under the other one, in words. */
async function textDifference(here: Tokenizer, there: Tokenizer, texts: string[]): Promise<string | undefined> {
  const [own, others] = await Promise.all([here.encode(texts, plain), there.encode(texts, plain)]);
  const at = texts.findIndex((_, i) => String(own[i]) !== String(others[i]));
  const shown = (ids: Int32Array) => `[${ids.join(", ")}]`;
  return at < 0 ? undefined : `${JSON.stringify(texts[at])} is ${shown(others[at]!)} there and ${shown(own[at]!)} here`;
}

/**
 * An example of the difference between the ids of a tokenizer ("here") and those of the one in a folder ("there"); undefined where there is none, or no
 * tokenizer in the folder. The special tokens around a text are not compared: they are an affair of the training, not of the vocabulary.
 */
export async function tokenizerDifference(tokenizer: Tokenizer, folder: string): Promise<string | undefined> {
  const other = await otherTokenizer(folder, tokenizer);
  if (other === undefined) return undefined;
  const found =
    (await vocabularyDifference(tokenizer, other)) ??
    (await textDifference(tokenizer, other, addedTexts(tokenizer, other)));
  // Rules that are written otherwise may still be the same, which takes a while to see.
  if (found !== undefined || rulesOf(tokenizer) === rulesOf(other)) return found;
  return textDifference(tokenizer, other, otherTexts(tokenizer));
}
