// Texts that are classified, or pairs of texts: whole, with the tokenizer's own special tokens.
import { type Renderer, RowProblem } from "./renderer.js";

export interface ClassifiedSpec {
  kind: "classified";
  column: string;
  /** Column of the second text of pairs. */
  pairColumn?: string | undefined;
  /** The end of a text that is too long; undefined is the tokenizer's own choice. */
  truncationSide?: "left" | "right" | undefined;
}

export function classifiedRenderer({ column, pairColumn, truncationSide }: ClassifiedSpec): Renderer {
  const names = pairColumn === undefined ? [column] : [column, pairColumn];
  return {
    columns: names.map((name) => ({ name, holds: "texts" })),
    key: { task: "seq-cls", truncation_side: truncationSide ?? null },
    unlearned: "empty",
    classified: { side: truncationSide },
    render: (values) => {
      const [text, pair] = values as string[];
      const empty = names.find((_, i) => !/\S/.test(values[i] as string));
      if (empty !== undefined)
        throw new RowProblem(`column "${empty}" is an empty text, which has no class. Leave the row out.`);
      return pair === undefined ? { text: text! } : { text: text!, pair };
    },
  };
}
