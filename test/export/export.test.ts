// Adapters and merged models as GGUF files: read again by lowrank, by the gguf package and by llama.cpp.
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readAdapter, readFactors } from "../../src/checkpoint/index.js";
import { Tokenizer } from "../../src/data/index.js";
import { checkExportedAdapter, checkExportedModel, exportAdapter, exportModel } from "../../src/export/index.js";
import { type EncodedDtype, openModel, readGgufHeader } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";
import { hasLlama, likeliestDifference, logProbabilities, logSoftmax } from "../support/llama-cpp.js";
import { peerPython, printedByPython } from "../support/python.js";
import { MODULES, randomAdapter } from "../support/random-adapter.js";
import { lowrank } from "../support/tiny.js";

const newFolder = temporaryFolders();
const model = openModel(tinyBase);

const adapterOf = (config: Record<string, unknown>, size?: number) => randomAdapter(newFolder(), config, size);

const VARIANTS: [string, Record<string, unknown>, number][] = [
  ["plain", {}, 16],
  ["rsLoRA", { use_rslora: true }, 4],
  [
    "an alpha and a rank of its own",
    { rank_pattern: { v_proj: 8, down_proj: 2 }, alpha_pattern: { q_proj: 3, v_proj: 32 } },
    2,
  ],
  ["ranks with one alpha", { rank_pattern: { v_proj: 8 } }, 16],
];

describe("an adapter", () => {
  test.each(VARIANTS)("%s: one alpha over each rank is its scale", async (_, config) => {
    const folder = await adapterOf(config);
    const file = join(newFolder(), "lora.gguf");
    await exportAdapter(folder, model, file, "f32");
    const { metadata, tensors } = readGgufHeader(file);
    const alpha = metadata.get("adapter.lora.alpha") as number;
    const factors = readFactors(folder);
    const bytes = readFileSync(file);
    for (const { module, b, rank, scale } of factors) {
      const [, layer, part] = /layers\.(\d+)\.\w+\.(\w+)$/.exec(module)!;
      if (!["v_proj", "down_proj"].includes(part!)) continue;
      const name = part === "v_proj" ? "attn_v" : "ffn_down";
      const tensor = tensors.find((each) => each.name === `blk.${layer}.${name}.weight.lora_b`)!;
      expect(tensor.shape).toEqual([b.length / rank, rank]);
      const stored = bytes.readFloatLE(tensor.offset + 4 * 5);
      expect(Math.abs((stored * alpha) / rank / (b[5]! * scale) - 1)).toBeLessThan(2e-7);
    }
    const { moved, off } = await checkExportedAdapter(file, { model, adapter: folder, threads: 1 });
    expect(moved).toBeGreaterThan(0.1);
    expect(off).toBeLessThan(1e-4 * moved + 1e-5);
  });

  test("the check finds a file whose alpha is another", async () => {
    const folder = await adapterOf({});
    const file = join(newFolder(), "lora.gguf");
    await exportAdapter(folder, model, file, "f32");
    const bytes = readFileSync(file);
    const at = bytes.indexOf("adapter.lora.alpha") + "adapter.lora.alpha".length + 4;
    expect(bytes.readFloatLE(at)).toBe(16);
    bytes.writeFloatLE(15, at);
    writeFileSync(file, bytes);
    await expect(checkExportedAdapter(file, { model, adapter: folder, threads: 1 })).rejects.toThrow(
      /its logits are off by/,
    );
  });

  test("the command refuses a file that is there, and types of models; it removes half a file", async () => {
    const folder = await adapterOf({});
    const file = join(newFolder(), "lora.gguf");
    writeFileSync(file, "mine");
    const args = ["export", folder, "--output_file", file, "--threads", "1"];
    expect((await lowrank(args)).stderr).toMatch(/E_OUTPUT_EXISTS/);
    expect(readFileSync(file, "utf8")).toBe("mine");
    const { code, stdout, stderr } = await lowrank([...args, "--overwrite_output_dir", "--json"]);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ output_file: file, logits_off: expect.any(Number) });
    const other = join(newFolder(), "other.gguf");
    expect((await lowrank(["export", folder, "--output_file", other, "--outtype", "q8_0"])).stderr).toMatch(
      /an adapter is written as f32 or f16/,
    );
    expect(existsSync(other)).toBe(false);
  });

  test("a file that was there stays where nothing is written, and what is read is not replaced", async () => {
    const folder = await adapterOf({});
    const file = join(newFolder(), "lora.gguf");
    writeFileSync(file, "mine");
    const args = ["export", folder, "--threads", "1", "--overwrite_output_dir"];
    expect((await lowrank([...args, "--output_file", file, "--outtype", "q8_0"])).code).not.toBe(0);
    expect(readFileSync(file, "utf8")).toBe("mine");
    expect(readdirSync(dirname(file))).toEqual(["lora.gguf"]);
    const weights = join(folder, "adapter_model.safetensors");
    const before = readFileSync(weights);
    symlinkSync(weights, join(dirname(file), "link.gguf"));
    for (const read of [weights, join(dirname(file), "link.gguf")]) {
      const { stderr } = await lowrank([...args, "--output_file", read]);
      expect(stderr).toMatch(/E_OUTPUT_EXISTS.* is or belongs to .*, which is read/);
    }
    expect(readFileSync(weights).equals(before)).toBe(true);
    const nowhere = join(newFolder(), "none", "lora.gguf");
    expect((await lowrank([...args, "--output_file", nowhere])).stderr).toContain(`${nowhere} cannot be written`);
  });
});

