// The learned parts of a rendered conversation: the assistant's texts.
import { TemplateError } from "./jinja/index.js";
import { type Message, prepareMessages, withoutReasoning } from "./messages.js";
import { common, rewrittenTurn } from "./rewritten.js";
import type { Span } from "./span.js";
import type { ChatTemplate, Conversation } from "./template.js";

/** Which text is learned: each of the assistant's turns, its last one, or all. */
export type Learned = "assistant" | "last" | "all";

/** A rendered conversation, and the learned parts of it, in order. */
export interface Turns {
  text: string;
  spans: Span[];
}

/** A conversation whose assistant's turns cannot be told apart from its other text. */
export class SpanError extends Error {
  override readonly name = "SpanError";
}

/**
 * A conversation as a text, and the learned parts of it. A turn's end is learned with it, up to where the next message begins. A
 * template's own marks (`{% generation %}`) are followed. Without them the turns are found by rendering prefixes of the conversation, each
 * of which is checked.
 * @throws TemplateError, or SpanError with both renderings where the template writes a turn in another way once more turns follow
 */
export function renderTurns(template: ChatTemplate, conversation: Conversation, learned: Learned): Turns {
  const messages = prepareMessages(conversation.messages);
  const { text, spans } = template.renderPrepared(messages, conversation, false);
  if (learned === "all") return { text, spans: text === "" ? [] : [{ start: 0, end: text.length }] };
  if (!template.marksAssistant) return { text, spans: byPrefixes(template, conversation, messages, text, learned) };
  const found = marked(text, spans);
  if (learned === "assistant" || found.length < 2) return { text, spans: found };
  // The last turn may have several marks: the marks that the messages before it do not have.
  const last = messages.findLastIndex((message) => message.get("role") === "assistant");
  const before = template.renderPrepared(messages.slice(0, Math.max(last, 1)), conversation, false).spans.length;
  return { text, spans: found.slice(before < found.length ? before : -1) };
}

/** The text of a conversation's first messages, up to where the assistant begins to speak. @throws TemplateError */
export function renderPrompt(template: ChatTemplate, conversation: Conversation, count: number): string {
  const messages = prepareMessages(conversation.messages.slice(0, count));
  return template.renderPrepared(messages, conversation, true).text;
}

function marked(text: string, spans: readonly { start: number; text: string }[]): Span[] {
  return spans.map(({ start, text: written }) => {
    if (!text.startsWith(written, start))
      throw new SpanError(
        `the template's generation block wrote ${shown(written)}, which is not at its place in the rendered text: ${shown(text)}`,
      );
    return { start, end: start + written.length };
  });
}

function byPrefixes(
  template: ChatTemplate,
  conversation: Conversation,
  messages: readonly Message[],
  text: string,
  learned: Learned,
): Span[] {
  const turns = messages.flatMap((message, i) => (message.get("role") === "assistant" ? [i] : []));
  const render = (some: readonly Message[], prompt: boolean) =>
    template.renderPrepared(some, conversation, prompt).text;
  const turnSpan = (turn: number): Span => {
    const upTo = (some: readonly Message[], prompt: boolean) => {
      try {
        return render(some, prompt);
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error;
        throw new SpanError(
          `the template cannot render the ${some.length} messages before the end of message ${turn + 1} alone, so that its learned ` +
            `part is not certain: ${error.message}`,
        );
      }
    };
    const earlier = messages.slice(0, turn);
    const message = messages[turn]!;
    const after = turn === messages.length - 1 ? text : upTo([...earlier, message], false);
    const prompt =
      turn === 0
        ? firstPrompt(after, upTo([message], true), template.options.specialTokens?.eos_token ?? "")
        : upTo(earlier, true);
    if (prompt !== "" && after.startsWith(prompt) && text.startsWith(after))
      return { start: prompt.length, end: after.length };
    const before = turn === 0 ? "" : upTo(earlier, false);
    const found = placed(after, turnStart(turn, before, prompt, after), before.length, text, message, template);
    if (found !== undefined)
      return markedEnd(found, text, after, nextAlone(template, conversation, messages, turn, before));
    // Templates that leave the reasoning out of earlier turns write such a turn as one without.
    const bare = withoutReasoning(message);
    const again = bare && upTo([...earlier, bare], false);
    const other = again && placed(again, turnStart(turn, before, prompt, again), before.length, text, bare, template);
    if (other) return markedEnd(other, text, again, nextAlone(template, conversation, messages, turn, before));
    throw new SpanError(
      `the template writes message ${turn + 1} in another way once more messages follow, so that its learned part is not certain. ` +
        `Up to this message: ${shown(after)} The whole: ${shown(text)} Learn the last turn only, or use a template with generation blocks.`,
    );
  };
  return (learned === "last" ? turns.slice(-1) : turns).map((turn) => {
    try {
      return turnSpan(turn);
    } catch (error) {
      const span = error instanceof SpanError ? rewrittenTurn(render, messages, turn, text) : undefined;
      if (span) return span;
      throw error;
    }
  });
}

