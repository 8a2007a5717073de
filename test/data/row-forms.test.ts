// The form of rows, by their columns; the template that conversations are rendered by; the learned parts.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { findChatTemplates, Tokenizer, type TokenTable } from "../../src/data/index.js";
import { type ChatSpec, rendererOf } from "../../src/data/render/index.js";
import { Model, Trainer } from "../../src/index.js";
import { type RowFormOptions, renderingOf } from "../../src/setup/row-forms.js";
import { namedTexts, readTokens, readTrainingTexts, type TrainTextOptions } from "../../src/setup/texts.js";
import { errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";

const folder = temporaryFolders();

const CHAT = `{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}
{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}`;

/** A tokenizer's folder with templates: files by name, and other settings of tokenizer_config.json. */
function tokenizerWith(files: Record<string, string>, config: object = {}): string {
  const path = folder();
  cpSync(tinyBase, path, { recursive: true });
  mkdirSync(join(path, "additional_chat_templates"));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  const own = { bos_token: "<s>", eos_token: "</s>", pad_token: "</s>", ...config };
  writeFileSync(join(path, "tokenizer_config.json"), JSON.stringify(own));
  return path;
}

const withChat = tokenizerWith({ "chat_template.jinja": CHAT });
const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const TALK = [user("a"), assistant("b"), user("c"), assistant("d")];

const file = (rows: object[], name = "a.jsonl") =>
  writeIn(folder(), name, rows.map((row) => JSON.stringify(row)).join("\n"));

async function detected(path: string, o: RowFormOptions = {}, tokenizer = withChat) {
  const notes: string[] = [];
  const opened = await Tokenizer.open(tokenizer);
  const render = await renderingOf([path], o, {}, opened, (line) => notes.push(line));
  return { form: render.kind === "chat" ? render.form : render.kind, render, notes };
}

describe("rows are known by their columns", () => {
  test.each<[string, object]>([
    ["messages", { messages: TALK, prompt: "x", completion: "y", text: "z" }],
    ["sharegpt", { conversations: [{ from: "human", value: "a" }], text: "z" }],
    ["prompt_completion", { prompt: "x", completion: "y", text: "z" }],
    ["text", { text: "z", instruction: "x", output: "y" }],
    ["alpaca", { instruction: "x", input: "", output: "y" }],
    ["text", { messages: "a text", text: "z" }],
    ["text", { prompt: "x", text: "z" }],
    ["text", { id: 1 }],
  ])("%s %#", async (form, row) => {
    expect((await detected(file([row]))).form).toBe(form);
  });

  test("also on a pipe, which is read from its beginning after it was looked at", async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => ({
      messages: [user(`question ${i}`), assistant(`answer ${i}`)],
    }));
    const path = join(folder(), "pipe.jsonl");
    execFileSync("mkfifo", [path]);
    const writing = writeFile(path, rows.map((row) => JSON.stringify(row)).join("\n"));
    const tokenizer = await Tokenizer.open(withChat);
    const o = { add_eos: true };
    const source = await namedTexts([path], "train", o, tokenizer, { warn: () => {} });
    const found: unknown[] = [];
    for await (const some of source.rows()) found.push(...some.map(([messages]) => messages));
    await writing;
    expect([source.render.kind, found]).toEqual(["chat", rows.map(({ messages }) => messages)]);
  });

  test("also in CSV, where a conversation is JSON", async () => {
    const rows = `id,messages\n1,"${JSON.stringify(TALK).replaceAll('"', '""')}"\n`;
    const path = writeIn(folder(), "a.csv", rows);
    expect((await detected(path)).form).toBe("messages");
    expect((await detected(writeIn(folder(), "b.csv", "instruction,input,output\na,b,c\n"))).form).toBe("alpaca");
    expect((await detected(writeIn(folder(), "a.txt", "one\n"))).form).toBe("text");
  });

  test("a column beside texts that is wrong is no matter", async () => {
    const twice = (more: string) => writeIn(folder(), "a.jsonl", `{${more}"output":1,"output":2}`);
    expect((await detected(twice('"text":"a",'))).form).toBe("text");
    expect((await errorOf(() => detected(twice("")))).message).toContain('the key "output" is given twice');
  });

  test("and that is said, with the template and what is learned", async () => {
    const path = file([{ messages: TALK }]);
    const { notes } = await detected(path);
    expect(notes).toEqual([
      `the rows of ${path} are conversations, as their columns say (data_format), rendered by the chat template of ` +
        `${join(withChat, "chat_template.jinja")}; the assistant's turns are learned (loss_on)`,
    ]);
    expect((await detected(path, { data_format: "messages", loss_on: "last" })).notes[0]).toMatch(
      /are conversations, rendered by .*; the assistant's last turn is learned \(loss_on\)$/,
    );
  });

  test("unless an option says what they are", async () => {
    const path = file([{ messages: TALK, text: "z" }]);
    expect((await detected(path, { text_column: "text" })).render).toEqual({ kind: "text", column: "text" });
    expect((await detected(path, { data_format: "text" })).form).toBe("text");
    const dialog = { data_format: "messages", text_column: "dialog" } as const;
    const { render } = await detected(file([{ dialog: TALK }]), dialog);
    expect(rendererOf(render).columns[0]).toEqual({ name: "dialog", holds: "values" });
  });

  test.each<[RowFormOptions, object, RegExp]>([
    [{ loss_on: "assistant" }, { text: "a" }, /--loss_on is assistant, expected all, as rows of texts have no prompts/],
    [{ loss_on: "completions" }, { messages: TALK }, /--loss_on is completions, expected assistant, last or all/],
  ])("%j does not fit %j", async (o, row, message) => {
    expect(await errorOf(() => detected(file([row]), o))).toMatchObject({
      code: "E_USAGE",
      message: expect.stringMatching(message),
    });
  });
});

