// GGUF files of each family, made of the goldens as llama.cpp's converter makes them: the numbers of the folder, bit for bit.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readAdapter } from "../../src/checkpoint/adapter.js";
import { Tokenizer } from "../../src/data/index.js";
import { exportAdapter, exportModel } from "../../src/export/index.js";
import { openModel, readGgufHeader } from "../../src/model/index.js";
import { Engine, type ModelSource } from "../../src/native/index.js";
import { convert } from "../support/convert.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";
import { goldensFolder, readReference, toBatch } from "../support/golden.js";
import { hasLlama, likeliestDifference, logProbabilities, logSoftmax } from "../support/llama-cpp.js";

const folder = temporaryFolders();

interface Case {
  golden: string;
  /** The converter's family, where it is not the golden's name. */
  how?: string;
  /** Keys of config.json in other values, where a GGUF file cannot say the golden's. */
  keys?: Record<string, unknown>;
  /** Tensors that the converter, or llama.cpp, does not know. */
  without?: RegExp;
  /** llama.cpp loads no such file: a tied head, norms of heads below 64 layers, linears without biases. */
  unloaded?: true;
}

const CASES: Case[] = [
  { golden: "gemma" },
  { golden: "gemma2", keys: { query_pre_attn_scalar: 12 } },
  { golden: "gemma3", keys: { query_pre_attn_scalar: 12, layer_types: null } },
  { golden: "phi3" },
  { golden: "olmo2", unloaded: true },
  { golden: "smollm3", keys: { no_rope_layers: null, no_rope_layer_interval: 4, layer_types: null } },
  { golden: "granite" },
  { golden: "cohere", unloaded: true },
  { golden: "cohere", keys: { use_qk_norm: false }, without: /_norm\.weight$/ },
  { golden: "gpt2" },
  { golden: "gpt-neox" },
  {
    golden: "gpt-neox-serial",
    how: "gpt-neox",
    keys: { rope_parameters: { partial_rotary_factor: 0.5, rope_theta: 10000 } },
    unloaded: true,
  },
  { golden: "bloom" },
  { golden: "falcon-7b", how: "falcon" },
  { golden: "falcon-40b", how: "falcon", keys: { bias: false }, without: /(self_attention|[^_]mlp)\..*bias$/ },
  { golden: "phi", keys: { qk_layernorm: false }, without: /[qk]_layernorm/ },
  { golden: "stablelm", keys: { qk_layernorm: false }, without: /[qk]_layernorm/ },
];

