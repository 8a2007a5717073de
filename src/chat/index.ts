export { TemplateError } from "./jinja/index.js";
export { renderPrompt, renderTurns, SpanError, type Turns } from "./learned.js";
export { ChatTemplate, type Conversation } from "./template.js";
