// Rows to a table of tokens: from the cache where it has them, else tokenised into it.
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { exactJson } from "../../base/exact-json.js";
import { RowProblem, rendererOf } from "../render/index.js";
import type { Block, Columns, LongText } from "../tokenise/block.js";
import type { TextEnd } from "../tokenise/end-token.js";
import { TokeniserPool } from "../tokenise/pool.js";
import type { Tokenizer } from "../tokenizer.js";
import { FORMAT_VERSION } from "./arrow.js";
import type { Provenance } from "./contents.js";
import { CacheWriter } from "./file.js";
import { oneAfterTheOther } from "./one-maker.js";
import { rememberSources, stampOf, type TextSource } from "./sources.js";
import { adoptCache, cacheFile, evict, openCache, recallSources } from "./store.js";
import type { TokenTable } from "./table.js";

export interface CacheOptions {
  tokenizer: Tokenizer;
  /** Tokens that an example may have. */
  maxLength: number;
  longText: LongText;
  /** Whether each text ends with the tokenizer's end token. */
  addEos: boolean;
  /** The cache folder; made where it is missing. */
  folder: string;
  /** Bytes that the cache may hold; the files used longest ago are removed. */
  limit: number;
  threads: number;
  /** Called after each block that was tokenised. */
  onProgress?: ((done: Tokenised) => void) | undefined;
  signal?: AbortSignal | undefined;
  warn?: ((message: string) => void) | undefined;
}

/** How far tokenising is. */
export interface Tokenised {
  texts: number;
  tokens: number;
  /** Size of the texts, in UTF-8. */
  bytes: number;
}

/** Characters of texts in a block. */
const BLOCK = 1 << 18;
/** Bytes that a block has where no text is larger than that: the widest characters take four in UTF-8. */
const BLOCK_BYTES = 4 * BLOCK;

/** Rows that are tokenised together. */
interface RowBlock {
  columns: Columns;
  /** The values of each row in turn, to be hashed. */
  texts: string[];
  /** Characters of the texts together. */
  characters: number;
}

/** The same rows in blocks of about the same size. */
async function* blocks(rows: AsyncIterable<unknown[][]>, isText: boolean[]): AsyncGenerator<RowBlock> {
  const begin = () => ({ columns: isText.map((): string[] => []), texts: [] as string[], characters: 0 });
  let block = begin();
  for await (const some of rows) {
    for (const values of some) {
      for (const [c, column] of block.columns.entries()) {
        const text = isText[c] ? (values[c] as string) : exactJson(values[c]);
        column.push(text);
        block.texts.push(text);
        block.characters += text.length;
      }
      if (block.characters < BLOCK) continue;
      yield block;
      block = begin();
    }
  }
  if (block.texts.length > 0) yield block;
}

/**
 * The tokens of some texts. The cache file's name is the hash of the texts, the tokenizer and the options, whichever
 * files the texts came from. Files that have not changed since are not read again.
 * @throws LowrankError of reading and tokenising, E_WRITE naming the cache file
 */
export async function tokenTable(source: TextSource, options: CacheOptions): Promise<TokenTable> {
  const { tokenizer, folder, maxLength, longText, limit, warn } = options;
  const end = options.addEos ? await tokenizer.textEnd() : null;
  const decisive = [
    FORMAT_VERSION,
    tokenizer.sha256,
    JSON.stringify({
      max_seq_length: maxLength,
      long_text: longText,
      add_eos: end !== null,
      ...rendererOf(source.render).key,
    }),
  ];
  const state = source.state();
  const stamp = state === null ? null : stampOf(state, decisive);
  const onDamage = (file: string) =>
    warn?.(`cache file ${file}, or the note beside it, is damaged: the texts are tokenised anew`);
  const recall = () => {
    const remembered = stamp === null ? null : recallSources(folder, stamp);
    return remembered === null ? null : openCache(folder, remembered, onDamage);
  };
  const found = recall();
  if (found) return found;
  return oneAfterTheOther(folder, stamp, options.signal, async () => {
    // Another rank may have made it meanwhile.
    const made = recall();
    if (made) return made;
    const { table, key } = await tokeniseInto(source, options, end, decisive);
    if (stamp !== null && source.state() === state) await rememberSources(folder, stamp, key);
    evict(folder, limit, cacheFile(folder, key));
    return table;
  });
}

