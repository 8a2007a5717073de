// Messages as transformers' apply_chat_template prepares them.
import { isObject } from "../base/json.js";

export type Message = Map<string, unknown>;

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
    const all: [string, unknown][] = message instanceof Map ? [...message] : Object.entries(message);
    const kept = new Map(all.filter(([, value]) => value !== null && value !== undefined));
    const reasoning = REASONING.map((name) => kept.get(name)).find((value) => value !== undefined);
    if (reasoning === undefined) return kept;
    const prepared: Message = new Map([["thinking", reasoning]]);
    for (const [name, value] of kept) prepared.set(name, value);
    return prepared.set("reasoning_content", reasoning);
  });
}
