// Turns of conversations whose earlier turns a template writes in another way: without their reasoning, or without the text of a tool
// call. They are found by rendering the beginning of the conversation without it, and kept only where that is how the whole begins.
import { TemplateError, type Value } from "./jinja/index.js";
import { type Message, withoutReasoning } from "./messages.js";
import type { Span } from "./span.js";

/** Messages as a text. @throws TemplateError */
export type Render = (messages: readonly Message[], addGenerationPrompt: boolean) => string;

/** Characters that two texts have in common, at least `least`; without a part that may be common by chance. */
export function common(a: string, b: string, least: number): number {
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  if (same === a.length || same === b.length) return same;
  while (same > least && !/[\n>]/.test(a[same - 1]!)) same--;
  return same;
}

const isOf = (role: string) => (message: Message) => message.get("role") === role;
const isAssistant = isOf("assistant");

const calls = (message: Message) => {
  const found: Value | undefined = message.get("tool_calls");
  return Array.isArray(found) && found.length > 0;
};

function withoutContent(message: Message): Message {
  const kept = new Map(message);
  kept.delete("content");
  return kept;
}

/** The messages up to a turn, as templates may write them once more messages follow: the likely ways first. */
function* ways(messages: readonly Message[], turn: number): Generator<Message[]> {
  const lastAsked = messages.findLastIndex(isOf("user"));
  const bare = messages.map((message) => (isAssistant(message) && withoutReasoning(message)) || message);
  const thin = bare.map((message) => (isAssistant(message) && calls(message) ? withoutContent(message) : message));
  const answered = messages.map((message, i) => (i < lastAsked ? bare[i]! : message));
  const tried: Message[][] = [];
  for (const before of [messages, answered, bare, thin]) {
    for (const own of [messages, bare, thin]) {
      const way = [...before.slice(0, turn), own[turn]!];
      if (tried.some((other) => other.every((message, i) => message === way[i]))) continue;
      tried.push(way);
      yield way;
    }
  }
}

/**
 * Where a turn stands that is written in one of the ways; undefined where the whole does not begin so.
 * @param followers messages after the turn, the next ones or all
 */
function found(render: Render, way: Message[], followers: (readonly Message[])[], text: string): Span | undefined {
  const earlier = way.slice(0, -1);
  const before = render(earlier, false);
  const prompt = render(earlier, true);
  if (!text.startsWith(before) || !prompt.startsWith(before)) return undefined;
  const spanTo = (end: number): Span | undefined => {
    const start = common(prompt, text.slice(0, end), before.length);
    return start > before.length && start < end ? { start, end } : undefined;
  };
  const after = render(way, false);
  if (text.startsWith(after)) return spanTo(after.length);
  // The last turn of a conversation may be written in a way of its own. Then the messages that follow tell where it ends: without the turn
  // the text lacks the turn's part alone.
  for (const next of followers) {
    const both = render([...way, ...next], false);
    const alone = render([...earlier, ...next], false);
    if (!text.startsWith(both) || !alone.startsWith(before) || alone === before) continue;
    const rest = alone.slice(before.length);
    if (both.endsWith(rest)) return spanTo(both.length - rest.length);
  }
  return undefined;
}

/**
 * Where a turn stands that is all of the text that the conversation without it lacks. A turn and its follower may begin alike. So the
 * generation prompt tells where the turn begins.
 */
function lacking(render: Render, messages: readonly Message[], turn: number, text: string): Span | undefined {
  const earlier = messages.slice(0, turn);
  const before = render(earlier, false);
  const prompt = render(earlier, true);
  const without = render([...earlier, ...messages.slice(turn + 1)], false);
  const length = text.length - without.length;
  if (!prompt.startsWith(before) || prompt === before || length <= 0) return undefined;
  const header = prompt.slice(before.length);
  let [same, sameAtEnd] = [0, 0];
  while (same < without.length && text[same] === without[same]) same++;
  while (sameAtEnd < without.length && text[text.length - 1 - sameAtEnd] === without[without.length - 1 - sameAtEnd])
    sameAtEnd++;
  const spans: Span[] = [];
  for (let begin = without.length - sameAtEnd; begin <= same; begin++) {
    const end = begin + length;
    const start = begin + common(header, text.slice(begin, end), 0);
    if (start > begin && start < end) spans.push({ start, end });
  }
  return spans.length === 1 ? spans[0] : undefined;
}

/** A part of the text, where no template refuses what it takes to find it. */
function attempted(find: () => Span | undefined): Span | undefined {
  try {
    return find();
  } catch (error) {
    if (error instanceof TemplateError) return undefined;
    throw error;
  }
}

/**
 * The learned part of a turn of a conversation with reasoning or tool calls, not the first message; undefined where it is not certain.
 * @param text of the whole conversation
 */
export function rewrittenTurn(
  render: Render,
  messages: readonly Message[],
  turn: number,
  text: string,
): Span | undefined {
  if (turn === 0 || !messages.some((message) => calls(message) || withoutReasoning(message))) return undefined;
  const rest = messages.slice(turn + 1);
  const spoken = rest.findIndex(isAssistant);
  const followers = (spoken < 0 ? [rest] : [rest.slice(0, spoken), rest]).filter((some) => some.length > 0);
  for (const way of ways(messages, turn)) {
    const span = attempted(() => found(render, way, followers, text));
    if (span) return span;
  }
  return attempted(() => lacking(render, messages, turn, text));
}