/** @param decisive parts of the cache file's key besides the rows */
async function tokeniseInto(
  source: TextSource,
  options: CacheOptions,
  end: TextEnd | null,
  decisive: string[],
): Promise<{ table: TokenTable; key: string }> {
  const { tokenizer, folder, threads, maxLength, longText, onProgress, signal } = options;
  const provenance: Provenance = {
    format_version: FORMAT_VERSION,
    tokenizer_sha256: tokenizer.sha256,
    options: decisive[2]!,
    sources: JSON.stringify(source.files.map((file) => resolve(file))),
  };
  const special = await tokenizer.specialTokens();
  const writer = await CacheWriter.create(folder, provenance);
  const how = { maxLength, longText, end, special };
  const pool = new TokeniserPool(tokenizer, source.render, how, threads, source.bytes?.() ?? 0);
  const isText = rendererOf(source.render).columns.map(({ holds }) => holds === "texts");
  const hash = createHash("sha256");
  const done: Tokenised = { texts: 0, tokens: 0, bytes: 0 };
  const inWork: { block: Promise<Block>; texts: number; bytes: number }[] = [];
  // Tokenising takes many times the memory of a text. So a few large texts are as much work as many blocks.
  const isFull = () =>
    inWork.length >= pool.capacity ||
    (inWork.length > 1 && inWork.reduce((sum, { bytes }) => sum + bytes, 0) > pool.capacity * BLOCK_BYTES);
  const take = async () => {
    const { block, texts, bytes } = inWork.shift()!;
    const tokens = await block;
    await writer.write(tokens);
    done.texts += texts;
    done.tokens += tokens.inputIds.length;
    done.bytes += bytes;
    onProgress?.({ ...done });
  };
  try {
    let row = 0;
    for await (const { columns, texts, characters } of blocks(source.rows(), isText)) {
      signal?.throwIfAborted();
      const bytes = addTo(hash, texts);
      const block = pool.tokenise(columns, characters, row);
      // Awaited in its turn; until then its failure is nobody's.
      block.catch(() => {});
      const count = columns[0]!.length;
      inWork.push({ block, texts: count, bytes });
      row += count;
      while (isFull()) await take();
    }
    while (inWork.length > 0) await take();
    if (row === 0) throw new LowrankError("E_DATA_EMPTY", "There are no texts.");
    const sha256 = hash.digest("hex");
    const key = createHash("sha256")
      .update(JSON.stringify([sha256, ...decisive]))
      .digest("hex");
    const content = await writer.finish(sha256);
    const table = adoptCache(folder, key, writer.temporary, { provenance, content });
    await writer.place(cacheFile(folder, key));
    return { table, key };
  } catch (error) {
    await writer.discard();
    throw error instanceof RowProblem ? await problemOf(error, source) : error;
  } finally {
    await pool.close();
  }
}

/** The error of a row that cannot be rendered. */
async function problemOf({ row, message }: RowProblem, source: TextSource): Promise<LowrankError> {
  const [place] = await source.places([row]);
  return new LowrankError("E_DATA_ROW", `${place}: ${message}`, place);
}

/** @returns bytes of the texts */
function addTo(hash: ReturnType<typeof createHash>, texts: string[]): number {
  // Lengths first: no two lists of texts are the same bytes.
  const lengths = Uint32Array.from(texts, (text) => Buffer.byteLength(text));
  hash.update(lengths);
  // No text ends or begins with half a character.
  hash.update(texts.join(""));
  return lengths.reduce((sum, length) => sum + length, 0);
}
