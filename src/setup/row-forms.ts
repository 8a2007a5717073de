// The form of the rows of data files, and how rows become texts.
import { dirname } from "node:path";
import { LowrankError } from "../base/errors.js";
import {
  type Column,
  type FormName,
  findChatTemplates,
  firstRow,
  isPipe,
  type LossOn,
  NO_TEMPLATE,
  type ReadOptions,
  type RenderSpec,
  type Tokenizer,
} from "../data/index.js";

export interface RowFormOptions {
  /** Default auto. */
  data_format?: FormName | "text" | "auto" | undefined;
  text_column?: string | undefined;
  chat_template?: string | undefined;
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

/** The form of rows by the first of them; text where no form is known. */
async function detect(files: string[], options: ReadOptions): Promise<FormName | "text"> {
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
  const value = (name: string) => row?.[names.indexOf(name)] ?? null;
  const found = KNOWN_BY.find(([form, known]) =>
    known.every((name) => (form === "messages" || form === "sharegpt" ? isList(value(name)) : value(name) !== null)),
  );
  return found?.[0] ?? "text";
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
 * How the rows of some files become texts; a note tells the form.
 * @param files where one can be read only once, its rows are texts if no option tells their form: nobody may look at it
 * first
 * @throws LowrankError E_USAGE, E_CHAT_TEMPLATE and the errors of reading
 */
export async function renderingOf(
  files: string[],
  o: RowFormOptions,
  read: ReadOptions,
  tokenizer: Pick<Tokenizer, "file">,
  note: (line: string) => void,
): Promise<RenderSpec> {
  const isText = o.text_column !== undefined || files.some(isPipe);
  const given = o.data_format === "auto" ? undefined : o.data_format;
  const form = given ?? (isText ? "text" : await detect(files, read));
  if (form === "text") {
    if (o.loss_on !== undefined && o.loss_on !== "all") throw wrongLoss(o.loss_on, "text");
    return { kind: "text", column: o.text_column ?? "text" };
  }
  const loss = o.loss_on ?? DEFAULT_LOSS[form];
  if (DEFAULT_LOSS[form] === "assistant" && loss === "completions") throw wrongLoss(loss, form);
  const found = findChatTemplates(o.chat_template, dirname(tokenizer.file));
  if (found === null && DEFAULT_LOSS[form] === "assistant") {
    const [file] = files;
    throw new LowrankError("E_CHAT_TEMPLATE", `The rows of ${file} are conversations. ${NO_TEMPLATE}`, file);
  }
  const by = found ? `, rendered by the chat template of ${found.where}` : "";
  const how = given === undefined ? ", as their columns say (data_format)" : "";
  note(`the rows of ${files[0]} are ${ROWS[form]}${how}${by}; ${LEARNED[loss]} (loss_on)`);
  return { kind: "chat", form, column: o.text_column, loss, templates: found?.templates ?? null };
}
