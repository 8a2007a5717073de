import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readAdapter, writeMerged, writeQuantized } from "../../src/checkpoint/index.js";
import { Tokenizer } from "../../src/data/index.js";
import { listLinears, openModel, readSafetensorsHeader, widen, writeSafetensors } from "../../src/model/index.js";
import { type Batch, Engine, type ModelSource, type PlainDtype } from "../../src/native/index.js";
import { openBase } from "../../src/setup/base.js";
import { copyGolden, errorOf, rewriteTensors, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { goldensFolder, largestDifference } from "../support/golden.js";
import { randomAdapter } from "../support/random-adapter.js";

const folder = temporaryFolders();
const options = { precision: "fp32", threads: 2, maxTokens: 32, maxSequence: 32, training: false } as const;
const IDS = Int32Array.from({ length: 20 }, (_, i) => (i * 37) % 60);
const batch: Batch = { sequences: [{ inputIds: IDS }] };

/** An engine with a golden's trained adapter. */
async function openAdapted(source: string) {
  const model = openModel(source);
  const adapter = readAdapter(join(source, "final"), model);
  const engine = await Engine.create(model, adapter.spec, options);
  await engine.setAdapter(adapter.tensors);
  const { targets, whole, tokens, bias: biases } = adapter.spec;
  return { model, modules: [...targets, ...whole!], tokens, biases, engine };
}

/** Bytes of every tensor of a model folder, by name. */
function tensorBytes(path: string): Map<string, Buffer> {
  const { tensors } = openModel(path);
  return new Map(tensors.map((t) => [t.name, readFileSync(t.file).subarray(t.offset, t.offset + t.bytes)]));
}

/** A file's header without the file's own name. */
function headerOf(file: string) {
  const { tensors, ...header } = readSafetensorsHeader(file);
  return { ...header, tensors: tensors.map(({ file: _, ...tensor }) => tensor) };
}

/** Splits a golden's weights into two shards. */
async function shard(source: string): Promise<void> {
  const file = join(source, "model.safetensors");
  const bytes = readFileSync(file);
  const { tensors } = readSafetensorsHeader(file);
  const shardOf = (name: string) => `model-0000${name.includes("layers.1") ? 2 : 1}-of-00002.safetensors`;
  for (const shard of new Set(tensors.map(({ name }) => shardOf(name)))) {
    const group = tensors
      .filter(({ name }) => shardOf(name) === shard)
      .map(({ begin, end, ...t }) => ({ ...t, bytes: end - begin, data: bytes.subarray(begin, end) }));
    await writeSafetensors(join(source, shard), group, { format: "pt", note: shard });
  }
  const weight_map = Object.fromEntries(tensors.map(({ name }) => [name, shardOf(name)]));
  writeIn(source, "model.safetensors.index.json", JSON.stringify({ metadata: {}, weight_map }));
  rmSync(file);
}

describe.each([
  "mha-tied",
  "gqa-untied",
  "stored-bf16",
  "odd-sizes-f16",
  "bias-head-dim",
  "dora",
  "lora-bias-plus",
  "whole-untied",
])("%s", (name) => {
  test("merged weights are the engine's, all others the base's, byte for byte", async () => {
    const source = join(goldensFolder, name);
    const { model, modules, biases, engine } = await openAdapted(source);
    const output = join(folder(), "merged");
    const progress: [number, number][] = [];
    await writeMerged({ engine, model, modules, biases, output, onProgress: (...at) => progress.push(at) });

    const header = headerOf(join(source, "model.safetensors"));
    expect(headerOf(join(output, "model.safetensors"))).toEqual(header);
    const [base, merged] = [tensorBytes(source), tensorBytes(output)];
    const changed = [...base].filter(([key, bytes]) => !bytes.equals(merged.get(key)!)).map(([key]) => key);
    const parts = biases ? ["weight", "bias"] : ["weight"];
    expect(changed.sort()).toEqual(modules.flatMap((module) => parts.map((part) => `${module}.${part}`)).sort());
    for (const module of modules) {
      expect(merged.get(`${module}.weight`)!.equals(await engine.mergedWeight(module))).toBe(true);
    }
    expect(readdirSync(output).sort()).toEqual(["config.json", "generation_config.json", "model.safetensors"]);
    expect(progress.at(-1)).toEqual([header.tensors.length, header.tensors.length]);
    expect(progress.length).toBe(header.tensors.length);

    await using plain = await Engine.create(openModel(output), null, options);
    const { difference, scale } = largestDifference(await plain.logits(batch), await engine.logits(batch));
    expect(difference / scale).toBeLessThan(name === "stored-bf16" ? 3e-2 : name === "odd-sizes-f16" ? 4e-3 : 1e-5);
    await engine.close();
  });
});

test("shards keep their names, headers and index", async () => {
  const source = copyGolden("gqa-untied", folder());
  const single = await openAdapted(source);
  const expected = join(folder(), "single");
  await writeMerged({ ...single, output: expected });
  await single.engine.close();
  await shard(source);

  const { model, modules, engine } = await openAdapted(source);
  const output = join(folder(), "sharded");
  await writeMerged({ engine, model, modules, output });
  await engine.close();
  expect([...tensorBytes(output)].sort()).toEqual([...tensorBytes(expected)].sort());
  for (const name of ["model.safetensors.index.json", "config.json"]) {
    expect(readFileSync(join(output, name)).equals(readFileSync(join(source, name)))).toBe(true);
  }
  for (const name of readdirSync(source).filter((name) => /^model-.*safetensors$/.test(name))) {
    expect(headerOf(join(output, name))).toEqual(headerOf(join(source, name)));
  }
});

describe("the output folder", () => {
  async function merge(output: string, more: { overwrite?: boolean; tokenizer?: Tokenizer } = {}, source?: string) {
    const { engine, ...rest } = await openAdapted(source ?? join(goldensFolder, "mha-tied"));
    try {
      await writeMerged({ ...rest, engine, output, ...more });
    } finally {
      await engine.close();
    }
  }

  test("the tokenizer's files are the given one's, else the base's", async () => {
    const given = join(folder(), "given");
    await merge(given, { tokenizer: await Tokenizer.open(tinyBase) });
    expect(readdirSync(given)).toContain("tokenizer.json");
    const source = copyGolden("mha-tied", folder());
    cpSync(join(tinyBase, "tokenizer.json"), join(source, "tokenizer.json"));
    writeIn(source, "chat_template.jinja", "{{ messages }}");
    const own = join(folder(), "own");
    await merge(own, {}, source);
    expect(readdirSync(own)).toEqual(expect.arrayContaining(["tokenizer.json", "chat_template.jinja"]));
  });

  test("an empty one is used, one with files refused", async () => {
    const output = folder();
    await merge(output);
    expect(readdirSync(output)).toContain("model.safetensors");
    const error = await errorOf(() => merge(output));
    expect(error).toMatchObject({ code: "E_OUTPUT_EXISTS", where: output });
    expect(error.message).toMatch(/is not empty: it holds config.json, generation_config.json/);
  });

  test("a merged model is replaced where that is asked for, anything else never", async () => {
    const output = folder();
    await merge(output);
    await merge(output, { overwrite: true, tokenizer: await Tokenizer.open(tinyBase) });
    expect(readdirSync(output)).toContain("tokenizer.json");
    await merge(output, { overwrite: true });
    expect(readdirSync(output)).not.toContain("tokenizer.json");
    writeIn(output, "thesis.txt", "");
    const error = await errorOf(() => merge(output, { overwrite: true }));
    expect(error.code).toBe("E_OUTPUT_EXISTS");
    expect(error.message).toContain("it holds thesis.txt");
  });

  test("a merge that fails leaves nothing", async () => {
    const parent = folder();
    const { model, engine, modules } = await openAdapted(join(goldensFolder, "mha-tied"));
    let tensors = 0;
    const stop = () => {
      if (++tensors === 5) throw new Error("stop");
    };
    const output = join(parent, "merged");
    await expect(writeMerged({ model, engine, modules, output, onProgress: stop })).rejects.toThrow("stop");
    expect(readdirSync(parent)).toEqual([]);
    await engine.close();
    const closed = await errorOf(() => writeMerged({ model, engine, modules, output }));
    expect(closed.code).toBe("E_CLOSED");
    expect(readdirSync(parent)).toEqual([]);
  });
});

describe("merged onto the weights that were trained on", () => {
  const BASE = { base_model: tinyBase, use_4bit: false, use_8bit: false, double_quant: true, quantize_skip: undefined };
  const logitsOf = async (engine: Engine) => engine.logits(batch);
  /** What a folder that is merged so gives, beside base and adapter. */
  async function merged(model: ModelSource, adapter: string, output: string) {
    const { spec, tensors } = readAdapter(adapter, model);
    await using engine = await Engine.create(model, spec, options);
    await engine.setAdapter(tensors);
    await writeMerged({ engine, model, modules: spec.targets, biases: spec.bias, output, decodes: true });
    await using plain = await Engine.create(openModel(output), null, options);
    return { wanted: await logitsOf(engine), found: await logitsOf(plain) };
  }

  test.each([
    ["nf4", { use_4bit: true }],
    ["int8", { use_8bit: true }],
  ])("%s: the quantised folder and the folder that is quantised as it is loaded", async (_, quantize) => {
    const work = folder();
    const adapter = await randomAdapter(join(work, "adapter"), { target_modules: ["q_proj", "o_proj", "down_proj"] });
    // In f32, so that nothing but the order of sums is rounded.
    const wide = join(work, "wide");
    await widenedBase(wide);
    const model = openBase({ ...BASE, base_model: wide, ...quantize, quantize_skip: ["gate_proj"] }, () => {});
    const loading = await merged(model, adapter, join(work, "loading"));
    const { difference, scale } = largestDifference(loading.found, loading.wanted);
    expect(difference / scale).toBeLessThan(1e-5);
    // Linears without an adapter are decoded, too.
    const [stored, decoded] = [tensorBytes(wide), tensorBytes(join(work, "loading"))];
    const changed = [...stored].filter(([name, bytes]) => !bytes.equals(decoded.get(name)!)).map(([name]) => name);
    const quantised = listLinears(model).flatMap(({ name }) => (name.endsWith("gate_proj") ? [] : [`${name}.weight`]));
    expect(changed.sort()).toEqual(quantised.sort());

    const tokenizer = await Tokenizer.open(tinyBase);
    const written = join(work, "quantised");
    await writeQuantized({ model, output: written, tokenizer, threads: 2 });
    const fromFolder = await merged(openModel(written), adapter, join(work, "folder"));
    expect(fromFolder.found).toEqual(loading.found);
    expect(JSON.parse(readFileSync(join(work, "folder/config.json"), "utf8"))).not.toHaveProperty(
      "quantization_config",
    );
    const refused = await errorOf(() => mergedStored(openModel(written), adapter, join(work, "refused")));
    expect(refused).toMatchObject({ code: "E_QUANTIZED" });
    expect(refused.message).toContain("--merge_onto trained");
  });

  // The embedding and the head are not quantised. Where the head is the embedding and one of them trains whole, both are written.
  test.each([
    ["whole-untied", { use_4bit: true }, ["model.embed_tokens", "lm_head"], false],
    ["whole-gemma2", { use_8bit: true }, ["model.embed_tokens"], false],
    ["whole-bloom", { use_4bit: true }, ["transformer.word_embeddings", "lm_head"], false],
    ["tokens-gemma2", { use_4bit: true }, [], true],
    ["tokens-untied", { use_8bit: true }, [], false],
  ])("%s, %o: tables that train are the adapter's", async (name, quantize, whole, isTied) => {
    const source = join(goldensFolder, name);
    const loading = openBase({ ...BASE, base_model: source, ...quantize }, () => {});
    const written = join(folder(), "quantised");
    await writeQuantized({ model: loading, output: written, tokenizer: await Tokenizer.open(tinyBase), threads: 2 });
    const found = [];
    for (const model of [loading, openModel(written)]) {
      const { spec, tensors } = readAdapter(join(source, "final"), model);
      expect(spec.whole).toEqual(whole);
      await using engine = await Engine.create(model, spec, options);
      await engine.setAdapter(tensors);
      const output = join(folder(), "merged");
      const modules = [...spec.targets, ...whole];
      await writeMerged({ engine, model, modules, tokens: spec.tokens!, output, decodes: true });
      const merged = openModel(output);
      expect(merged.spec.tiedHead).toBe(isTied);
      for (const module of whole) {
        const { data } = tensors.get(`${module}.weight`)!;
        const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
        expect(tensorBytes(output).get(`${module}.weight`)!.equals(bytes), module).toBe(true);
      }
      await using plain = await Engine.create(merged, null, options);
      const [ours, wanted] = [await plain.logits(batch), await engine.logits(batch)];
      const { difference, scale } = largestDifference(ours, wanted);
      expect(difference / scale).toBeLessThan(1e-5);
      found.push(ours);
    }
    expect(found[1]).toEqual(found[0]);
  });

  /** The tiny base in f32. */
  async function widenedBase(to: string) {
    cpSync(tinyBase, to, { recursive: true });
    const tensors = openModel(tinyBase).tensors.map(({ name, shape, file, offset, bytes, dtype }) => {
      const stored = new Uint8Array(readFileSync(file).subarray(offset, offset + bytes));
      const data = new Uint8Array(widen(stored, dtype as PlainDtype).buffer);
      return { name, dtype: "F32", shape, bytes: data.length, data };
    });
    await writeSafetensors(join(to, "model.safetensors"), tensors, { format: "pt" });
  }

  async function mergedStored(model: ModelSource, adapter: string, output: string) {
    const { spec, tensors } = readAdapter(adapter, model);
    await using engine = await Engine.create(model, spec, options);
    await engine.setAdapter(tensors);
    await writeMerged({ engine, model, modules: spec.targets, output });
  }
});

test.each([
  ["tokens-untied", ["model.embed_tokens.weight", "lm_head.weight"], false],
  ["tokens-gemma2", ["model.embed_tokens.weight"], true],
  ["tokens-bloom", ["transformer.word_embeddings.weight"], true],
])("%s: a merged model has the trained rows in the base's tables", async (name, tables, isTied) => {
  const source = join(goldensFolder, name);
  const { engine, ...adapted } = await openAdapted(source);
  const expected = await engine.logits(batch);
  const output = join(folder(), "merged");
  await writeMerged({ engine, ...adapted, output });
  await engine.close();
  expect(readFileSync(join(output, "config.json"))).toEqual(readFileSync(join(source, "config.json")));
  const [base, merged] = [tensorBytes(source), tensorBytes(output)];
  expect([...merged.keys()].sort()).toEqual([...base.keys()].sort());
  const changed = [...base].filter(([key, bytes]) => !bytes.equals(merged.get(key)!)).map(([key]) => key);
  expect(changed.sort()).toEqual([...tables, ...adapted.modules.map((module) => `${module}.weight`)].sort());
  const model = openModel(output);
  expect(model.spec.tiedHead).toBe(isTied);
  await using plain = await Engine.create(model, null, options);
  const { difference, scale } = largestDifference(await plain.logits(batch), expected);
  expect(difference / scale).toBeLessThan(1e-5);
});

test("a head that the files hold beside the embedding that it is has the trained rows, too", async () => {
  const source = copyGolden("tokens-gemma2", folder());
  const embedding = tensorBytes(source).get("model.embed_tokens.weight")!;
  const twin = { name: "lm_head.weight", dtype: "F32", shape: [80, 32], bytes: embedding.length, data: embedding };
  await rewriteTensors(source, (tensor) => tensor, undefined, [twin]);
  const { engine, ...adapted } = await openAdapted(source);
  const output = join(folder(), "merged");
  await writeMerged({ engine, ...adapted, output });
  await engine.close();
  const merged = tensorBytes(output);
  expect(merged.get("lm_head.weight")!.equals(embedding)).toBe(false);
  expect(merged.get("lm_head.weight")).toEqual(merged.get("model.embed_tokens.weight"));
});

// Of these bases the head is the embedding.
test.each([
  ["whole-bloom", ["transformer.word_embeddings.weight", "lm_head.weight"], false],
  ["whole-gemma2", ["model.embed_tokens.weight", "lm_head.weight"], true],
] as const)("%s: a merged model has an embedding and a head", async (name, tables, sharded) => {
  const source = join(folder(), "base");
  cpSync(join(goldensFolder, name), source, { recursive: true });
  if (sharded) await shard(source);
  const { engine, ...adapted } = await openAdapted(source);
  const expected = await engine.logits(batch);
  const output = join(folder(), "merged");
  await writeMerged({ engine, ...adapted, output });
  await engine.close();

  expect(JSON.parse(readFileSync(join(output, "config.json"), "utf8")).tie_word_embeddings).toBe(false);
  // transformers refuses 3 where it expects 3.0; 1e-05 and 0.00001 are alike.
  const lines = (path: string) =>
    readFileSync(join(path, "config.json"), "utf8")
      .split(/,?\n/)
      .filter((line) => !line.includes("tie_word"))
      .map((line) => line.replace(/\d[\d.]*e-\d+$/, (number) => String(Number(number))));
  expect(lines(output).sort()).toEqual(lines(source).sort());
  const merged = openModel(output);
  expect(merged.tensors.map((tensor) => tensor.name)).toEqual(expect.arrayContaining([...tables]));
  await using own = await Engine.create(merged, null, options);
  const { difference, scale } = largestDifference(await own.logits(batch), expected);
  expect(difference / scale).toBeLessThan(1e-5);
});
