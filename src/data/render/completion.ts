// Prompt and completion: two columns of texts, side by side. The completion is learned.
import type { Renderer } from "./renderer.js";

export interface CompletionSpec {
  kind: "completion";
  /** Names of the columns. */
  prompt: string;
  completion: string;
}

export function completionRenderer({ prompt, completion }: CompletionSpec): Renderer {
  return {
    columns: [
      { name: prompt, holds: "texts" },
      { name: completion, holds: "texts" },
    ],
    key: { render: "completion" },
    unlearned: "blank, without a completion, or with a prompt of max_seq_length tokens",
    render: (values) => [
      { text: values[0] as string, learned: false },
      { text: values[1] as string, learned: true },
    ],
  };
}
