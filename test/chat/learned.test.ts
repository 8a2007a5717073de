// Which parts of a rendered conversation are learned.
import { expect, test } from "vitest";
import { parseExactJson } from "../../src/base/exact-json.js";
import { type Learned, renderTurns, SpanError } from "../../src/chat/learned.js";
import { prepareMessages } from "../../src/chat/messages.js";
import { ChatTemplate } from "../../src/chat/template.js";

const specialTokens = { bos_token: "<s>", eos_token: "</s>" };
const TURNS = `{% for m in messages %}<|{{ m.role }}|>
{{ m.content }}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}`;
const THINKING = `{% for m in messages %}<|{{ m.role }}|>
{% if m.role == 'assistant' and loop.last %}<think>{{ m.reasoning_content }}</think>
{% endif %}{{ m.content.split('</think>')[-1] }}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}`;

const message = (role: string, content: string, more = {}) => ({ role, content, ...more });
const TALK = [message("user", "a"), message("assistant", "b"), message("user", "c"), message("assistant", "d")];

/** The learned parts. */
function learnedOf(source: string, messages: object[], learned: Learned = "assistant"): string[] {
  const template = new ChatTemplate(source, { specialTokens });
  const { text, spans } = renderTurns(template, { messages }, learned);
  expect(text).toBe(template.render({ messages }).text);
  expect(spans.every(({ start, end }, i) => start < end && start >= (spans[i - 1]?.end ?? 0))).toBe(true);
  return spans.map(({ start, end }) => text.slice(start, end));
}

test("the assistant's turns are found by rendering prefixes", () => {
  expect(learnedOf(TURNS, TALK)).toEqual(["b<|end|>\n", "d<|end|>\n"]);
  expect(learnedOf(TURNS, TALK, "last")).toEqual(["d<|end|>\n"]);
  expect(learnedOf(TURNS, TALK, "all").join("")).toContain("<|user|>\na<|end|>\n");
  expect(learnedOf(TURNS, [TALK[0]!, TALK[1]!, TALK[3]!])).toEqual(["b<|end|>\n", "d<|end|>\n"]);
  expect(learnedOf(TURNS, [TALK[1]!, TALK[2]!])).toEqual(["b<|end|>\n"]);
  expect(learnedOf(TURNS, [TALK[0]!])).toEqual([]);
});

test("a conversation that the assistant begins", () => {
  const begins = [TALK[1]!, TALK[2]!, TALK[3]!];
  const withSystem = `{% if messages[0].role != 'system' %}<|system|>\nassistant<|end|>\n{% endif %}${TURNS}`;
  expect(learnedOf(withSystem, begins)).toEqual(["b<|end|>\n", "d<|end|>\n"]);
  const thinks = withSystem.replace("<|assistant|>\n{% endif %}", "<|assistant|>\n<think>\n{% endif %}");
  expect(learnedOf(thinks, begins)).toEqual(["b<|end|>\n", "d<|end|>\n"]);
  const silent = TURNS.replace("{% if add_generation_prompt %}<|assistant|>\n{% endif %}", "");
  expect(() => learnedOf(silent, begins)).toThrow(/not certain where the first message begins/);
});

test("of several marks in a turn the last turn has all", () => {
  const marked = TURNS.replace(
    "{{ m.content }}<|end|>",
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %} - {% generation %}<|end|>{% endgeneration %}{% else %}{{ m.content }}{% endif %}",
  );
  expect(learnedOf(marked, TALK)).toEqual(["b", "<|end|>", "d", "<|end|>"]);
  expect(learnedOf(marked, TALK, "last")).toEqual(["d", "<|end|>"]);
});

test("generation blocks are followed", () => {
  const marked = TURNS.replace(
    "{{ m.content }}<|end|>",
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|end|>{% endgeneration %}{% else %}{{ m.content }}{% endif %}",
  );
  expect(learnedOf(marked, TALK)).toEqual(["b<|end|>", "d<|end|>"]);
  expect(learnedOf(marked, TALK, "last")).toEqual(["d<|end|>"]);
});