/** The golden as a folder with these keys, and as a GGUF file. */
function both({ golden, how, keys = {}, without }: Case): { plain: string; gguf: string } {
  const plain = join(folder(), "model");
  cpSync(join(goldensFolder, golden), plain, { recursive: true });
  const file = join(plain, "config.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...keys }));
  const keep = (name: string) => !(name.includes("layers.") || name.includes(".h.")) || !without?.test(name);
  return { plain, gguf: convert(plain, join(folder(), "model.gguf"), how ?? golden, keep) };
}

/** Loss and gradients of the golden's batch with its first adapter, and logits. */
async function passes(model: ModelSource, golden: string) {
  const { spec, tensors } = readAdapter(join(goldensFolder, golden, "initial"), model);
  const options = { precision: "fp32", threads: 1, maxTokens: 512, maxSequence: 64, training: true } as const;
  await using engine = await Engine.create(model, spec, options);
  await engine.setAdapter(tensors);
  const reference = readReference(golden);
  const batch = toBatch(reference.batch);
  await engine.forwardBackward(batch, 1 / reference.supervised_tokens, 0);
  return {
    loss: (await engine.evaluate(batch)) / reference.supervised_tokens,
    gradients: await engine.gradients(),
    logits: await engine.logits(batch),
  };
}

describe.each(CASES)("$golden $keys", (each) => {
  test("loss, logits and gradients are those of the folder", async () => {
    const { plain, gguf } = both(each);
    const [theirs, ours] = [openModel(plain), openModel(gguf)];
    const [wanted, found] = [await passes(theirs, each.golden), await passes(ours, each.golden)];
    expect(found.logits.every(Number.isFinite)).toBe(true);
    if (each.golden === "phi3") {
      // The factor of cos and sin is stored as f32.
      expect(Math.abs(found.loss / wanted.loss - 1)).toBeLessThan(1e-6);
    } else {
      expect(found.logits).toEqual(wanted.logits);
      expect(found.gradients).toEqual(wanted.gradients);
    }
    if (!each.keys) expect(Math.abs(found.loss / readReference(each.golden).loss - 1)).toBeLessThan(1e-4);
  });
});

/** The stored bytes of each tensor, with its shape and type. */
function contents(file: string) {
  const { tensors, metadata } = readGgufHeader(file);
  const bytes = readFileSync(file);
  const stored = tensors.map(({ name, shape, type, offset, bytes: size }) => {
    return [name, { shape, type, data: bytes.subarray(offset, offset + size!) }] as const;
  });
  return { tensors: Object.fromEntries(stored), metadata };
}

test.each(CASES)("an export of $golden $keys is the converter's file", async (each) => {
  const { plain, gguf } = both(each);
  const read = openModel(plain);
  const used = new Set(openModel(gguf).tensors.map(({ name }) => name));
  const model = { ...read, tensors: read.tensors.filter(({ name }) => used.has(name)) };
  const file = join(folder(), "export.gguf");
  const shape = { precision: "fp32", threads: 1, maxTokens: 1, maxSequence: 1, training: false } as const;
  await using engine = await Engine.create(model, null, shape);
  await exportModel({ engine, model, modules: [], tokenizer: await Tokenizer.open(tinyBase), file, dtype: "f32" });
  const [ours, theirs] = [contents(file), contents(gguf)];
  expect(ours.tensors).toEqual(theirs.tensors);
  const prefix = `${theirs.metadata.get("general.architecture")}.`;
  for (const [key, value] of theirs.metadata) {
    // The converter has lengths of its own for Falcon and BLOOM. "none" is no scaling.
    if (!key.startsWith(prefix) || key.endsWith(".context_length") || value === "none") continue;
    if (typeof value === "number")
      expect(Math.abs((ours.metadata.get(key) as number) - value), key).toBeLessThanOrEqual(1e-6 * value);
    else expect(ours.metadata.get(key), key).toBe(value);
  }
});

/** llama.cpp multiplies f32 by f32, but takes GELU from a table of f16. */
const BOUNDS = { gelu: 5e-3, others: 1e-4 };

describe.skipIf(!hasLlama)("in llama.cpp", () => {
  const ids = Array.from({ length: 20 }, (_, i) => (1 + 7919 * i) % 70);
  const loaded = CASES.filter(({ unloaded }) => !unloaded);

  /** Of the file as a base, with the golden's adapter. @param adapter its folder; null: the base alone */
  async function ours(gguf: string, adapter: string | null): Promise<{ wanted: Float64Array; bound: number }> {
    const model = openModel(gguf);
    const read = adapter === null ? null : readAdapter(adapter, model);
    const shape = { precision: "fp32", threads: 1, maxTokens: 32, maxSequence: 32, training: false } as const;
    await using engine = await Engine.create(model, read?.spec ?? null, shape);
    if (read) await engine.setAdapter(read.tensors);
    const logits = await engine.logits({ sequences: [{ inputIds: Int32Array.from(ids) }] });
    const wanted = logSoftmax(logits.subarray((ids.length - 1) * model.config.vocabSize));
    return { wanted, bound: model.spec.block.mlp.activation === "silu" ? BOUNDS.others : BOUNDS.gelu };
  }

  test.each(loaded)(
    "$golden $keys",
    async (each) => {
      const { gguf } = both(each);
      const { wanted, bound } = await ours(gguf, null);
      expect(likeliestDifference(logProbabilities(gguf, ids), wanted)).toBeLessThan(bound);
    },
    120_000,
  );

  test.each(loaded)(
    "$golden $keys with an exported adapter",
    async (each) => {
      const { plain, gguf } = both(each);
      const adapter = join(goldensFolder, each.golden, "final");
      const file = join(folder(), "lora.gguf");
      await exportAdapter(adapter, openModel(plain), file, "f32");
      const found = logProbabilities(gguf, ids, file);
      const { wanted, bound } = await ours(gguf, adapter);
      expect(likeliestDifference(found, wanted)).toBeLessThan(bound);
      // The bound tells whether the adapter is there.
      expect(likeliestDifference(found, (await ours(gguf, null)).wanted)).toBeGreaterThan(2 * bound);
    },
    120_000,
  );
});