describe("the template", () => {
  const named = (...names: string[]) => names.map((name) => ({ name, template: `{{ '${name}' }}` }));

  test("is found as transformers finds it", () => {
    const inConfig = tokenizerWith({}, { chat_template: "{{ 'config' }}" });
    expect(findChatTemplates(undefined, inConfig)?.templates).toEqual({
      default: "{{ 'config' }}",
      specialTokens: { bos_token: "<s>", eos_token: "</s>", pad_token: "</s>" },
    });
    const both = tokenizerWith({ "chat_template.jinja": "{{ 'file' }}" }, { chat_template: "{{ 'config' }}" });
    expect(findChatTemplates(undefined, both)?.templates.default).toBe("{{ 'file' }}");
    const several = tokenizerWith({}, { chat_template: named("default", "tool_use", "rag") });
    expect(findChatTemplates(undefined, several)?.templates).toMatchObject({
      default: "{{ 'default' }}",
      tool_use: "{{ 'tool_use' }}",
    });
    const files = { "chat_template.jinja": "{{ 'file' }}", "additional_chat_templates/rag.jinja": "{{ 'rag' }}" };
    const more = tokenizerWith(files);
    expect(findChatTemplates("rag", more)?.templates).toMatchObject({ default: "{{ 'rag' }}" });
    expect(findChatTemplates(more, tinyBase)?.templates.default).toBe("{{ 'file' }}");
    expect(findChatTemplates(join(more, "chat_template.jinja"), tinyBase)?.where).toMatch(/chat_template\.jinja$/);
    expect(findChatTemplates(undefined, tinyBase)).toBeNull();
  });

  const smollm = fileURLToPath(new URL("../../../shared/models/smollm2-135m-instruct", import.meta.url));
  const gguf = join(smollm, "SmolLM2-135M-Instruct.Q4_1.gguf");
  if (!existsSync(gguf)) console.log(`skipped: the template of a GGUF file (${gguf} is not there)`);
  test.runIf(existsSync(gguf))("of a GGUF file is the one that it holds", () => {
    const { templates } = findChatTemplates(undefined, gguf)!;
    const { chat_template } = JSON.parse(readFileSync(join(smollm, "tokenizer_config.json"), "utf8"));
    expect(templates.default).toBe(chat_template);
    expect(templates.specialTokens).toMatchObject({ bos_token: "<|im_start|>", eos_token: "<|im_end|>" });
    expect(() => findChatTemplates(join(gguf, "x"), gguf)).toThrow("there is no such file");
  });

  test("of tools is for rows with tools", async () => {
    const templates = findChatTemplates(undefined, tokenizerWith({}, { chat_template: named("default", "tool_use") }));
    const spec: ChatSpec = { kind: "chat", form: "messages", loss: "all", templates: templates!.templates };
    const render = (tools: unknown) => rendererOf(spec).render([TALK, tools, null]).text;
    expect([render(null), render([]), render("[]"), render([{}])]).toEqual([
      "default",
      "tool_use",
      "tool_use",
      "tool_use",
    ]);
  });

  test("that is missing or wrong is one error that says what to do", async () => {
    const path = file([{ messages: TALK }]);
    const none = await errorOf(() => detected(path, {}, tinyBase));
    expect(none.code).toBe("E_CHAT_TEMPLATE");
    expect(none.message).toMatch(
      /are conversations\. The tokenizer has no chat template.*--chat_template.*--tokenizer_name/,
    );
    const several = tokenizerWith({}, { chat_template: named("tool_use", "rag") });
    expect((await errorOf(() => findChatTemplates(undefined, several))).message).toMatch(
      /several chat templates and none called default\. Name one: --chat_template tool_use or rag/,
    );
    expect((await errorOf(() => findChatTemplates("tool_us", several))).message).toMatch(
      /there is no such file \(did you mean "tool_use"\?\)\. Expected a template of the tokenizer \(tool_use, rag\) or a file/,
    );
    const broken = writeIn(folder(), "b.jinja", "a\n{% if %}");
    const error = await errorOf(() => findChatTemplates(broken, tinyBase));
    expect([error.code, error.message]).toEqual(["E_CHAT_TEMPLATE", expect.stringContaining(`${broken}, line 2`)]);
  });

  test("renders conversational prompts only where there are any", async () => {
    const mixed = file([
      { prompt: "a", completion: "b" },
      { prompt: [user("a")], completion: [assistant("b")] },
    ]);
    const { render } = await detected(mixed, {}, tinyBase);
    expect(rendererOf(render).render(["a", "b", null, null])).toEqual({ text: "ab", prompt: "a" });
    expect(() => rendererOf(render).render([[user("a")], [assistant("b")], null, null])).toThrow("no chat template");
  });
});

