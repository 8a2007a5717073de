// Messages as transformers' apply_chat_template prepares them.
import { isObject } from "../base/json.js";
import { toValue, type Value } from "./jinja/index.js";

/** A message as templates read it. */
export type Message = Map<string, Value>;

/** Names of a message's reasoning; templates read the first. */
const REASONING = ["reasoning_content", "thinking", "reasoning"];

/**
 * Keys whose value is null are left out; the first reasoning that is there goes by `reasoning_content`, and by `thinking` where
 * there is none.
 * @param messages plain objects or Maps, which stay as they are
 * @throws Error where a message is no object
 */
export function prepareMessages(messages: readonly unknown[]): Message[] {
  return messages.map((message, i) => {
    if (!(message instanceof Map) && !isObject(message)) throw new Error(`message ${i + 1} is not an object`);
    const kept: Message = new Map();
    for (const [name, value] of message instanceof Map ? message : Object.entries(message))
      if (value !== null && value !== undefined) kept.set(name, toValue(value));
    const reasoning = REASONING.map((name) => kept.get(name)).find((value) => value !== undefined);
    if (reasoning === undefined) return kept;
    return new Map([["thinking", reasoning], ...kept]).set("reasoning_content", reasoning);
  });
}

/** A message without its reasoning; undefined where it has none. */
export function withoutReasoning(message: Message): Message | undefined {
  const kept = new Map([...message].filter(([name]) => !REASONING.includes(name)));
  return kept.size < message.size ? kept : undefined;
}