/** The text of the message after a turn, as it would be without the turn; undefined where the template does not tell. */
function nextAlone(
  template: ChatTemplate,
  conversation: Conversation,
  messages: readonly Message[],
  turn: number,
  before: string,
): string | undefined {
  const next = messages[turn + 1];
  if (next === undefined) return undefined;
  try {
    const { text } = template.renderPrepared([...messages.slice(0, turn), next], conversation, false);
    return text.startsWith(before) && text.length > before.length ? text.slice(before.length) : undefined;
  } catch (error) {
    if (error instanceof TemplateError) return undefined;
    throw error;
  }
}

/**
 * A turn with the mark that ends it, where the last turn of a conversation ends with another one: gpt-oss writes `<|return|>` there, and
 * `<|end|>` otherwise. It is such a mark where the next message begins after it.
 * @param after the rendering in which the turn is the last
 * @param next the next message's text
 */
function markedEnd({ start, end }: Span, text: string, after: string, next: string | undefined): Span {
  const mark = /^<[^<>\s]+>/.exec(text.slice(end, end + LONGEST_MARK))?.[0];
  const last = /<[^<>\s]+>$/.exec(after.slice(-LONGEST_MARK))?.[0];
  if (mark === undefined || last === undefined || next === undefined) return { start, end };
  if (text.startsWith(last, end - last.length)) return { start, end };
  const begin = next.endsWith(last) ? next.slice(0, -last.length) : next;
  return text.startsWith(begin, end + mark.length) ? { start, end: end + mark.length } : { start, end };
}

const LONGEST_MARK = 100;

/**
 * The text before the first message's own, where that is the assistant's: templates need not render no messages. It ends with the
 * generation prompt, as it is put after one message, without the reasoning that it may open.
 */
function firstPrompt(after: string, prompted: string, eos: string): string {
  const bare = eos !== "" && after.endsWith(eos) ? after.slice(0, -eos.length) : after;
  const header = prompted.startsWith(bare) ? prompted.slice(bare.length) : "";
  for (const one of [header, header.replace(/<think>\s*(?:<\/think>\s*)?$/, "")]) {
    const at = one === "" ? -1 : bare.indexOf(one);
    if (at >= 0) return bare.slice(0, at + one.length);
  }
  throw new SpanError(
    `it is not certain where the first message begins, which is the assistant's: ${shown(after)} ` +
      `With the generation prompt: ${shown(prompted)}`,
  );
}

/** The beginning of a turn's text: after the generation prompt, or after the part of it that the turn has. */
function turnStart(turn: number, before: string, prompt: string, after: string): number {
  if (after.startsWith(before)) {
    const start = common(prompt, after, before.length);
    if (start > before.length) return start;
  }
  if (after.startsWith(prompt) && prompt.length >= before.length) return prompt.length;
  throw new SpanError(
    `the rendering up to message ${turn + 1} does not begin with the one before it and the generation prompt. ` +
      `Up to this message: ${shown(after)} Before it: ${shown(prompt)}`,
  );
}

/** A turn of a shorter rendering in the whole one; undefined where it is written in another way. */
function placed(
  after: string,
  start: number,
  least: number,
  text: string,
  message: Message,
  { options }: ChatTemplate,
): Span | undefined {
  if (text.startsWith(after)) return { start, end: after.length };
  // Some templates end the whole conversation with the end-of-sequence token.
  const eos = options.specialTokens?.eos_token ?? "";
  const turn = eos !== "" && after.endsWith(eos) && !text.startsWith(after) ? after.slice(0, -eos.length) : after;
  if (turn.length > start && text.startsWith(turn)) return { start, end: turn.length };
  // Others leave the reasoning out of earlier turns: the answer and its end follow the header, with nothing but marks between.
  const content = message.get("content");
  if (typeof content !== "string") return undefined;
  const answer = content.split("</think>").at(-1)!.trim();
  const at = answer === "" ? -1 : after.lastIndexOf(answer);
  if (at < start) return undefined;
  const header = Math.min(start, common(after, text, least));
  const again = text.indexOf(after.slice(at), header);
  if (header < least || again < 0 || !/^(?:<[^<>\s]+>|\s)*$/.test(text.slice(header, again))) return undefined;
  return { start: header, end: again + after.length - at };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 2000 ? `${text.slice(0, 1000)} ... ${text.slice(-1000)}` : text);
}