describe("a template that asks for the date", () => {
  const dated = () => tokenizerWith({ "chat_template.jinja": `{{ strftime_now("%d %b %Y %H:%M") }}\n${CHAT}` });
  const render = async (o: RowFormOptions) => {
    const { render: spec, notes } = await detected(file([{ messages: TALK }]), o, dated());
    const { key, render: row } = rendererOf(spec);
    return { text: row([TALK, null, null]).text.split("\n")[0], key: JSON.stringify(key), notes: notes.join() };
  };

  test("is told the one that an option names, which decides the cache's file", async () => {
    const [one, other] = [await render({ template_date: "2026-01-31" }), await render({ template_date: "2026-02-01" })];
    expect([one.text, other.text]).toEqual(["31 Jan 2026 00:00", "01 Feb 2026 00:00"]);
    expect(one.key).not.toBe(other.key);
    expect(one.notes).toContain("for 2026-01-31 (template_date)");
    const now = new Date();
    expect((await render({})).text).toContain(String(now.getFullYear()));
  });

  test("other templates are told none", async () => {
    const { render: spec } = await detected(file([{ messages: TALK }]), { template_date: "2026-01-31" });
    expect((spec as ChatSpec).templates).not.toHaveProperty("date");
  });

  test("is the same when a run goes on, or an error that names the option", async () => {
    const output = join(folder(), "out");
    const base = dated();
    const train_file = file(Array.from({ length: 8 }, (_, i) => ({ messages: [user(`${i}`), assistant(`${i}`)] })));
    const o = {
      train_file,
      lora_r: 2,
      max_seq_length: 32,
      save_strategy: "no",
      eval_strategy: "no",
      output_dir: output,
    } as const;
    await using model = await Model.open(base, { threads: 1 });
    {
      await using trainer = await Trainer.create(model, {
        ...o,
        max_steps: 1,
        template_date: "2026-01-31",
        save_strategy: "steps",
      });
      for await (const _ of trainer.run());
    }
    const again = (template_date?: string) =>
      Trainer.create(model, { ...o, max_steps: 2, resume: "latest", template_date });
    expect((await errorOf(() => again())).message).toMatch(
      /--template_date is \d{4}-\d\d-\d\d, in the checkpoint 2026-01-31/,
    );
    await using trainer = await again("2026-01-31");
    expect(trainer.state).toBe("idle");
  });
});

