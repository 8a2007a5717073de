// The one table of renderers.
import { type ChatSpec, chatRenderer } from "./chat.js";
import { type ClassifiedSpec, classifiedRenderer } from "./classified.js";
import type { Renderer } from "./renderer.js";
import { type TextSpec, textRenderer } from "./text.js";

export { type ChatSpec, type ChatTemplates, type LossOn, NO_TEMPLATE, templatesHash } from "./chat.js";
export type { ClassifiedSpec } from "./classified.js";
export type { FormName } from "./examples.js";
export { type RenderedRow, type Renderer, RowProblem, type Span } from "./renderer.js";

/** A renderer as data, which can be sent to a thread. */
export type RenderSpec = TextSpec | ChatSpec | ClassifiedSpec;

export function rendererOf(spec: RenderSpec): Renderer {
  if (spec.kind === "classified") return classifiedRenderer(spec);
  return spec.kind === "text" ? textRenderer(spec) : chatRenderer(spec);
}
