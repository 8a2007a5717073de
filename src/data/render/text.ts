// Plain texts: one column, whose tokens are all learned.
import type { Renderer } from "./renderer.js";

export interface TextSpec {
  kind: "text";
  column: string;
}

export function textRenderer({ column }: TextSpec): Renderer {
  return {
    columns: [{ name: column, holds: "texts" }],
    key: {},
    unlearned: "blank or a single token",
    render: ([text]) => ({ text: text as string }),
  };
}
