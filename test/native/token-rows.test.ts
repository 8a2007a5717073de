// Rows of single tokens that train in the place of the base's (PEFT's trainable_token_indices). The goldens tokens-* hold them against PEFT.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openModel, widen } from "../../src/model/index.js";
import { type AdapterSpec, BASE, Engine, type ModelSource, planMemory } from "../../src/native/index.js";
import { errorOf, tinyBase } from "../support/folders.js";
import { goldensFolder, readReference, toBatch } from "../support/golden.js";

const options = { precision: "fp32", threads: 2, maxTokens: 128, maxSequence: 64, training: true } as const;
const batch = toBatch(readReference("stored-bf16").batch);
const tied = openModel(join(goldensFolder, "stored-bf16"));
const IDS = [100, 3, 57];
const plain: AdapterSpec = {
  rank: 2,
  alpha: 4,
  dropout: 0,
  useRslora: false,
  targets: ["model.layers.1.self_attn.q_proj"],
  seed: 1,
};
const spec: AdapterSpec = { ...plain, tokens: [{ module: "model.embed_tokens", ids: IDS }] };
const NAME = "model.embed_tokens.token_adapter.trainable_tokens_delta";

/** Rows of a stored matrix. */
function rowsOf({ tensors }: ModelSource, name: string, ids: number[]): number[] {
  const { file, offset, bytes, shape, dtype } = tensors.find((tensor) => tensor.name === name)!;
  const all = widen(new Uint8Array(readFileSync(file).subarray(offset, offset + bytes)), dtype as "bf16");
  return ids.flatMap((id) => [...all.subarray(id * shape[1]!, (id + 1) * shape[1]!)]);
}

test("they begin as the base's rows, in f32, and change nothing", async () => {
  await using engine = await Engine.create(tied, spec, options);
  const { shape, data } = (await engine.adapter()).get(NAME)!;
  expect(shape).toEqual([3, 64]);
  expect([...data]).toEqual(rowsOf(tied, "model.embed_tokens.weight", IDS));
  await using base = await Engine.create(tied, null, { ...options, training: false });
  expect(await engine.logits(batch)).toEqual(await base.logits(batch));
  expect(await engine.evaluate(batch)).toBe(await base.evaluate(batch));
});

test("changed, they are what the same rows of the base are: logits, loss, text", async () => {
  await using engine = await Engine.create(tied, spec, { ...options, training: false, cacheTokens: 64 });
  const tensors = await engine.adapter();
  const rows = tensors.get(NAME)!.data;
  for (let i = 0; i < rows.length; i++) rows[i] = Math.fround(Math.sin(i) / 4);
  await engine.setAdapter(tensors);
  const whole: AdapterSpec = { ...plain, whole: ["model.embed_tokens", "lm_head"] };
  await using other = await Engine.create(tied, whole, { ...options, training: false, cacheTokens: 64 });
  const tables = await other.adapter();
  for (const name of ["model.embed_tokens.weight", "lm_head.weight"])
    for (const [i, id] of IDS.entries()) tables.get(name)!.data.set(rows.subarray(i * 64, (i + 1) * 64), id * 64);
  await other.setAdapter(tables);
  expect(await engine.logits(batch)).toEqual(await other.logits(batch));
  expect(await engine.evaluate(batch)).toBe(await other.evaluate(batch));
  const write = async (from: Engine) => {
    const sampling = { temperature: 0.8, topK: 0, topP: 1, seed: 5 };
    const tokens = [await from.generateStart(Int32Array.from([3, 57, 8, 100]), sampling)];
    while (tokens.length < 20) tokens.push(await from.generateNext(tokens.at(-1)!));
    return tokens;
  };
  expect(await write(engine)).toEqual(await write(other));
  expect(await engine.logits(batch)).not.toEqual(await engine.logits(batch, BASE));
});

