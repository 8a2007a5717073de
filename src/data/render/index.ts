// The one table of renderers.
import { type CompletionSpec, completionRenderer } from "./completion.js";
import type { Renderer } from "./renderer.js";
import { type TextSpec, textRenderer } from "./text.js";

export { type Renderer, RowProblem, type Segment } from "./renderer.js";

/** A renderer as data, which can be sent to a thread. */
export type RenderSpec = TextSpec | CompletionSpec;

export function rendererOf(spec: RenderSpec): Renderer {
  return spec.kind === "text" ? textRenderer(spec) : completionRenderer(spec);
}
