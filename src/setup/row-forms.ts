// The form of the rows of data files, and how rows become texts.
import { dirname } from "node:path";
import { LowrankError } from "../base/errors.js";
import {
  type Column,
  type DataFile,
  type FormName,
  findChatTemplates,
  firstRow,
  type LossOn,
  NO_TEMPLATE,
  pathOf,
  type ReadOptions,
  type RenderSpec,
  type Tokenizer,
} from "../data/index.js";

export interface RowFormOptions {
  /** Default auto. */
  data_format?: FormName | "text" | "auto" | undefined;
  text_column?: string | undefined;
  chat_template?: string | undefined;
  template_date?: string | undefined;
  loss_on?: LossOn | undefined;
}

/** Columns by which a form is known, in the order in which forms are tried: TRL's, with ours after it. */
const KNOWN_BY: [FormName | "text", string[]][] = [
  ["messages", ["messages"]],
  ["sharegpt", ["conversations"]],
  ["prompt_completion", ["prompt", "completion"]],
  ["text", ["text"]],
  ["alpaca", ["instruction", "output"]],
];

/** Whether a value may be a conversation: a list, or one as JSON in a text. */
const isList = (value: unknown) => Array.isArray(value) || (typeof value === "string" && /^\s*\[\s*\{/.test(value));

/** The form of rows by the values of one of them; text where no form is known. @param value of a column; null where there is none */
export function formOf(value: (column: string) => unknown): FormName | "text" {
  const found = KNOWN_BY.find(([form, known]) =>
    known.every((name) => (form === "messages" || form === "sharegpt" ? isList(value(name)) : value(name) !== null)),
  );
  return found?.[0] ?? "text";
}

/** The form of rows of files by the first of them. */
async function detect(files: DataFile[], options: ReadOptions): Promise<FormName | "text"> {
  const names = KNOWN_BY.flatMap(([, columns]) => columns);
  const first = (some: string[]) => {
    return firstRow(
      files,
      some.map((name): Column => ({ name, holds: "values", isOptional: true })),
      options,
    );
  };
  let row: readonly unknown[] | undefined;
  try {
    row = await first(names);
  } catch (error) {
    // Beside texts a column of such a name may hold unreadable values. It is not wanted there.
    const isRow = error instanceof LowrankError && error.code === "E_DATA_ROW";
    if (isRow && typeof (await first(["text"]))?.[0] === "string") return "text";
    throw error;
  }
  return formOf((name) => row?.[names.indexOf(name)] ?? null);
}

const DEFAULT_LOSS: Record<FormName, LossOn> = {
  messages: "assistant",
  sharegpt: "assistant",
  alpaca: "completions",
  prompt_completion: "completions",
};

const ROWS: Record<FormName, string> = {
  messages: "conversations",
  sharegpt: "conversations (ShareGPT)",
  alpaca: "instructions with outputs (Alpaca)",
  prompt_completion: "prompts with completions",
};

const LEARNED: Record<LossOn, string> = {
  all: "every token is learned",
  completions: "completions are learned",
  assistant: "the assistant's turns are learned",
  last: "the assistant's last turn is learned",
};

function wrongLoss(loss: LossOn, form: string): LowrankError {
  const expected =
    form === "text" ? "all, as rows of texts have no prompts" : "assistant, last or all, as the rows are conversations";
  return new LowrankError("E_USAGE", `--loss_on is ${loss}, expected ${expected}.`, "loss_on");
}

/**
 * @param others names of options that may serve rows of other commands
 * @throws LowrankError E_USAGE naming options of templates where all rows are texts
 */
export function checkTemplateUsed(o: RowFormOptions, renders: RenderSpec[], others?: ReadonlySet<string>): void {
  if (renders.some(({ kind }) => kind !== "text")) return;
  const names = ["chat_template", "template_date"] as const;
  const unused = names.filter((name) => o[name] !== undefined && !others?.has(name));
  if (unused.length === 0) return;
  const message = `${unused.join(" and ")}: these rows are texts, expected conversations or prompts (data_format).`;
  throw new LowrankError("E_USAGE", message, unused[0]);
}

/** The form that an option tells; undefined where rows are looked at. */
export function givenForm(o: RowFormOptions): FormName | "text" | undefined {
  if (o.data_format !== undefined && o.data_format !== "auto") return o.data_format;
  return o.text_column === undefined ? undefined : "text";
}

/**
 * How the rows of some files become texts; a note tells the form.
 * @throws LowrankError E_USAGE, E_CHAT_TEMPLATE and the errors of reading
 */
export async function renderingOf(
  files: DataFile[],
  o: RowFormOptions,
  read: ReadOptions,
  tokenizer: Pick<Tokenizer, "file">,
  note: (line: string) => void,
): Promise<RenderSpec> {
  return renderingAs(givenForm(o) ?? (await detect(files, read)), pathOf(files[0]!), o, tokenizer, note);
}

/** The same of rows whose form is known. @param from the rows' name for people */
export function renderingAs(
  form: FormName | "text",
  from: string,
  o: RowFormOptions,
  tokenizer: Pick<Tokenizer, "file">,
  note: (line: string) => void,
): RenderSpec {
  if (form === "text") {
    if (o.loss_on !== undefined && o.loss_on !== "all") throw wrongLoss(o.loss_on, "text");
    return { kind: "text", column: o.text_column ?? "text" };
  }
  const loss = o.loss_on ?? DEFAULT_LOSS[form];
  if (DEFAULT_LOSS[form] === "assistant" && loss === "completions") throw wrongLoss(loss, form);
  const found = findChatTemplates(o.chat_template, dirname(tokenizer.file), o.template_date);
  if (found === null && DEFAULT_LOSS[form] === "assistant") {
    throw new LowrankError("E_CHAT_TEMPLATE", `The rows of ${from} are conversations. ${NO_TEMPLATE}`, from);
  }
  const on = found?.templates.date === undefined ? "" : ` for ${found.templates.date} (template_date)`;
  const by = found ? `, rendered by the chat template of ${found.where}${on}` : "";
  const how = givenForm(o) === undefined ? ", as their columns say (data_format)" : "";
  note(`the rows of ${from} are ${ROWS[form]}${how}${by}; ${LEARNED[loss]} (loss_on)`);
  return { kind: "chat", form, column: o.text_column, loss, templates: found?.templates ?? null };
}
