// The one owner of the `tokenizers` package.
import { closeSync } from "node:fs";
import { dirname } from "node:path";
import type { JsEncoding as Encoding, Tokenizer as Native, AddedToken as NativeToken } from "tokenizers";
import { LowrankError } from "../base/errors.js";
import { loadPackage } from "../base/packages.js";
import { LARGEST_LIST_BYTES, openRegular } from "../base/system-errors.js";
import type { Warn } from "../model/index.js";
import { type AddedToken, type AddedTokens, readAddedTokens } from "./added-tokens.js";
import { madeFile } from "./made-files.js";
import type { RenderedRow } from "./render/index.js";
import { readTokenizerSettings, type TokenizerSettings, unheededSettings } from "./special-tokens.js";
import { TokenStream } from "./token-stream.js";
import type { SpecialTokens, TextEnd } from "./tokenise/end-token.js";
import type { EncodeOptions, PlacedTokens, TypedOptions, TypedTokens } from "./tokenise/row-tokens.js";
import { findMainFile, findTokenizerFiles, tokenizerHash } from "./tokenizer-files.js";

type Package = typeof import("tokenizers");
export type TextOrPair = string | readonly [string, string];

export class Tokenizer {
  readonly #native: Native;
  readonly #settings: TokenizerSettings;
  readonly #added: AddedTokens;
  /** tokenizer.json; it may be in memory alone, see `madeFile` */
  readonly file: string;
  /** Truncation is a setting of the native tokenizer, so encodings follow each other. */
  #last: Promise<unknown> = Promise.resolve();
  /** Null until it is set: the file may name one. */
  #maxLength: number | undefined | null = null;
  #side: "left" | "right" | undefined;
  #specialIds: Set<number> | undefined;
  #sha256: string | undefined;

  /** Paths of the files that exist, to copy beside an adapter with `copyInto`. */
  readonly files: string[];

  private constructor(native: Native, added: AddedTokens, file: string) {
    const folder = dirname(file);
    this.#native = native;
    this.#added = added;
    this.file = file;
    this.#settings = readTokenizerSettings(folder);
    this.files = findTokenizerFiles(folder);
    // Padding is the batch's affair, whatever the file says.
    native.disablePadding();
  }

  /**
   * @param path tokenizer.json or its folder
   * @throws LowrankError E_FILE_MISSING, E_FILE, E_TOKENIZER
   */
  static async open(path: string, warn: Warn = () => {}): Promise<Tokenizer> {
    const file = findMainFile(path);
    const tokenizers = loadPackage("tokenizers") as Package;
    // The package would wait for a pipe, and take all memory for a device.
    const inMemory = madeFile(file);
    if (inMemory === undefined) closeSync(openRegular(file, "Tokenizer", LARGEST_LIST_BYTES));
    try {
      const { Tokenizer: Package } = tokenizers;
      const native = inMemory === undefined ? Package.fromFile(file) : Package.fromString(inMemory);
      const added = readAddedTokens(file);
      const tokenizer = new Tokenizer(withAdded(tokenizers, native, added), added, file);
      tokenizer.#warnOfIds(warn);
      for (const line of unheededSettings(file)) warn(line);
      return tokenizer;
    } catch (error) {
      if (error instanceof LowrankError) throw error;
      const reason = (error as Error).message.replace("Error loading from file", "");
      throw new LowrankError("E_TOKENIZER", `Tokenizer ${file} cannot be loaded: ${reason}.`, file, { cause: error });
    }
  }

