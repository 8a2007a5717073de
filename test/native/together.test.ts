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

describe("a beginning that texts share", () => {
  const greedy = { temperature: 0, topK: 0, topP: 1, seed: 0 };

  /** Texts whose prompts begin alike, each written alone and then with the keys and values of the one before; and the FLOP of both prompts. */
  async function shared(model: ModelSource, precision: Precision, lengths: [number, number][], maxTokens: number) {
    const most = Math.max(...lengths.map(([n]) => n)) + 6;
    const targets = resolveTargets(model, "all-linear").modules;
    const adapter = { rank: 3, alpha: 6, dropout: 0, useRslora: false, targets, seed: 5 };
    const size = { maxTokens, maxSequence: most, cacheTokens: most, texts: 3 };
    const options = { precision, threads: 2, training: false, profile: true, ...size };
    await using engine = await Engine.create(model, adapter, options);
    const tensors = await engine.adapter();
    for (const { data } of tensors.values()) data.set(data.map((_, i) => Math.sin(i) / 8));
    await engine.setAdapter(tensors);
    const vocabulary = model.config.vocabSize;
    const flop = async () => {
      const { events } = await engine.profile();
      return events.filter((_, i) => i % 4 === 3).reduce((sum, x) => sum + x, 0);
    };
    /** `own`: the text's number, which its tokens from `same` on depend on. */
    const write = async (own: number, n: number, same: number, like?: number) => {
      const prompt = Int32Array.from({ length: n }, (_, i) => (i < same ? 7 * i + 1 : 5 * i + own) % vocabulary);
      await flop();
      const how = { temperature: 1.5, topK: 0, topP: 1, seed: own };
      const tokens = [await engine.generateStart(prompt, how, 0, own % 3, like)];
      const used = await flop();
      while (tokens.length < 6) tokens.push(await engine.generateNext(tokens.at(-1)!, own % 3));
      return { tokens, used };
    };
    const found = [];
    for (const [own, [n, same]] of lengths.entries()) found.push({ alone: await write(own, n, same), n, same });
    await write(2, most - 6, most);
    const all = [];
    for (const [own, { n, same, alone }] of found.entries()) {
      const like = own === 0 ? 2 : (own - 1) % 3;
      const together = await write(own, n, same, like);
      expect(together.tokens, `${n} tokens, ${same} of them shared`).toEqual(alone.tokens);
      all.push(together.used / alone.used);
    }
    return all;
  }

  for (const precision of ["fp32", "bf16"] as const) {
    test(precision, async () => {
      const lengths: [number, number][] = [
        [150, 150], // the very prompt
        [150, 100],
        [131, 99],
        [97, 97],
        [40, 40], // too short to be shared
      ];
      const used = await shared(openModel(tinyBase), precision, lengths, 150);
      expect(used[0]).toBeLessThan(0.5);
      expect(used[1]).toBeLessThan(0.5);
      expect(used[4]).toBe(1);
    });
  }

  test("prompts longer than a piece", async () => {
    const lengths: [number, number][] = [
      [300, 300],
      [300, 260],
      [200, 170],
      [128, 128],
    ];
    const used = await shared(openModel(tinyBase), "bf16", lengths, 128);
    expect(Math.max(...used)).toBeLessThan(0.5);
  });

  test("a text in its own place", async () => {
    const model = openModel(tinyBase);
    const size = { maxTokens: 80, maxSequence: 80, cacheTokens: 80, texts: 1 };
    await using engine = await Engine.create(model, null, { precision: "fp32", threads: 1, training: false, ...size });
    const prompts = [3, 4].map((last) => Int32Array.from({ length: 70 }, (_, i) => (i < 69 ? 7 * i + 1 : last) % 200));
    const write = async (prompt: Int32Array, like?: number) => {
      const tokens = [await engine.generateStart(prompt, greedy, 0, 0, like)];
      while (tokens.length < 8) tokens.push(await engine.generateNext(tokens.at(-1)!));
      return tokens;
    };
    await expect(engine.generateStart(prompts[0]!, greedy, 0, 0, 1)).rejects.toMatchObject({ code: "E_STATE" });
    const alone = [await write(prompts[0]!), await write(prompts[1]!)];
    expect([await write(prompts[0]!, 0), await write(prompts[1]!, 0)]).toEqual(alone);
  });

  test("LLM.int8: outliers are of a whole prompt", async () => {
    const model = quantizedSource(openModel(tinyBase), { ...asIs, use_8bit: true, quant_type: "llm_int8" }, () => {});
    expect(await shared(model, "bf16", [[150, 150]], 150)).toEqual([1]);
  });
});

test.each(["rope-dynamic", "phi3"])(
  "%s: prompts longer than a piece have the angles of the whole prompt",
  async (name) => {
    const model = openModel(join(GOLDENS, name));
    const written = [];
    for (const maxTokens of [8, 56]) {
      const size = { maxTokens, maxSequence: 64, cacheTokens: 64 };
      await using engine = await Engine.create(model, null, {
        precision: "fp32",
        threads: 2,
        training: false,
        ...size,
      });
      const texts = [];
      for (let seed = 0; seed < 60; seed++) {
        const prompt = Int32Array.from({ length: 56 }, (_, i) => ((i + 3) * (2 * seed + 5) + ((i * i) >> 2)) % 100);
        const tokens = [await engine.generateStart(prompt, { temperature: 0, topK: 0, topP: 1, seed: 0 })];
        while (tokens.length < 8) tokens.push(await engine.generateNext(tokens.at(-1)!));
        texts.push(tokens);
      }
      written.push(texts);
    }
    expect(written[0]).toEqual(written[1]);
  },
);

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
