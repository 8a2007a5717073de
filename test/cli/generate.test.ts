// lowrank generate where there is nothing to print: it says why.
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { nothingWritten, templateOf } from "../../src/commands/generate.js";
import { lowrank, tinyBase, workFolder } from "../support/tiny.js";

const work = workFolder("cli-generate");
afterAll(() => work.remove());

const CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
const decoder = { decode: (ids: ArrayLike<number>) => `<|token_${ids[0]}|>` };

function folder(name: string, files: Record<string, unknown>): string {
  const path = work.path(name);
  mkdirSync(path);
  for (const [file, content] of Object.entries(files))
    writeFileSync(`${path}/${file}`, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

test("a model that ends at once: nothing on standard output, why on standard error", async () => {
  const base = work.path("ends");
  cpSync(tinyBase, base, { recursive: true });
  const everyToken = Array.from({ length: 2048 }, (_, id) => id);
  writeFileSync(`${base}/generation_config.json`, JSON.stringify({ eos_token_id: everyToken }));
  const args = ["generate", "--base_model", base, "--prompt", "The people of", "--temperature", "0"];
  const { code, stdout, stderr } = await lowrank(args);
  expect([code, stdout]).toEqual([0, ""]);
  expect(stderr).toMatch(
    /^note: nothing was written: the model ended at once, with ".+"\. It may expect another prompt: a longer one\.\n$/,
  );
  // With words there is no note.
  const spoken = await lowrank([
    "generate",
    "--base_model",
    tinyBase,
    "--prompt",
    "The people of",
    "--temperature",
    "0",
  ]);
  expect([spoken.code, spoken.stdout.length > 0, spoken.stderr]).toEqual([0, true, ""]);
});

test("prompts of a file: a line of JSON for each, in their order, as the prompt alone gives it", async () => {
  const file = work.path("prompts.jsonl");
  const prompts = ["The people of", "Congress", "A nation which has"];
  writeFileSync(file, prompts.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(""));
  const same = ["--base_model", tinyBase, "--max_new_tokens", "6", "--temperature", "0"];
  const many = await lowrank(["generate", ...same, "--input_file", file, "--per_device_eval_batch_size", "2"]);
  expect([many.code, many.stderr]).toEqual([0, ""]);
  const found = many.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(found.map(({ prompt }) => prompt)).toEqual(prompts);
  const alone = await lowrank(["generate", ...same, "--prompt", prompts[2]!]);
  expect(found[2]).toEqual({ prompt: prompts[2], text: alone.stdout, tokens: 6, finish_reason: "length" });

  // Texts are prompts, too, where the rows have none.
  const text = work.path("texts.jsonl");
  writeFileSync(text, prompts.map((prompt) => `${JSON.stringify({ text: prompt })}\n`).join(""));
  expect((await lowrank(["generate", ...same, "--input_file", text])).stdout).toBe(many.stdout);

  const neither = await lowrank(["generate", ...same]);
  expect(neither.code).toBe(1);
  expect(neither.stderr).toContain("give --prompt, or --input_file");
  writeFileSync(file, `{"prompt":"The people of"}\n${JSON.stringify({ prompt: "Congress ".repeat(3000) })}\n`);
  const long = await lowrank(["generate", ...same, "--input_file", file]);
  expect([long.code, long.stdout]).toEqual([1, ""]);
  expect(long.stderr).toContain("Prompt 2 of 2: The prompt has more than");
});

describe("why", () => {
  const plain = folder("plain", {});
  const chat = folder("chat", { "tokenizer_config.json": { chat_template: CHATML } });
  const options = (base_model: string, adapter?: string) => ({ base_model, adapter, tokenizer_name: undefined });

  test("a chat template is named, ChatML with an example", () => {
    const text = nothingWritten({ tokens: 0, stop: 7 }, decoder, options(chat));
    expect(text).toContain(
      'the model ended at once, with "<|token_7|>". The model is made for prompts in its chat template',
    );
    expect(text).toContain("$'<|im_start|>user\\nHello<|im_end|>\\n<|im_start|>assistant\\n'");
    const other = folder("other", { "chat_template.jinja": "[INST] {{ messages[0].content }} [/INST]" });
    expect(nothingWritten({ tokens: 0, stop: 7 }, decoder, options(other))).toMatch(
      /which the prompt must hold itself\.$/,
    );
    expect(nothingWritten({ tokens: 0, stop: 7 }, decoder, { ...options(plain), tokenizer_name: chat })).toContain(
      "template",
    );
  });

  test("tokens without text, the length's end, and an adapter", () => {
    expect(nothingWritten({ tokens: 1, stop: 7 }, decoder, options(plain))).toContain(
      'after 1 token without text, with "<|token_7|>"',
    );
    expect(nothingWritten({ tokens: 3, stop: null }, decoder, options(plain))).toContain(
      "all 3 tokens are without text.",
    );
    expect(nothingWritten({ tokens: 0, stop: 7 }, decoder, options(plain, "a"))).toContain(
      "that the adapter was trained on",
    );
  });

  test("templates in every place, and damaged ones", () => {
    const several = [
      { name: "default", template: "one" },
      { name: "tools", template: "two" },
    ];
    expect(templateOf(folder("several", { "tokenizer_config.json": { chat_template: several } }))).toBe("one");
    expect(templateOf(chat)).toBe(CHATML);
    for (const [i, config] of [
      "{",
      "[]",
      { chat_template: 3 },
      { chat_template: [] },
      { chat_template: [null] },
    ].entries())
      expect(templateOf(folder(`damaged-${i}`, { "tokenizer_config.json": config }))).toBeUndefined();
    expect(templateOf(work.path("nowhere"))).toBeUndefined();
  });
});