  /** An id in a file beside tokenizer.json is where a token stands among the others, and no more. */
  #warnOfIds(warn: Warn): void {
    const moved = this.#added.claimed.flatMap(({ id, content, file }) => {
      const found = this.#id(content);
      return content === "" || found === id ? [] : [{ id, content, file, found }];
    });
    const [first, ...others] = moved;
    if (!first) return;
    const more = others.length > 0 ? ` (and ${others.length} more)` : "";
    warn(
      `${first.file}: token ${JSON.stringify(first.content)} has the id ${first.id}${more}, but by ${this.file} it is ${first.found}, which is used, as in transformers 5`,
    );
  }

  /** Hash of the files that decide how texts become tokens. */
  get sha256(): string {
    this.#sha256 ??= tokenizerHash(this.file);
    return this.#sha256;
  }

  get vocabSize(): number {
    return this.#native.getVocabSize(true);
  }

  /** Ids from `least` on, with their tokens, in order. */
  tokensFrom(least: number): [number, string][] {
    const found = Object.entries(this.#native.getVocab(true)).filter(([, id]) => id >= least);
    return found.map(([token, id]): [number, string] => [id, token]).sort(([a], [b]) => a - b);
  }

  get bosTokenId(): number | undefined {
    return this.#id(this.#settings.bos);
  }

  get eosTokenId(): number | undefined {
    return this.#id(this.#settings.eos);
  }

  /** Text of the end token; undefined where the tokenizer has none. */
  get eosToken(): string | undefined {
    return this.eosTokenId === undefined ? undefined : this.#settings.eos;
  }

  get padTokenId(): number | undefined {
    return this.#id(this.#settings.pad);
  }

  #id(token: string | undefined): number | undefined {
    return token === undefined ? undefined : (this.#native.tokenToId(token) ?? undefined);
  }

  /**
   * Token ids with the special tokens that tokenizer.json adds, cut to `maxLength` (undefined: not cut) as transformers
   * does with `truncation=True`: the special tokens stay, the text between them is cut. Runs in the package's own threads.
   */
  async encode(texts: string[], { maxLength, specialTokens = true }: EncodeOptions): Promise<Int32Array[]> {
    const encodings = await this.#encode(texts, maxLength, specialTokens);
    return encodings.map((encoding) => Int32Array.from(encoding.getIds()));
  }

  /** Tokens without special ones, each with its place in the text. */
  async encodePlaced(texts: string[]): Promise<PlacedTokens[]> {
    const encodings = await this.#encode(texts, undefined, false);
    return encodings.map((encoding, i) => {
      const places = Int32Array.from(encoding.getOffsets().flat());
      return { ids: Int32Array.from(encoding.getIds()), places: inUnits(places, texts[i]!) };
    });
  }

  /** Texts and pairs with their special tokens, the longer text of a pair cut first, as transformers does with `truncation=True`. */
  async encodeTyped(rows: readonly RenderedRow[], { maxLength, side }: TypedOptions): Promise<TypedTokens[]> {
    const inputs = rows.map(({ text, pair }): TextOrPair => (pair === undefined ? text : [text, pair]));
    const encodings = await this.#encode(inputs, maxLength, true, side);
    return encodings.map((encoding) => ({
      ids: Int32Array.from(encoding.getIds()),
      types: Uint8Array.from(encoding.getTypeIds()),
    }));
  }

  #encode(
    texts: TextOrPair[],
    maxLength: number | undefined,
    addSpecialTokens = true,
    side = this.#settings.truncationSide,
  ): Promise<Encoding[]> {
    const encoded = this.#last.then(() => {
      if (maxLength !== this.#maxLength || side !== this.#side) {
        if (maxLength === undefined) this.#native.disableTruncation();
        else this.#native.setTruncation(maxLength, { direction: side });
        this.#maxLength = maxLength;
        this.#side = side;
      }
      // The package's batches are of single texts.
      if (texts.every((text) => typeof text === "string")) return this.#native.encodeBatch(texts, { addSpecialTokens });
      const each = texts.map((text) => [text].flat() as [string, string?]);
      return Promise.all(each.map(([text, pair]) => this.#native.encode(text, pair ?? null, { addSpecialTokens })));
    });
    this.#last = encoded.catch(() => undefined);
    return encoded;
  }

  /** How texts get the end token; null where the tokenizer names none, or puts it after every text itself. */
  async textEnd(): Promise<TextEnd | null> {
    const id = this.eosTokenId;
    if (id === undefined) return null;
    const { special, following } = await this.#frame();
    return following.includes(id) ? null : { id, ...special };
  }

  /** The special tokens that the tokenizer puts around a text. */
  async specialTokens(): Promise<SpecialTokens> {
    return (await this.#frame()).special;
  }

  /** @returns also the special tokens after a text */
  async #frame(): Promise<{ special: SpecialTokens; following: number[] }> {
    const [encoding] = await this.#encode(["a"], undefined);
    const isSpecial = encoding!.getSpecialTokensMask();
    const end = isSpecial.lastIndexOf(0) + 1 || isSpecial.length;
    const before = isSpecial.includes(0) ? isSpecial.indexOf(0) : end;
    const special = { before, after: isSpecial.length - end, side: this.#settings.truncationSide };
    return { special, following: encoding!.getIds().slice(end) };
  }

  /** Text of tokens; ids outside the vocabulary have none. */
  decode(ids: ArrayLike<number>, { skipSpecialTokens }: { skipSpecialTokens: boolean }): string {
    const special = skipSpecialTokens ? this.#special() : undefined;
    const tokens: string[] = [];
    for (const id of Array.from(ids)) {
      const token = special?.has(id) ? null : this.#native.idToToken(id);
      if (token !== null) tokens.push(token);
    }
    return this.#native.getDecoder()?.decode(tokens) ?? tokens.join(" ");
  }

  /** Texts of all added tokens. */
  addedTexts(): string[] {
    return [...this.#added.contents];
  }

  /** Texts of the special tokens. */
  specialTexts(): string[] {
    return [...this.#added.special];
  }

  /** The first of some texts that has other tokens under another tokenizer.json, beside its special tokens. */
  async firstDifference(
    json: string,
    texts: readonly string[],
  ): Promise<{ text: string; ids: number[]; others: number[] } | undefined> {
    const tokenizers = loadPackage("tokenizers") as Package;
    const other = withAdded(tokenizers, tokenizers.Tokenizer.fromString(json), this.#added);
    for (const text of texts) {
      const [one, two] = await Promise.all(
        [this.#native, other].map((native) => native.encode(text, null, { addSpecialTokens: false })),
      );
      const [ids, others] = [one!.getIds(), two!.getIds()];
      if (String(ids) !== String(others)) return { text, ids, others };
    }
    return undefined;
  }

  /** Text of tokens as they come. */
  stream(options = { skipSpecialTokens: true }): TokenStream {
    return new TokenStream((ids) => this.decode(ids, options));
  }

  /** The package's own decoding runs asynchronously, and it does not tell which tokens are special. */
  #special(): Set<number> {
    this.#specialIds ??= new Set([...this.#added.special].flatMap((content) => this.#id(content) ?? []));
    return this.#specialIds;
  }
}

/** The tokenizer with the tokens that tokenizer.json does not name. */
function withAdded(tokenizers: Package, native: Native, { extra }: AddedTokens): Native {
  const asNative = ({ content, special, ...how }: AddedToken): NativeToken =>
    new tokenizers.AddedToken(content, special, how);
  if (extra.length > 0) native.addAddedTokens(extra.map(asNative));
  return native;
}

/** Places as the package counts them, in characters of Unicode, to places in UTF-16 units. */
function inUnits(places: Int32Array, text: string): Int32Array {
  if (!/[\ud800-\udbff]/.test(text)) return places;
  const units: number[] = [];
  let at = 0;
  for (const character of text) {
    units.push(at);
    at += character.length;
  }
  units.push(at);
  return places.map((place) => units[place]!);
}
