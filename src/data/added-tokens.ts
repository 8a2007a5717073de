// Added tokens stand for their text as it is, whatever the vocabulary's model does with it. They come from tokenizer.json and
// from the files beside it, by the rules of transformers 5.
import { dirname, join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { isObject, kindOf } from "../base/json.js";
import { readTokenizerText } from "./made-files.js";
import {
  NAMED_TOKENS,
  namedToken,
  readIfThere,
  readSettingsFiles,
  type SettingsFiles,
  tokenText,
} from "./special-tokens.js";
import { TOKENIZER_CONFIG } from "./vocabulary-files.js";

export interface AddedToken {
  content: string;
  special: boolean;
  singleWord: boolean;
  leftStrip: boolean;
  rightStrip: boolean;
  normalized: boolean;
}

export interface AddedTokens {
  /** Texts of all. */
  contents: string[];
  /** Texts of the added tokens that a decoded text leaves out. */
  special: ReadonlySet<string>;
  /** Tokens that tokenizer.json does not have, in the order of their ids. */
  extra: AddedToken[];
  /** Ids as the files beside tokenizer.json have them. */
  claimed: { id: number; content: string; file: string }[];
}

type Claimed = { id: number; token: AddedToken };

const LEGACY = "added_tokens.json";

/** Defaults are the tokenizers package's. */
function tokenOf(value: Record<string, unknown>, special = value.special === true): AddedToken {
  return {
    content: value.content as string,
    special,
    singleWord: value.single_word === true,
    leftStrip: value.lstrip === true,
    rightStrip: value.rstrip === true,
    normalized: typeof value.normalized === "boolean" ? value.normalized : !special,
  };
}

const isToken = (value: unknown): value is Record<string, unknown> =>
  isObject(value) && typeof value.content === "string";

/**
 * All added tokens of a tokenizer.
 * @param file tokenizer.json
 * @throws LowrankError E_FILE, E_JSON, E_TOKENIZER naming file and key
 */
export function readAddedTokens(file: string): AddedTokens {
  const folder = dirname(file);
  const files = readSettingsFiles(folder);
  const own = ownTokens(file).map((value) => tokenOf(value));
  const claimedIn = "added_tokens_decoder" in files.config ? TOKENIZER_CONFIG : LEGACY;
  const claimed = claimedIn === TOKENIZER_CONFIG ? decoderTokens(files, folder) : legacyTokens(files, folder);
  const candidates = [
    ...claimed.map(({ token }) => token),
    ...specialTokens(files, new Map(claimed.map(({ token }) => [token.content, token]))),
  ];
  const named = new Set(NAMED_TOKENS.map((key) => tokenText(namedToken(files, key))));
  const known = new Set(own.map(({ content }) => content));
  const extra: AddedToken[] = [];
  const special = new Set(own.filter((token) => token.special).map(({ content }) => content));
  for (const token of candidates) {
    if (token.content === "") continue;
    const isSpecial = token.special || named.has(token.content);
    if (isSpecial) special.add(token.content);
    if (!known.has(token.content)) extra.push({ ...token, special: isSpecial });
    known.add(token.content);
  }
  const ids = claimed.map(({ id, token }) => ({ id, content: token.content, file: join(folder, claimedIn) }));
  return { contents: [...known], special, extra, claimed: ids };
}

/**
 * The tokens of tokenizer.json, without parsing the vocabulary, which is large. Damage is left to the package to
 * report.
 */
function ownTokens(file: string): Record<string, unknown>[] {
  const text = readTokenizerText(file);
  const key = /"added_tokens"\s*:\s*(?=\[)/.exec(text);
  if (!key) return [];
  const begin = key.index + key[0].length;
  const parts = /"(?:[^"\\]|\\.)*"|[[\]]/g;
  parts.lastIndex = begin;
  let depth = 0;
  for (let part = parts.exec(text); part; part = parts.exec(text)) {
    if (part[0] === "[") depth++;
    else if (part[0] === "]" && --depth === 0) return parsed(text.slice(begin, parts.lastIndex));
  }
  return [];
}

function parsed(list: string): Record<string, unknown>[] {
  try {
    return (JSON.parse(list) as unknown[]).filter(isToken);
  } catch {
    return [];
  }
}

/** added_tokens_decoder: tokens by their ids. */
function decoderTokens({ config }: SettingsFiles, folder: string): Claimed[] {
  const { added_tokens_decoder: decoder } = config;
  const fail = (what: string) => {
    const message = `${join(folder, TOKENIZER_CONFIG)}: added_tokens_decoder ${what}.`;
    return new LowrankError("E_TOKENIZER", message, "added_tokens_decoder");
  };
  if (decoder === null) return [];
  if (!isObject(decoder)) throw fail(`is ${kindOf(decoder)}, expected an object of tokens by their ids`);
  const tokens = Object.entries(decoder).map(([id, value]) => {
    if (!/^\d+$/.test(id)) throw fail(`has the id ${JSON.stringify(id)}, expected a number`);
    if (!isToken(value)) throw fail(`has ${kindOf(value)} for ${id}, expected an object with a text as content`);
    return { id: Number(id), token: tokenOf(value) };
  });
  return tokens.sort((a, b) => a.id - b.id);
}

/** added_tokens.json of older folders: ids by the tokens' texts. */
function legacyTokens(files: SettingsFiles, folder: string): Claimed[] {
  const special = new Set(specialTokens(files, new Map()).map(({ content }) => content));
  const tokens = Object.entries(readIfThere(join(folder, LEGACY))).map(([content, id]) => {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0) {
      const message = `${join(folder, LEGACY)}: the id of ${JSON.stringify(content)} is ${kindOf(id)}, expected a number of at least 0.`;
      throw new LowrankError("E_TOKENIZER", message, content);
    }
    return { id, token: tokenOf({ content }, special.has(content)) };
  });
  return tokens.sort((a, b) => a.id - b.id);
}

/** Tokens with a role (eos_token and the like, in transformers' order), then tokens without one. */
function specialTokens(files: SettingsFiles, claimed: ReadonlyMap<string, AddedToken>): AddedToken[] {
  const { config } = files;
  const asToken = (value: unknown): AddedToken[] => {
    if (isToken(value)) return [tokenOf(value, true)];
    if (typeof value !== "string") return [];
    return [claimed.get(value) ?? tokenOf({ content: value }, true)];
  };
  const others = files.additional;
  const own = Object.keys(config).filter((key) => key.endsWith("_token") && typeof config[key] === "string");
  const roles = [
    ...NAMED_TOKENS.map((key) => namedToken(files, key)),
    ...own.filter((key) => !NAMED_TOKENS.includes(key)).map((key) => config[key]),
    ...(isObject(others) ? Object.values(others) : []),
  ];
  return [...roles, ...(Array.isArray(others) ? others : [])].flatMap(asToken);
}