test("their gradients are the rows of the whole tables' gradients", async () => {
  const whole: AdapterSpec = { ...plain, whole: ["model.embed_tokens", "lm_head"] };
  await using engine = await Engine.create(tied, spec, options);
  await using other = await Engine.create(tied, whole, options);
  for (const each of [engine, other]) await each.forwardBackward(batch, 0.01, 0);
  const [ours, tables] = [(await engine.gradients()).get(NAME)!.data, await other.gradients()];
  const [embedding, head] = ["model.embed_tokens.weight", "lm_head.weight"].map((name) => tables.get(name)!.data);
  let largest = 0;
  for (const [i, id] of IDS.entries()) {
    for (let c = 0; c < 64; c++) {
      const expected = embedding![id * 64 + c]! + head![id * 64 + c]!;
      largest = Math.max(largest, Math.abs(ours[i * 64 + c]! - expected));
    }
  }
  expect(largest).toBeLessThan(1e-6);
  expect(Math.max(...ours.map(Math.abs))).toBeGreaterThan(1e-3);
});

test("one that is added to an engine without them trains as it does alone", async () => {
  const steps = async (engine: Engine, adapter: number) => {
    for (let i = 0; i < 3; i++) {
      await engine.forwardBackward(batch, 0.01, i, { adapter });
      await engine.optimizerStep({ learningRate: 1e-2, weightDecay: 0.1, maxGradNorm: 1 }, adapter);
    }
    return engine.adapter(adapter);
  };
  for (const precision of ["fp32", "bf16"] as const) {
    await using alone = await Engine.create(tied, spec, { ...options, precision });
    await using engine = await Engine.create(tied, plain, { ...options, precision });
    const first = await steps(engine, 0);
    expect(await engine.addAdapter(spec)).toBe(1);
    expect(await steps(engine, 1)).toEqual(await steps(alone, 0));
    await using without = await Engine.create(tied, plain, { ...options, precision });
    expect(first).toEqual(await steps(without, 0));
  }
});

test("the plan holds the rows and buffers of a piece, and no table", () => {
  const base = openModel(tinyBase);
  const { vocab, dim } = base.spec;
  const bytes = (own: Partial<AdapterSpec>) => planMemory(base, { ...plain, ...own }, options).totalBytes;
  const added = bytes({ tokens: [{ module: "model.embed_tokens", ids: IDS }] }) - bytes({});
  const [pieces, rows] = [1024 * 4 * (dim + 2 + IDS.length), 16 * IDS.length * dim];
  // The head's rows have a workspace: the transposed input of a chunk, and sums.
  const chunk = dim * (1024 + 32 + vocab) * 4;
  expect(added).toBeLessThan(pieces + rows + chunk + 2 ** 16);
  expect(added).toBeLessThan((bytes({ whole: ["model.embed_tokens", "lm_head"] }) - bytes({})) / 3);
});

describe("what is refused", () => {
  const rows = (module: string, ids: number[]) => ({ ...plain, tokens: [{ module, ids }] });
  test.each([
    [rows("model.norm", [1]), /model.norm: it is neither the embedding nor the head/],
    [rows("lm_head", [1]), /lm_head: the head is the embedding/],
    [rows("model.embed_tokens", [1, 110]), /token 110 is outside the vocabulary of 110/],
    [rows("model.embed_tokens", [1, 4, 1]), /token 1 is given twice/],
    [rows("model.embed_tokens", []), /there are none/],
    [{ ...spec, whole: ["lm_head"] }, /the table trains whole/],
  ])("%#", async (wrong, message) => {
    const error = await errorOf(() => Engine.create(tied, wrong, options));
    expect(error).toMatchObject({ code: "E_TARGET", where: "trainable_token_indices" });
    expect(error.message).toMatch(message);
  });

  test("a head with a bias, whose bias PEFT drops", async () => {
    const model = openModel(join(goldensFolder, "gptj"));
    const wrong = { ...plain, targets: ["transformer.h.1.attn.q_proj"], tokens: [{ module: "lm_head", ids: [1] }] };
    expect((await errorOf(() => Engine.create(model, wrong, options))).message).toContain("a head with a bias");
  });

  test("another device than the CPU", () => {
    expect(() => planMemory(tied, spec, { ...options, device: "cuda:0" })).toThrow(
      expect.objectContaining({ code: "E_OPTIONS", where: "trainable_token_indices" }),
    );
  });
});
