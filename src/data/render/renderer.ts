// How a row of data becomes the text that is trained on.
import type { Span } from "../../chat/span.js";
import type { Column } from "../formats/format.js";

export type { Span };

/** A row as a text, with its learned tokens: all, except as `learned` and `prompt` limit them. */
export interface RenderedRow {
  text: string;
  /** Parts in order, none within another: a token that reaches into none of them is context. */
  learned?: readonly Span[];
  /** Tokens at the beginning that this text, tokenised alone, shares with the row are context. */
  prompt?: string;
  /** The second text of a pair. */
  pair?: string;
  /** Whether the text holds its special tokens: then the tokenizer adds none, and no end token is put after it. */
  isWhole?: boolean;
}

export interface Renderer {
  columns: Column[];
  /** Facts that decide the tokens besides the values of the columns: they are part of the cache file's key. */
  key: Record<string, unknown>;
  /** Set where rows are classified: each is one example, and its mask is one more than its tokens' types. */
  classified?: { side: "left" | "right" | undefined };
  /** Why a row may have nothing to learn: "blank or a single token". */
  unlearned: string;
  /**
   * @param values of the columns, in their order; the values of columns of texts are texts
   * @throws RowProblem
   */
  render(values: readonly unknown[]): RenderedRow;
}

/** A row that cannot be rendered. The message names the column, and the reader puts file and line or row before it. */
export class RowProblem extends Error {
  /** Number of the row among all, from 0; set by the reader. */
  row = -1;
}