describe("rows that a program gives", () => {
  const rows: [string, object[]][] = [
    [
      "messages",
      Array.from({ length: 4 }, (_, i) => ({ messages: [user(`question ${i}`), assistant(`answer ${i}`)] })),
    ],
    [
      "prompt_completion",
      Array.from({ length: 4 }, (_, i) => ({ prompt: `question ${i} `, completion: `answer ${i}` })),
    ],
  ];
  test.each(rows)("are those of a file: %s", async (form, given) => {
    await using model = await Model.open(withChat, { threads: 1 });
    const template = writeIn(folder(), "own.jinja", CHAT.replaceAll("[", "<").replaceAll("]", ">"));
    const o = { lora_r: 2, max_seq_length: 32, max_steps: 2, eval_strategy: "no", chat_template: template } as const;
    const adapters: Buffer[] = [];
    const sources = [
      { train_file: file(given) },
      { train: given },
      {
        train: (async function* () {
          yield* given;
        })(),
      },
    ];
    for (const source of sources) {
      await using trainer = await Trainer.create(model, { ...o, ...source });
      const warnings: string[] = [];
      for await (const event of trainer.run()) if (event.type === "warning") warnings.push(event.message);
      expect(warnings.join()).toContain(form === "messages" ? "are conversations" : "are prompts with completions");
      const saved = folder();
      await trainer.save(saved);
      adapters.push(readFileSync(join(saved, "adapter_model.safetensors")));
      // The template that rendered the rows goes with the adapter.
      expect(readFileSync(join(saved, "chat_template.jinja"), "utf8")).toBe(readFileSync(template, "utf8"));
    }
    expect(adapters.map((bytes) => bytes.equals(adapters[0]!))).toEqual([true, true, true]);
  });

  test("are checked as they come", async () => {
    await using model = await Model.open(withChat, { threads: 1 });
    const refused = (train: object[]) => errorOf(() => Trainer.create(model, { train, lora_r: 2, max_seq_length: 32 }));
    const good = { messages: TALK };
    expect((await refused([good, { text: "x" }])).message).toBe(
      "train: row 2 has no messages, as the rows before it have.",
    );
    expect((await refused([good, { messages: [user("\ud800")] }])).message).toContain(
      "row 2 has a messages that holds half a character",
    );
    expect((await refused([good, { messages: [{ content: "x" }] }])).message).toContain(
      'row 2: message 1 of column "messages" has no role',
    );
    const round: { messages: unknown[] } = { messages: [] };
    round.messages.push(round);
    expect((await refused([good, round])).message).toContain("row 2 has a messages that JSON cannot hold");
  });
});

test("a tokenizer's other templates go with the adapter, and are replaced by the one that was named", async () => {
  const base = tokenizerWith({
    "chat_template.jinja": CHAT,
    "additional_chat_templates/tool_use.jinja": `tools ${CHAT}`,
  });
  const others = (saved: string) => existsSync(join(saved, "additional_chat_templates", "tool_use.jinja"));
  await using model = await Model.open(base, { threads: 1 });
  for (const [chat_template, expected] of [
    [undefined, true],
    ["default", false],
  ] as const) {
    const saved = folder();
    await using trainer = await Trainer.create(model, {
      train: [{ messages: TALK }, { messages: TALK }],
      lora_r: 2,
      max_seq_length: 32,
      chat_template,
    });
    await trainer.save(saved);
    expect(others(saved)).toBe(expected);
  }
});

