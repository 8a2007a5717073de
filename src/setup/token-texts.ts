// The texts that a command works on, as tokens from the cache.
import {
  dataFiles,
  defaultCacheFolder,
  fileTexts,
  placeOf,
  type ReadOptions,
  splitValidation,
  type TextSource,
  TokenDataset,
  type Tokenised,
  Tokenizer,
  type TokenTable,
  tokenTable,
} from "../data/index.js";
import { trimHeaps } from "../engine.js";
import type { Warn } from "../model/index.js";
import { threadCount } from "./inputs.js";

/** Held back where no validation file is named. */
const VALIDATION_SHARE = 0.1;
const GIB = 2 ** 30;

export interface TextOptions {
  text_column: string;
  json_field?: string | undefined;
  text_by?: ReadOptions["textBy"];
  csv_separator?: ReadOptions["csvSeparator"];
  csv_quoting?: ReadOptions["csvQuoting"];
  max_seq_length: number;
  long_text: "truncate" | "chunk";
  cache_dir: string | undefined;
  cache_limit_gb: number;
  threads: number | undefined;
}

/** Shows how far the reading of some texts is. */
export interface ReadingDisplay {
  update(done: Tokenised): void;
  /** @param table null where reading failed */
  end(table: TokenTable | null): void;
}

export interface Reading {
  /** @param files that are read; none where the texts are in memory */
  show?: ((files: string[]) => ReadingDisplay) | undefined;
  signal?: AbortSignal | undefined;
}

/** The texts of some files. */
export interface Texts {
  table: TokenTable;
  /** Names a text by its number in an error. */
  where(row: number): Promise<string>;
}

export function openTokenizer(
  o: { base_model: string; tokenizer_name: string | undefined },
  warn: Warn,
): Promise<Tokenizer> {
  return Tokenizer.open(o.tokenizer_name ?? o.base_model, warn);
}

function readOptions(o: TextOptions): ReadOptions {
  return {
    column: o.text_column,
    jsonField: o.json_field,
    textBy: o.text_by,
    csvSeparator: o.csv_separator,
    csvQuoting: o.csv_quoting,
  };
}

/** @param from files, folders and patterns, or the texts themselves */
export async function readTokens(
  from: string[] | TextSource,
  tokenizer: Tokenizer,
  o: TextOptions,
  { show, signal }: Reading,
): Promise<Texts> {
  const source = Array.isArray(from) ? fileTexts(dataFiles(from).files, readOptions(o)) : from;
  const { files } = source;
  const display = show?.(files);
  let table: TokenTable | null = null;
  try {
    table = await tokenTable(source, {
      tokenizer,
      maxLength: o.max_seq_length,
      longText: o.long_text,
      folder: o.cache_dir ?? defaultCacheFolder(),
      limit: o.cache_limit_gb * GIB,
      threads: threadCount(o.threads),
      onProgress: display && ((done) => display.update(done)),
      signal,
    });
    // Tokenising needs the most outside of an engine, and needs it no more.
    trimHeaps();
    return { table, where: (row) => placeOf(files, readOptions(o), row) };
  } finally {
    display?.end(table);
  }
}

/** Numbers of all examples. */
export function everyExample(table: TokenTable): Int32Array {
  return Int32Array.from({ length: table.length }, (_, i) => i);
}

/** Numbers of the examples that some texts have become, in order. */
function examplesOf(table: TokenTable, texts: Int32Array): Int32Array {
  const chosen = new Uint8Array(table.texts);
  for (const text of texts) chosen[text] = 1;
  return everyExample(table).filter((example) => chosen[table.row(example)] === 1);
}

export interface TrainTextOptions extends TextOptions {
  /** Files, folders and patterns, or the texts themselves. */
  train_file: string[] | TextSource;
  validation_file: string[] | TextSource | undefined;
  packing: boolean;
  pad_to_max_length: boolean;
  seed: number;
}

/** What a training run reads besides the model. */
export interface TrainingTexts {
  tokenizer: Tokenizer;
  training: TokenDataset;
  validation: TokenDataset;
  /** sha256 of the texts that were read, null for those that a part of the training texts was taken for. */
  hashes: { training: string; validation: string | null };
  where: Texts["where"];
}

export async function readTrainingTexts(
  o: TrainTextOptions,
  tokenizer: Tokenizer,
  reading: Reading,
): Promise<TrainingTexts> {
  const read = (from: string[] | TextSource) => readTokens(from, tokenizer, o, reading);
  const { table, where } = await read(o.train_file);
  const held = o.validation_file === undefined ? null : (await read(o.validation_file)).table;
  const split = held ? null : splitValidation(table.texts, VALIDATION_SHARE, o.seed);
  const padId = tokenizer.padTokenId ?? tokenizer.eosTokenId ?? 0;
  const padding = o.pad_to_max_length ? { padTo: o.max_seq_length, padId } : {};
  const packing = o.packing ? { packTo: o.max_seq_length } : {};
  const examples = split ? examplesOf(table, split.train) : everyExample(table);
  const validation = held
    ? new TokenDataset(held, everyExample(held), padding)
    : new TokenDataset(table, examplesOf(table, split!.validation), padding);
  const content = (of: TokenTable) => of.provenance.content_sha256;
  return {
    tokenizer,
    training: new TokenDataset(table, examples, { ...padding, ...packing }),
    validation,
    hashes: { training: content(table), validation: held && content(held) },
    where,
  };
}