async function merged(adapter: string, dtype: EncodedDtype, base = model) {
  const file = join(newFolder(), `${dtype}.gguf`);
  const { spec, tensors } = readAdapter(adapter, base);
  const tokenizer = await Tokenizer.open(tinyBase);
  const shape = { precision: "fp32", threads: 1, maxTokens: 1, maxSequence: 1, training: false } as const;
  await using engine = await Engine.create(base, spec, shape);
  await engine.setAdapter(tensors);
  const { others } = await exportModel({ engine, model: base, modules: spec.targets, tokenizer, file, dtype });
  return { file, others, ...(await checkExportedModel(file, { model: base, adapter, threads: 1 })) };
}

const golden = (family: string) => fileURLToPath(new URL(`../goldens/${family}`, import.meta.url));

test("qwen2 and mistral; an attention within a window is refused by name in a merged model", async () => {
  for (const family of ["qwen2", "mistral"]) {
    const base = openModel(golden(family));
    const adapter = join(golden(family), "final");
    const file = join(newFolder(), "lora.gguf");
    await exportAdapter(adapter, base, file, "f32");
    const lora = await checkExportedAdapter(file, { model: base, adapter, threads: 1 });
    expect(lora.off).toBeLessThan(1e-4 * lora.moved);
    const whole = merged(adapter, "f32", base);
    if (family === "qwen2") expect((await whole).off).toBeLessThan(0.05 * (await whole).moved);
    else await expect(whole).rejects.toThrow(/Attention within a window is not written as GGUF yet/);
  }
});

test.each([
  "gemma",
  "gemma2",
  "gemma3",
  "phi3",
  "smollm3",
  "olmo2",
  "granite",
  "gpt2",
  "gpt-neox",
  "bloom",
  "falcon-40b",
  "phi",
  "stablelm",
  "cohere",
])("an adapter of %s moves the logits as the folder's", async (family) => {
  const base = openModel(golden(family));
  const adapter = join(golden(family), "final");
  const file = join(newFolder(), "lora.gguf");
  await exportAdapter(adapter, base, file, "f32");
  const { moved, off } = await checkExportedAdapter(file, { model: base, adapter, threads: 1 });
  expect(moved).toBeGreaterThan(1e-3);
  expect(off).toBeLessThan(1e-4 * moved);
});

