// How a row of data becomes the text that is trained on.
import type { Column } from "../formats/format.js";

/**
 * A part of an example. Texts that follow each other are tokenised as one text. Tokens that are given stand as they are, and
 * the texts between them are tokenised apart.
 */
export type Segment = ({ text: string } | { ids: readonly number[] }) & {
  /** Whether its tokens are learned; else they are context. */
  learned: boolean;
};

export interface Renderer {
  columns: Column[];
  /** Facts that decide the tokens besides the values of the columns: they are part of the cache file's key. */
  key: Record<string, unknown>;
  /** Why a row may have nothing to learn: "blank or a single token". */
  unlearned: string;
  /**
   * @param values of the columns, in their order; the values of columns of texts are texts
   * @returns segments in order. A row with tokens of its own gets none of the tokenizer's special tokens added
   * @throws RowProblem
   */
  render(values: readonly unknown[]): Segment[];
}

/** A row that cannot be rendered. The message names the column, and the reader puts file and line or row before it. */
export class RowProblem extends Error {
  /** Number of the row among all, from 0; set by the reader. */
  row = -1;
}