test("an adapter's folder that is written anew has no template of the adapter before", async () => {
  const saved = folder();
  await using model = await Model.open(tinyBase, { threads: 1 });
  const template = writeIn(folder(), "chat.jinja", CHAT);
  const small = { lora_r: 2, max_seq_length: 32 };
  const conversations = [{ messages: TALK }, { messages: TALK }];
  await using chats = await Trainer.create(model, { train: conversations, chat_template: template, ...small });
  await chats.save(saved);
  writeIn(saved, "notes.txt", "mine");
  const templateOf = () => existsSync(join(saved, "chat_template.jinja"));
  expect(templateOf()).toBe(true);
  await using texts = await Trainer.create(model, { train: ["one text", "another"], ...small });
  await texts.save(saved);
  expect(templateOf()).toBe(false);
  expect(["notes.txt", "tokenizer.json"].every((name) => existsSync(join(saved, name)))).toBe(true);
});

describe("forms", () => {
  const { templates } = findChatTemplates(undefined, withChat)!;
  const learned = (spec: Pick<ChatSpec, "form" | "loss">, values: unknown[]) => {
    const { text, learned: parts, prompt } = rendererOf({ kind: "chat", templates, ...spec }).render(values);
    return { text, parts: parts?.map(({ start, end }) => text.slice(start, end)), prompt };
  };
  const TEXT = "[user]a</s>\n[assistant]b</s>\n[user]c</s>\n[assistant]d</s>\n";

  test("messages", () => {
    const spec = { form: "messages", loss: "assistant" } as const;
    expect(learned(spec, [TALK, null, null])).toEqual({ text: TEXT, parts: ["b</s>\n", "d</s>\n"] });
    expect(learned({ ...spec, loss: "last" }, [TALK, null, null]).parts).toEqual(["d</s>\n"]);
    expect(learned({ ...spec, loss: "all" }, [JSON.stringify(TALK), null, null])).toEqual({ text: TEXT });
  });

  test("sharegpt: roles by who speaks, a system message of its own column", () => {
    const spec = { form: "sharegpt", loss: "assistant" } as const;
    const turns = ["human", "gpt", "user", "assistant"].map((from, i) => ({ from, value: "abcd"[i] }));
    expect(learned(spec, [turns, null, null, null]).text).toBe(TEXT);
    expect(learned(spec, [turns, "S", null, null]).text).toBe(`[system]S</s>\n${TEXT}`);
    expect(learned(spec, [[{ from: "system", value: "own" }, ...turns], "S", null, null]).text).toMatch(
      /^\[system\]own</,
    );
    expect(learned(spec, [TALK, null, null, null]).text).toBe(TEXT);
    expect(() => learned(spec, [[{ from: "alien", value: "x" }], null, null, null])).toThrow(
      'message 1 of column "conversations" is from "alien", expected human, gpt',
    );
  });

  test("alpaca: a turn each by the template, Stanford's prompts without one", () => {
    const spec = { form: "alpaca", loss: "completions" } as const;
    expect(learned(spec, ["Add.", "1 2", "3", null])).toEqual({
      text: "[user]Add.\n1 2</s>\n[assistant]3</s>\n",
      prompt: "[user]Add.\n1 2</s>\n[assistant]",
    });
    expect(learned(spec, ["Add.", null, "3", "S"]).text).toBe("[system]S</s>\n[user]Add.</s>\n[assistant]3</s>\n");
    const plain = rendererOf({ kind: "chat", ...spec, templates: null });
    const { text, prompt } = plain.render(["Add.", "1 2", "3", null]);
    expect(text).toBe(`${prompt}3`);
    expect(prompt).toMatch(
      /^Below is .*, paired with .*\n\n### Instruction:\nAdd\.\n\n### Input:\n1 2\n\n### Response:\n$/,
    );
    expect(plain.render(["Add.", "", "3", null]).prompt).toMatch(
      /request\.\n\n### Instruction:\nAdd\.\n\n### Response:\n$/,
    );
  });

  test("prompt_completion: of conversations, too, whose turns in the prompt are none of the completion", () => {
    const values = [TALK.slice(0, 3), TALK.slice(3), null, null];
    const prompt = TEXT.slice(0, TEXT.indexOf("d</s>"));
    expect(learned({ form: "prompt_completion", loss: "completions" }, values)).toEqual({ text: TEXT, prompt });
    expect(learned({ form: "prompt_completion", loss: "assistant" }, values)).toEqual({
      text: TEXT,
      prompt,
      parts: ["b</s>\n", "d</s>\n"],
    });
    expect(learned({ form: "prompt_completion", loss: "all" }, values)).toEqual({ text: TEXT });
  });

  test("tools and variables reach the template, as objects or as JSON", () => {
    const source = "{{ tools | tojson }} {{ mood }}";
    const spec: ChatSpec = {
      kind: "chat",
      form: "messages",
      loss: "all",
      templates: { default: source, specialTokens: {} },
    };
    const tools = '[{"n": 1.0}]';
    expect(rendererOf(spec).render([TALK, tools, { mood: "good" }]).text).toBe(`${tools} good`);
  });

  test.each<[unknown, string]>([
    ["no JSON", 'column "messages" is a text that is not valid JSON, expected a list of messages.'],
    [{ a: 1 }, 'column "messages" is an object, expected a list of messages.'],
    [[], 'column "messages" is an empty list, expected at least one message.'],
    [["hi"], 'message 1 of column "messages" is the text "hi", expected an object with role and content.'],
    [[user("a"), { content: "x" }], 'message 2 of column "messages" has no role'],
  ])("a row with %j is refused", (messages, reason) => {
    expect(() => learned({ form: "messages", loss: "assistant" }, [messages, null, null])).toThrow(reason);
  });
});