test.each([
  ["gemma2", /A setting of this model \(block\.attention\.scale\)/],
  ["smollm3", /A setting of this model \(block\.attention/],
  ["falcon-40b", /A bias of this family/],
  ["falcon-rw", /A bias of this family/],
  ["phi", /Tensor model\.layers\.0\.self_attn\.[qk]_layernorm|A setting of this model/],
])("%s with a setting that no GGUF file can say is refused by name", async (family, message) => {
  const base = openModel(golden(family));
  await expect(merged(join(golden(family), "final"), "f32", base)).rejects.toThrow(message);
});

test("magnitudes, and families without names in llama.cpp, are refused by name", async () => {
  const file = join(newFolder(), "lora.gguf");
  const dora = exportAdapter(join(golden("dora"), "final"), openModel(golden("dora")), file, "f32");
  await expect(dora).rejects.toThrow(/llama\.cpp's adapters have no magnitudes \(DoRA\)/);
  const gptj = exportAdapter(join(golden("gptj"), "final"), openModel(golden("gptj")), file, "f32");
  await expect(gptj).rejects.toThrow(/model_type "gptj" is not written as GGUF yet/);
});

const { python, reason } = peerPython("gguf");
if (reason) console.log(`skipped: files read by the gguf package (${reason})`);

test("a merged model is off by the rounding of its type", async () => {
  const adapter = await adapterOf({});
  const offs = [];
  for (const outtype of ["f32", "q8_0", "q4_0"] as const) {
    const { moved, off } = await merged(adapter, outtype);
    offs.push(off / moved);
  }
  // The base's weights are bf16, and so are the merged ones.
  expect(offs[0]).toBeLessThan(0.02);
  expect(offs[1]).toBeLessThan(0.1);
  expect(offs[2]).toBeGreaterThan(offs[1]!);
  // 128 and 352 columns are no whole blocks of 256.
  expect((await merged(adapter, "q4_k")).others).toBe(4 * MODULES.length);
});

test.skipIf(reason !== undefined)("the gguf package reads a merged model and an adapter", async () => {
  const adapter = await adapterOf({ use_rslora: true });
  const { file } = await merged(adapter, "f16");
  const lora = join(newFolder(), "lora.gguf");
  await exportAdapter(adapter, model, lora, "f16");
  const script = `import gguf, json
def read(path):
    reader = gguf.GGUFReader(path)
    field = lambda key: reader.fields[key].contents()
    return reader, field
reader, field = read("${file}")
tensors = {t.name: [int(n) for n in t.shape] + [t.tensor_type.name] for t in reader.tensors}
lora, of = read("${lora}")
print(json.dumps([field("general.architecture"), field("llama.rope.freq_base"), len(field("tokenizer.ggml.tokens")), tensors["blk.0.attn_q.weight"], tensors["blk.0.attn_norm.weight"], of("general.type"), of("adapter.type"), len(lora.tensors)]))`;
  const found = JSON.parse(await printedByPython(python!, script, process.env));
  expect(found).toEqual(["llama", 10000, 2048, [128, 128, "F16"], [128, "F32"], "adapter", "lora", 2 * 7 * 4]);
});

describe.skipIf(!hasLlama)("in llama.cpp", () => {
  const ids = Array.from({ length: 20 }, (_, i) => (1 + 7919 * i) % 2048);

  const theirs = (file: string, adapter?: string) => logProbabilities(file, ids, adapter);

  async function ours(adapter: string): Promise<Float64Array> {
    const { spec, tensors } = readAdapter(adapter, model);
    const shape = { precision: "fp32", threads: 1, maxTokens: 32, maxSequence: 32, training: false } as const;
    await using engine = await Engine.create(model, spec, shape);
    await engine.setAdapter(tensors);
    const logits = await engine.logits({ sequences: [{ inputIds: Int32Array.from(ids) }] });
    return logSoftmax(logits.subarray((ids.length - 1) * 2048));
  }

  test("an adapter beside its base gives our logits, and so does the merged model", async () => {
    const [, config] = VARIANTS[2]!;
    const [adapter, none] = [await adapterOf(config), await adapterOf({}, 0)];
    const base = await merged(none, "f32");
    const lora = join(newFolder(), "lora.gguf");
    await exportAdapter(adapter, model, lora, "f32");
    const wanted = await ours(adapter);
    expect(likeliestDifference(theirs(base.file), wanted)).toBeGreaterThan(0.3);
    expect(likeliestDifference(theirs(base.file), await ours(none))).toBeLessThan(1e-4);
    expect(likeliestDifference(theirs(base.file, lora), wanted)).toBeLessThan(1e-4);
    const whole = await merged(adapter, "f32");
    // The merged weights are bf16.
    expect(likeliestDifference(theirs(whole.file), wanted)).toBeLessThan(0.03);
  }, 300_000);
});
