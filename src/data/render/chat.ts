// Conversations by the model's chat template, and prompts with completions: which of their tokens are learned.
import { createHash } from "node:crypto";
import { ChatTemplate, renderPrompt, renderTurns, SpanError, TemplateError } from "../../chat/index.js";
import { type Example, FORMS, type FormName } from "./examples.js";
import { type RenderedRow, type Renderer, RowProblem } from "./renderer.js";

/** The parts of a row that are learned. */
export type LossOn = "all" | "completions" | "assistant" | "last";

/** A model's templates: `tool_use`, where there is one, is for rows with tools. */
export interface ChatTemplates {
  default: string;
  tool_use?: string;
  /** Special tokens by name (`bos_token`, `eos_token`, ...), which templates write. */
  specialTokens: Record<string, string>;
  /** The day that `strftime_now` tells, as YYYY-MM-DD; only where a template asks for the time. */
  date?: string;
}

export interface ChatSpec {
  kind: "chat";
  form: FormName;
  /** Name of the column of the conversation, where it is not the form's own. */
  column?: string | undefined;
  loss: LossOn;
  /** Null where there is none: rows of texts do without. */
  templates: ChatTemplates | null;
}

/** Advice where there is no template. */
export const NO_TEMPLATE =
  "The tokenizer has no chat template, which conversations need. Name a file with one by --chat_template, or the chat model's " +
  "tokenizer by --tokenizer_name. Where another column holds whole texts, name that by --text_column.";

export function chatRenderer({ form, column, loss, templates }: ChatSpec): Renderer {
  const own = FORMS[form];
  const render = templates && conversations(templates, loss);
  return {
    columns: own.columns(column),
    key: { render: "chat", form, loss, template: templates && templatesHash(templates), date: templates?.date },
    unlearned:
      loss === "assistant" || loss === "last"
        ? "blank, without a turn of the assistant, or with none among their first max_seq_length tokens"
        : "blank, without a completion, or with a prompt of max_seq_length tokens",
    render(values) {
      const example = own.example(values, templates !== null);
      if ("completion" in example) return texts(example, loss);
      if (render === null) throw new RowProblem(NO_TEMPLATE);
      return render(example);
    },
  };
}

/** Hash of the texts that decide the rendering, besides the date. */
export function templatesHash({ default: usual, tool_use, specialTokens }: ChatTemplates): string {
  return createHash("sha256")
    .update(JSON.stringify([usual, tool_use ?? null, specialTokens]))
    .digest("hex");
}

function texts({ prompt, completion }: { prompt: string; completion: string }, loss: LossOn): RenderedRow {
  const text = prompt + completion;
  return loss === "all" ? { text } : { text, prompt };
}

type Conversation = Exclude<Example, { completion: string }>;

function conversations(templates: ChatTemplates, loss: LossOn): (example: Conversation) => RenderedRow {
  const { specialTokens, date } = templates;
  const options = { specialTokens, ...(date !== undefined && { now: new Date(`${date}T00:00:00`) }) };
  const usual = new ChatTemplate(templates.default, options);
  const forTools = templates.tool_use === undefined ? usual : new ChatTemplate(templates.tool_use, options);
  return ({ prompt, ...conversation }) => {
    const template = conversation.tools === undefined ? usual : forTools;
    try {
      const isByTurns = loss === "assistant" || loss === "last";
      const { text, spans } = renderTurns(template, conversation, isByTurns ? loss : "all");
      const row: RenderedRow = isByTurns ? { text, learned: spans, isWhole: true } : { text, isWhole: true };
      if (prompt === undefined || loss === "all") return row;
      return { ...row, prompt: renderPrompt(template, conversation, prompt) };
    } catch (error) {
      if (error instanceof SpanError) throw new RowProblem(error.message);
      if (error instanceof TemplateError) throw new RowProblem(`the chat template refuses it: ${error.message}.`);
      throw error;
    }
  };
}