describe("runs", () => {
  const options = (more: Partial<TrainTextOptions> = {}): TrainTextOptions => ({
    train_file: [],
    validation_file: undefined,
    max_seq_length: 32,
    long_text: "truncate",
    add_eos: true,
    cache_dir: folder(),
    cache_limit_gb: 1,
    threads: 1,
    packing: false,
    pad_to_max_length: false,
    seed: 1,
    ...more,
  });

  async function read(path: string, o = options(), base = withChat) {
    const [warnings, notes]: string[][] = [[], []];
    const reading = { warn: (line: string) => warnings!.push(line), note: (line: string) => notes!.push(line) };
    const tokenizer = await Tokenizer.open(base);
    const source = await namedTexts([path], "train", o, tokenizer, reading);
    return { ...(await readTokens(source, tokenizer, 4096, o, reading)), tokenizer, warnings, notes };
  }

  const learnedText = (table: TokenTable, tokenizer: Tokenizer, example: number) => {
    const { inputIds, lossMask } = table.sequence(example);
    return tokenizer.decode(
      inputIds.filter((_, i) => lossMask[i]),
      { skipSpecialTokens: false },
    );
  };

  test("learn what the assistant says; rows without are counted and named", async () => {
    const path = file([
      { messages: TALK },
      { messages: [user("only")] },
      { messages: TALK.slice(0, 1) },
      { messages: TALK },
    ]);
    const { table, examples, tokenizer, warnings, notes } = await read(path);
    expect([...examples]).toEqual([0, 3]);
    expect(learnedText(table, tokenizer, 0)).toBe("b</s>\nd</s>\n");
    expect(warnings).toEqual([
      expect.stringMatching(/^2 texts are left out, .*without a turn of the assistant.*line 2; .*line 3$/),
    ]);
    // The template ends its texts itself.
    expect(notes!.join()).not.toContain("add_eos");
    const nothing = file([{ messages: [user("only")] }]);
    const error = await errorOf(() => read(nothing));
    expect([error.code, error.message]).toEqual([
      "E_ALL_MASKED",
      expect.stringContaining("Check the columns messages."),
    ]);
  });

  test("refuse a row whose turns are not certain, with its place and both renderings", async () => {
    const rewrites = tokenizerWith({
      "chat_template.jinja": CHAT.replace(
        "{{ m.content }}",
        "{{ m.content if loop.last or m.role == 'user' else m.content | upper }}",
      ),
    });
    const path = file([{ messages: TALK.slice(0, 2) }, { messages: TALK }]);
    const error = await errorOf(() => read(path, options(), rewrites));
    expect([error.code, error.where]).toEqual(["E_DATA_ROW", `${path}, line 2`]);
    expect(error.message).toMatch(
      /line 2: .*writes message 2 in another way.*\[assistant\]b<\/s>.*\[assistant\]B<\/s>/s,
    );
    expect([...(await read(path, options({ loss_on: "last" }), rewrites)).examples]).toEqual([0, 1]);
  });

  test("keep tokens of another template, or of another part that is learned, apart in the cache", async () => {
    const path = file([{ messages: TALK }]);
    const o = options();
    const other = writeIn(folder(), "other.jinja", CHAT.replaceAll("[", "<"));
    const tables = [
      await read(path, o),
      await read(path, { ...o, loss_on: "last" }),
      await read(path, { ...o, chat_template: other }),
      await read(path, { ...o, data_format: "messages" }),
    ].map(({ table }) => [[...table.sequence(0).inputIds].join(), [...table.sequence(0).lossMask].join()]);
    expect(tables[1]![0]).toBe(tables[0]![0]);
    expect(tables[1]![1]).not.toBe(tables[0]![1]);
    expect(tables[2]![0]).not.toBe(tables[0]![0]);
    expect(tables[3]).toEqual(tables[0]);
  });

  test("cut, chunk and pack with the mask", async () => {
    const path = file([{ messages: [...TALK, ...TALK, ...TALK] }, { messages: TALK }]);
    const whole = await read(path, options({ max_seq_length: 256 }));
    const all = [...whole.table.sequence(0).inputIds];
    const mask = [...whole.table.sequence(0).lossMask];
    const cut = await read(path, options({ max_seq_length: 16 }));
    expect([...cut.table.sequence(0).inputIds]).toEqual(all.slice(0, 16));
    expect([...cut.table.sequence(0).lossMask]).toEqual(mask.slice(0, 16));
    const chunks = await read(path, options({ max_seq_length: 16, long_text: "chunk" }));
    const own = Array.from({ length: chunks.table.length }, (_, i) => i).filter((i) => chunks.table.row(i) === 0);
    expect(own.flatMap((i) => [...chunks.table.sequence(i).lossMask])).toEqual(mask);
    const o = options({
      train_file: [path],
      validation_file: [file([{ messages: TALK }])],
      packing: true,
      max_seq_length: 256,
    });
    const texts = await readTrainingTexts(o, await Tokenizer.open(withChat), 4096, { warn: () => {} });
    expect(texts.training.length).toBe(1);
    const { supervisedTokens } = texts.training.batch([0]);
    expect(supervisedTokens).toBe(whole.table.supervised(0) + whole.table.supervised(1));
    const prompt = texts.validation.beginning(0, 50);
    expect(texts.tokenizer.decode(prompt, { skipSpecialTokens: false })).toBe("[user]a</s>\n[assistant]");
    expect(texts.validation.beginning(0, 3)).toEqual(prompt.slice(0, 3));
    expect(texts.renders.map((render) => render.kind)).toEqual(["chat", "chat"]);
  });

  test("find the turns of a conversation of 500 messages", async () => {
    const long = Array.from({ length: 500 }, (_, i) => (i % 2 ? assistant(`answer ${i}`) : user(`question ${i}`)));
    const { table, tokenizer } = await read(file([{ messages: long }]), options({ max_seq_length: 100_000 }));
    const answers = long.filter(({ role }) => role === "assistant").map(({ content }) => `${content}</s>\n`);
    expect(learnedText(table, tokenizer, 0)).toBe(answers.join(""));
  });
});