test("a generation block that is not where it was written is refused", () => {
  const hidden = "{% set x %}{% generation %}abc{% endgeneration %}{% endset %}start {{ x }}";
  expect(() => learnedOf(hidden, TALK)).toThrow(SpanError);
});

test("an end-of-sequence token at the whole conversation's end belongs to the last turn", () => {
  expect(learnedOf(`${TURNS}{% if not add_generation_prompt %}{{ eos_token }}{% endif %}`, TALK)).toEqual([
    "b<|end|>\n",
    "d<|end|>\n</s>",
  ]);
});

test("reasoning that is left out of earlier turns", () => {
  const talk = TALK.map((one) => (one.role === "assistant" ? { ...one, thinking: "why" } : one));
  expect(learnedOf(THINKING, talk)).toEqual(["b<|end|>\n", "<think>why</think>\nd<|end|>\n"]);
  const inContent = [
    message("user", "a"),
    message("assistant", "<think>x</think>b", { thinking: "x" }),
    ...talk.slice(2),
  ];
  expect(learnedOf(THINKING, inContent)[0]).toBe("b<|end|>\n");
});

test("an end of earlier turns that the last one does not have", () => {
  const ends = `{% for m in messages %}<|start|>{{ m.role }}<|message|>{% if m.role == 'assistant' and loop.last %}{% if m.thinking %}{{ m.thinking }}<|end|><|start|>assistant<|message|>{% endif %}{{ m.content }}</s>{% else %}{{ m.content }}<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}`;
  const talk = TALK.map((one) => (one.role === "assistant" ? { ...one, thinking: "why" } : one));
  expect(learnedOf(ends, TALK)).toEqual(["<|message|>b<|end|>", "<|message|>d</s>"]);
  expect(learnedOf(ends, talk)).toEqual([
    "<|message|>b<|end|>",
    "<|message|>why<|end|><|start|>assistant<|message|>d</s>",
  ]);
});

/** As gpt-oss writes calls and thoughts: thoughts before the last answer are left out, and a call's own text is a thought. */
const CHANNELS = `{%- set ns = namespace(last=-1) %}{% for m in messages %}{% if m.role == 'assistant' and not m.tool_calls %}{% set ns.last = loop.index0 %}{% endif %}{% endfor -%}
{%- for m in messages %}{% if m.role == 'assistant' %}{% set thought = m.thinking or (m.content if m.tool_calls else none) %}{% if thought and loop.index0 >= ns.last %}<|start|>assistant<|channel|>analysis<|message|>{{ thought }}<|end|>{% endif %}{% if m.tool_calls %}<|start|>assistant to={{ m.tool_calls[0].function.name }}<|call|>{% else %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}{{ '<|return|>' if loop.last else '<|end|>' }}{% endif %}{% else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}`;
/** As Qwen3 writes them: thoughts since the last question stay, the last turn has a place for one. */
const SINCE_ASKED = `{%- set ns = namespace(asked=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.asked = loop.index0 %}{% endif %}{% endfor -%}
{%- for m in messages %}<|{{ m.role }}|>
{% if m.role == 'assistant' and loop.index0 > ns.asked %}<think>{{ m.thinking or '' }}</think>
{% endif %}{{ m.content or '' }}{% for call in m.tool_calls or [] %}<call>{{ call.function.name }}</call>{% endfor %}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}`;

const call = (name: string, more = {}) => ({ role: "assistant", tool_calls: [{ function: { name } }], ...more });
const ROUNDS = [
  ...[message("user", "q"), call("f", { thinking: "T1" }), message("tool", "r"), call("g", { thinking: "T2" })],
  ...[message("tool", "s"), message("assistant", "a", { thinking: "T3" }), message("user", "more")],
  ...[call("h", { content: "C" }), message("tool", "t"), message("assistant", "end", { thinking: "T4" })],
];

