// Texts that go through the model together: each is the text that is written alone, bit for bit.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel, resolveTargets } from "../../src/model/index.js";
import { Engine, type ModelSource, type Precision } from "../../src/native/index.js";
import { quantizedSource } from "../../src/setup/base.js";
import { root, tinyBase } from "../support/tiny.js";

const GOLDENS = join(root, "test/goldens");
const goldens = readdirSync(GOLDENS, { withFileTypes: true }).filter(({ name }) =>
  existsSync(join(GOLDENS, name, "config.json")),
);
const asIs = { use_4bit: false, use_8bit: false, double_quant: false, quantize_skip: undefined };

/** Tokens of texts of several lengths, alone and together. The temperature is high: another bit would soon be another token. */
async function both(model: ModelSource, precision: Precision, texts: number): Promise<[number[][], number[][]]> {
  const targets = resolveTargets(model, "all-linear").modules;
  const adapter = { rank: 3, alpha: 6, dropout: 0, useRslora: false, targets, seed: 5 };
  const size = { maxTokens: 24, maxSequence: 24, cacheTokens: 24, texts };
  await using engine = await Engine.create(model, adapter, { precision, threads: 2, training: false, ...size });
  const tensors = await engine.adapter();
  for (const { data } of tensors.values()) data.set(data.map((_, i) => Math.sin(i) / 8));
  await engine.setAdapter(tensors);
  const start = (text: number) => {
    const prompt = Int32Array.from({ length: 1 + (text % 7) }, (_, i) => (7 * i + 3 * text) % model.config.vocabSize);
    return engine.generateStart(prompt, { temperature: 1.5, topK: 0, topP: 1, seed: text }, 0, text);
  };
  const numbers = Array.from({ length: texts }, (_, text) => text);
  const alone: number[][] = [];
  for (const text of numbers) {
    const tokens = [await start(text)];
    while (tokens.length < 12) tokens.push(await engine.generateNext(tokens.at(-1)!, text));
    alone.push(tokens);
  }
  const together: number[][] = [];
  for (const text of numbers) together.push([await start(text)]);
  // Another order of texts, and one fewer in between, change nothing.
  const order = Int32Array.from(numbers).reverse();
  while (together[0]!.length < 12) {
    const some = together[0]!.length === 5 ? order.subarray(0, 0) : order;
    const going = some.length > 0 ? some : order.subarray(1);
    const next = await engine.generateNextOf(
      going,
      going.map((text) => together[text]!.at(-1)!),
    );
    for (const [i, text] of going.entries()) together[text]!.push(next[i]!);
    if (going.length < texts)
      together[order[0]!]!.push(await engine.generateNext(together[order[0]!]!.at(-1)!, order[0]!));
  }
  return [alone, together];
}

describe("every family", () => {
  for (const { name } of goldens) {
    test(name, async () => {
      const [alone, together] = await both(openModel(join(GOLDENS, name)), "bf16", 3);
      expect(together).toEqual(alone);
    });
  }
});

describe("more texts than go through at a time", () => {
  for (const precision of ["fp32", "bf16"] as const) {
    for (const [name, quantize] of [
      ["plain", {}],
      ["nf4", { use_4bit: true }],
      ["int8", { use_8bit: true }],
      ["LLM.int8", { use_8bit: true, quant_type: "llm_int8" }],
    ] as const) {
      test(`${name}, ${precision}`, async () => {
        const model = quantizedSource(openModel(tinyBase), { ...asIs, ...quantize }, () => {});
        const [alone, together] = await both(model, precision, 21);
        expect(together).toEqual(alone);
      });
    }
  }
});

test("texts that cannot go together are errors", async () => {
  const model = openModel(tinyBase);
  const size = { maxTokens: 8, maxSequence: 8, cacheTokens: 8, texts: 2 };
  await using engine = await Engine.create(model, null, { precision: "fp32", threads: 1, training: false, ...size });
  const next = (texts: number[], tokens: number[]) =>
    engine.generateNextOf(Int32Array.from(texts), Int32Array.from(tokens));
  await expect(next([0], [1])).rejects.toMatchObject({ code: "E_STATE" });
  await engine.generateStart(Int32Array.of(1), { temperature: 0, topK: 0, topP: 1, seed: 0 }, 0, 0);
  await expect(next([0, 0], [1, 1])).rejects.toMatchObject({ code: "E_ARGUMENT", message: "Text 0 is named twice." });
  await expect(next([0], [1, 1])).rejects.toMatchObject({ code: "E_ARGUMENT" });
  await expect(next([], [])).rejects.toMatchObject({ code: "E_ARGUMENT" });
  await expect(next([2], [1])).rejects.toMatchObject({ code: "E_STATE" });
  await expect(next([0], [model.config.vocabSize])).rejects.toMatchObject({ code: "E_PROMPT" });
  expect(await next([0], [1])).toHaveLength(1);
});
