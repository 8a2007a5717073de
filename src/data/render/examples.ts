// The forms that rows of conversations and of prompts have, each with its columns; all of them become an `Example`.
import { readExactJson } from "../../base/exact-json.js";
import { isObject, kindOf } from "../../base/json.js";
import type { Column } from "../formats/format.js";
import { RowProblem } from "./renderer.js";

/** A prompt and its completion, as texts; or messages. The first `prompt` messages are the prompt, where there is one. */
export type Example =
  | { prompt: string; completion: string }
  | { messages: unknown[]; prompt?: number; tools?: unknown[]; variables?: Record<string, unknown> };

/** How a row becomes an example. */
interface Form {
  columns(column: string | undefined): Column[];
  /** @param values of the columns, in their order. @throws RowProblem */
  example(values: readonly unknown[], hasTemplate: boolean): Example;
}

export type FormName = "messages" | "sharegpt" | "alpaca" | "prompt_completion";

const values = (name: string): Column => ({ name, holds: "values" });
const optional = (name: string): Column => ({ name, holds: "values", isOptional: true });

function wrong(column: string, value: unknown, expected: string): RowProblem {
  return new RowProblem(`column "${column}" is ${kindOf(value)}, expected ${expected}.`);
}

/** Lists and objects may be given as JSON in a text, as CSV holds them, and as TRL reads tools. */
function fromJson(column: string, value: unknown, expected: string): unknown {
  if (typeof value !== "string") return value;
  try {
    JSON.parse(value);
  } catch {
    throw new RowProblem(`column "${column}" is a text that is not valid JSON, expected ${expected}.`);
  }
  return readExactJson(value);
}

function textOf(column: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw wrong(column, value, "a text");
}

const asMap = (value: unknown): ReadonlyMap<string, unknown> | undefined => {
  if (value instanceof Map) return value;
  return isObject(value) ? new Map(Object.entries(value)) : undefined;
};

/** @throws RowProblem where it is no list of messages with roles */
function messagesOf(column: string, value: unknown): unknown[] {
  const list = fromJson(column, value, "a list of messages");
  if (!Array.isArray(list)) throw wrong(column, list, "a list of messages");
  if (list.length === 0) throw new RowProblem(`column "${column}" is an empty list, expected at least one message.`);
  return list.map((one, i) => {
    const message = asMap(one);
    const place = `message ${i + 1} of column "${column}"`;
    if (message === undefined)
      throw new RowProblem(`${place} is ${kindOf(one)}, expected an object with role and content.`);
    // As TRL turns rows with from and value into messages.
    const own = message.has("from") || message.has("value") ? new Map(message) : message;
    for (const [name, meant] of [
      ["from", "role"],
      ["value", "content"],
    ] as const) {
      if (!own.has(name) || own.has(meant)) continue;
      (own as Map<string, unknown>).set(meant, own.get(name));
      (own as Map<string, unknown>).delete(name);
    }
    if (typeof own.get("role") === "string") return own;
    throw new RowProblem(`${place} has no role, expected role and content (or from and value).`);
  });
}

/** Who speaks in ShareGPT's rows, and the role that a template knows. */
const ROLES: Record<string, string> = {
  human: "user",
  gpt: "assistant",
  chatgpt: "assistant",
  bing: "assistant",
  bard: "assistant",
  observation: "tool",
};

const OWN_ROLES = new Set(["user", "assistant", "system", "developer", "tool"]);

function withRoles(column: string, messages: unknown[]): unknown[] {
  return messages.map((one, i) => {
    const message = one as Map<string, unknown>;
    const role = message.get("role") as string;
    if (OWN_ROLES.has(role)) return message;
    const known = Object.hasOwn(ROLES, role) ? ROLES[role] : undefined;
    if (known !== undefined) return new Map(message).set("role", known);
    const names = [...Object.keys(ROLES), ...OWN_ROLES].join(", ");
    throw new RowProblem(`message ${i + 1} of column "${column}" is from ${JSON.stringify(role)}, expected ${names}.`);
  });
}

function toolsOf(value: unknown): { tools?: unknown[] } {
  const tools = fromJson("tools", value, "a list of tools");
  if (tools === null || tools === undefined || tools === "") return {};
  if (!Array.isArray(tools)) throw wrong("tools", tools, "a list of tools");
  return { tools };
}

function variablesOf(value: unknown): { variables?: Record<string, unknown> } {
  if (value === null || value === undefined) return {};
  const found = asMap(fromJson("chat_template_kwargs", value, "an object"));
  if (found === undefined) throw wrong("chat_template_kwargs", value, "an object");
  return { variables: Object.fromEntries(found) };
}

const OF_TEMPLATE = [optional("tools"), optional("chat_template_kwargs")];
const ofTemplate = (tools: unknown, variables: unknown) => ({ ...toolsOf(tools), ...variablesOf(variables) });

const message = (role: string, content: unknown) =>
  new Map([
    ["role", role],
    ["content", content],
  ] as const);

/** A system message of a column of its own goes first, unless the conversation has one. */
function withSystem(system: unknown, messages: unknown[]): unknown[] {
  if (system === null || system === undefined || system === "") return messages;
  if ((messages[0] as ReadonlyMap<string, unknown>).get("role") === "system") return messages;
  return [message("system", textOf("system", system)), ...messages];
}

/** Stanford Alpaca's prompts. */
const ALPACA = "Below is an instruction that describes a task";
const ALPACA_ASKS = "Write a response that appropriately completes the request.";

function alpacaPrompt(instruction: string, input: string): string {
  if (input === "") return `${ALPACA}. ${ALPACA_ASKS}\n\n### Instruction:\n${instruction}\n\n### Response:\n`;
  return (
    `${ALPACA}, paired with an input that provides further context. ${ALPACA_ASKS}\n\n` +
    `### Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:\n`
  );
}

export const FORMS: Record<FormName, Form> = {
  messages: {
    columns: (column = "messages") => [values(column), ...OF_TEMPLATE],
    example: ([messages, tools, variables]) => ({
      messages: messagesOf("messages", messages),
      ...ofTemplate(tools, variables),
    }),
  },

  sharegpt: {
    columns: (column = "conversations") => [values(column), optional("system"), ...OF_TEMPLATE],
    example: ([conversation, system, tools, variables]) => ({
      messages: withSystem(system, withRoles("conversations", messagesOf("conversations", conversation))),
      ...ofTemplate(tools, variables),
    }),
  },

  alpaca: {
    columns: () => [values("instruction"), optional("input"), values("output"), optional("system")],
    example([first, second, last, system], hasTemplate) {
      const [instruction, output] = [textOf("instruction", first), textOf("output", last)];
      const input = second === null ? "" : textOf("input", second);
      if (!hasTemplate) return { prompt: alpacaPrompt(instruction, input), completion: output };
      const prompt = withSystem(system, [message("user", input === "" ? instruction : `${instruction}\n${input}`)]);
      return { messages: [...prompt, message("assistant", output)], prompt: prompt.length };
    },
  },

  prompt_completion: {
    columns: () => [values("prompt"), values("completion"), ...OF_TEMPLATE],
    example([prompt, completion, tools, variables]) {
      if (typeof prompt === "string" && typeof completion === "string") return { prompt, completion };
      if (!Array.isArray(prompt)) throw wrong("prompt", prompt, "a text or a list of messages");
      if (!Array.isArray(completion)) throw wrong("completion", completion, "a list of messages, as prompt is one");
      const first = messagesOf("prompt", prompt);
      const messages = [...first, ...messagesOf("completion", completion)];
      return { messages, prompt: first.length, ...ofTemplate(tools, variables) };
    },
  },
};