test("tool calls whose reasoning is left out once an answer follows", () => {
  const final = "<|channel|>final<|message|>";
  expect(learnedOf(CHANNELS, ROUNDS)).toEqual([
    ...[" to=f<|call|>", " to=g<|call|>", `${final}a<|end|>`, " to=h<|call|>"],
    `<|channel|>analysis<|message|>T4<|end|><|start|>assistant${final}end<|return|>`,
  ]);
  expect(learnedOf(CHANNELS, ROUNDS.slice(0, 4))).toEqual([
    "<|channel|>analysis<|message|>T1<|end|><|start|>assistant to=f<|call|>",
    "<|channel|>analysis<|message|>T2<|end|><|start|>assistant to=g<|call|>",
  ]);
  expect(learnedOf(CHANNELS, ROUNDS, "last")).toHaveLength(1);
  expect(learnedOf(SINCE_ASKED, ROUNDS)).toEqual([
    ...["<call>f</call><|end|>\n", "<call>g</call><|end|>\n", "a<|end|>\n"],
    ...["<think></think>\nC<call>h</call><|end|>\n", "<think>T4</think>\nend<|end|>\n"],
  ]);
});

test("a generation prompt that goes further than the turn is cut where they part", () => {
  const opened = TURNS.replace("<|assistant|>\n{% endif %}", "<|assistant|>\n<think>\n{% endif %}");
  expect(learnedOf(opened, [message("user", "a"), message("assistant", "<b>")])).toEqual(["<b><|end|>\n"]);
});

test.each([
  [
    "earlier turns in other words",
    TURNS.replace("{{ m.content }}", "{{ m.content if loop.last or m.role == 'user' else m.content | upper }}"),
    /writes message 2 in another way/,
  ],
  [
    "the number of messages at the beginning",
    `{{ messages | length }}${TURNS}`,
    /does not begin with the one before it/,
  ],
  [
    "a conversation that has to be whole",
    `{% if messages | length < 4 %}{{ raise_exception('short') }}{% endif %}${TURNS}`,
    /cannot render the 2 messages .*short/,
  ],
])("refuses %s, and shows both renderings", (_, template, reason) => {
  expect(() => learnedOf(template, TALK)).toThrow(reason);
  expect(() => learnedOf(template, TALK)).toThrow(SpanError);
});

test("messages are prepared as transformers prepares them", () => {
  const [first, second] = prepareMessages([
    { role: "assistant", content: null, reasoning: "r", tool_calls: [{ id: null }] },
    { role: "assistant", thinking: "t", reasoning_content: null, reasoning: "r" },
  ]);
  expect([...first!]).toEqual([
    ["thinking", "r"],
    ["role", "assistant"],
    ["reasoning", "r"],
    ["tool_calls", [new Map([["id", null]])]],
    ["reasoning_content", "r"],
  ]);
  expect([...second!]).toEqual([
    ["thinking", "t"],
    ["role", "assistant"],
    ["reasoning", "r"],
    ["reasoning_content", "t"],
  ]);
  expect(() => prepareMessages(["x"])).toThrow("message 1 is not an object");
});

test("JSON's numbers keep their form, its keys their order", () => {
  const text = '{"args": {"2": 1.0, "1": 12345678901234567890, "n": -0, "e": 1E2}, "s": "1.5"}';
  const template = new ChatTemplate("{{ messages[0] | tojson }}");
  expect(template.render({ messages: [parseExactJson(text)] }).text).toBe(
    '{"args": {"2": 1.0, "1": 12345678901234567890, "n": 0, "e": 100.0}, "s": "1.5"}',
  );
  expect(parseExactJson('{"a": [1, "x"]}')).toEqual({ a: [1, "x"] });
  expect(() => parseExactJson('{"a": 1.}')).toThrow(SyntaxError);
});
