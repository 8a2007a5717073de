// Texts as a table of tokens, in a cache of its own.
import {
  fileTexts,
  givenTexts,
  type TextSource,
  type Tokenizer,
  type TokenTable,
  tokenTable,
} from "../../src/data/index.js";

export interface TableOptions {
  tokenizer: Tokenizer;
  /** The cache folder. */
  folder: string;
  maxLength: number;
  longText?: "truncate" | "chunk";
  addEos?: boolean;
}

/** @param texts themselves, or how to read them */
export function tableOf(texts: string[] | TextSource, options: TableOptions): Promise<TokenTable> {
  const source = Array.isArray(texts) ? givenTexts(texts) : texts;
  const usual = { longText: "truncate", addEos: false, limit: Number.POSITIVE_INFINITY, threads: 1 } as const;
  return tokenTable(source, { ...usual, ...options });
}

/** The texts of some files, in their column `text`. */
export function textsOf(...files: string[]): TextSource {
  return fileTexts(files, { column: "text" });
}
