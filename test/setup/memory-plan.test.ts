// The printed plan against the memory that an engine really maps, and against limits.
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { bytes } from "../../src/base/system-errors.js";
import { commands, loadOptions } from "../../src/config/index.js";
import { listLinears, modelSource, openModel } from "../../src/model/index.js";
import { type AdapterSpec, Engine, type EngineOptions, type ModelSource, planMemory } from "../../src/native/index.js";
import { choosePrecision } from "../../src/setup/adapter.js";
import { quantizedSource } from "../../src/setup/base.js";
import { planInference } from "../../src/setup/memory/inference.js";
import type { MemoryLimit } from "../../src/setup/memory/limits.js";
import { Planner } from "../../src/setup/memory/plan.js";
import { type MemorySettings, proposals } from "../../src/setup/memory/proposals.js";
import { fitsAll, mappedWarning, planOf, tightest } from "../../src/setup/memory/room.js";
import { convert } from "../support/convert.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { goldensFolder } from "../support/golden.js";
import { writeModel } from "../support/larger-base.js";
import { trainedLoss } from "../support/readings.js";
import { root, tinyBase } from "../support/tiny.js";

const folder = temporaryFolders();
const MIB = 2 ** 20;
const HUGE_PAGE = 2 * MIB;
const model = openModel(tinyBase);
const targets = listLinears(model).map(({ name }) => name);
const adapter = (rank: number, dropout = 0): AdapterSpec => {
  return { rank, alpha: 8, dropout, useRslora: false, targets, seed: 0 };
};
const training: EngineOptions = { precision: "fp32", threads: 1, maxTokens: 1024, maxSequence: 256, training: true };

/** Sizes of the memory mapped by this process, each as often as there is a mapping of it. */
function mappings(): Map<number, number> {
  const sizes = new Map<number, number>();
  for (const [, begin, end] of readFileSync("/proc/self/maps", "utf8").matchAll(
    /^([\da-f]+)-([\da-f]+) rw-p .* 0 *$/gm,
  )) {
    const size = Number.parseInt(end!, 16) - Number.parseInt(begin!, 16);
    sizes.set(size, (sizes.get(size) ?? 0) + 1);
  }
  return sizes;
}

/** Bytes of this process's memory in mappings of a size that are in use. */
function residentOf(size: number): number {
  let sum = 0;
  for (const [, kib, used] of readFileSync("/proc/self/smaps", "utf8").matchAll(
    /^Size: +(\d+) kB\n(?:(?!Rss).*\n)*Rss: +(\d+) kB$/gm,
  )) {
    if (Number(kib) * 1024 === size) sum += Number(used) * 1024;
  }
  return sum;
}

/** glibc's, as most systems have it. */
const THREAD_STACK = 8 << 20;

const item = (items: { name: string; bytes: number }[], name: string) => items.find((i) => i.name === name)?.bytes ?? 0;

describe("an engine maps what the plan says, to the byte", () => {
  test.each<[string, AdapterSpec | null, Partial<EngineOptions>]>([
    ["training", adapter(8), {}],
    ["bf16", adapter(8), { precision: "bf16" }],
    ["a higher rank", adapter(48), {}],
    ["dropout", adapter(8, 0.1), {}],
    ["checkpointing of every block", adapter(8), { checkpointedBlocks: 4 }],
    ["checkpointing of some blocks", adapter(8), { checkpointedBlocks: 2, precision: "bf16" }],
    ["a long sequence", adapter(8), { maxTokens: 2048, maxSequence: 2048 }],
    ["a large batch", adapter(8), { maxTokens: 64 * 256 }],
    ["a small key/value cache", adapter(8), { maxSequence: 1024, cacheTokens: 150 }],
    ["no key/value cache", adapter(8), { training: false, cacheTokens: 0 }],
    ["more threads", adapter(8), { threads: 3 }],
    ["evaluation with an adapter", adapter(8), { training: false }],
    ["the base alone", null, { training: false, maxTokens: 400, maxSequence: 800 }],
  ])("%s", async (_, spec, changes) => {
    const options = { ...training, ...changes };
    const { items, totalBytes } = planMemory(model, spec, options);
    const sum = (...names: string[]) => names.reduce((bytes, name) => bytes + item(items, name), 0);
    // An adapter, the gradients, a text and the buffers have memory of their own.
    const parts = [sum("adapters", "optimizer"), sum("gradients"), sum("key/value cache")];
    parts.push(totalBytes - sum("weights (mapped)", "adapters", "optimizer", "gradients", "key/value cache"));
    const sizes = parts.map((bytes) => Math.ceil(bytes / HUGE_PAGE) * HUGE_PAGE).filter((bytes) => bytes > 0);
    // The stacks of earlier engines' threads go whenever the engines are collected.
    expect(sizes).not.toContain(THREAD_STACK);
    const before = mappings();
    await using _engine = await Engine.create(model, spec, options);
    const after = mappings();
    for (const size of new Set(sizes)) {
      const expected = sizes.filter((one) => one === size).length;
      expect((after.get(size) ?? 0) - (before.get(size) ?? 0)).toBe(expected);
    }
  });
});

test("an engine gives its buffers back, and takes them again", async () => {
  const options: EngineOptions = { ...training, precision: "bf16" };
  const { items, totalBytes } = planMemory(model, adapter(8), options);
  const besides = ["weights (mapped)", "adapters", "optimizer", "gradients", "key/value cache"];
  const arena = totalBytes - besides.reduce((sum, name) => sum + item(items, name), 0);
  const size = Math.ceil(arena / HUGE_PAGE) * HUGE_PAGE;
  const before = mappings().get(size) ?? 0;
  await using engine = await Engine.create(model, adapter(8), options);
  expect(mappings().get(size)).toBe(before + 1);
  const inputIds = Int32Array.from({ length: 256 }, (_, i) => 2 + i);
  const batch = { sequences: [0, 1, 2, 3].map(() => ({ inputIds })) };
  const pass = () => trainedLoss(engine, batch, 1, 0);
  const loss = await pass();
  const held = residentOf(size);
  await engine.trim();
  // The tables of rotary positions and the operations' scratch stay, and a large page at either end.
  const given = item(items, "buffers") + item(items, "activations") - 2 * HUGE_PAGE;
  expect(given).toBeGreaterThan(8 * MIB);
  expect(held - residentOf(size)).toBeGreaterThan(given - MIB);
  expect(await pass()).toBe(loss);
  expect(residentOf(size)).toBeGreaterThan(held - MIB);
});

describe("PiSSA's and OLoRA's first factors", () => {
  const factors = (initialFactors: string, changes: Partial<EngineOptions> = {}) => {
    const spec = { ...adapter(8), freezesHalf: true, initialFactors };
    return planMemory(model, spec, { ...training, cacheTokens: 0, ...changes }).items.find(
      (i) => i.name === "first factors",
    );
  };

  test("count where they are more than the buffers that are not in use yet", () => {
    const small = { maxTokens: 1, maxSequence: 1, training: false };
    // All of the host's memory counts where the buffers are a GPU's.
    const whole = factors("pissa", { ...small, device: "cuda:0" })!;
    expect(whole).toMatchObject({ place: "host" });
    // A weight, a basis of its smaller side and as many eigenvectors of each thread, and the factors of all modules.
    const sides = listLinears(model).map(({ outFeatures, inFeatures }) => [outFeatures, inFeatures]);
    const largest = Math.max(...sides.map(([out, inputs]) => 4 * out! * inputs! + 16 * Math.min(out!, inputs!) ** 2));
    const all = sides.reduce((sum, [out, inputs]) => sum + 4 * 4 * (out! + inputs!), 0);
    expect(whole.bytes).toBeGreaterThan(largest + all);
    expect(whole.bytes).toBeLessThan(1.2 * (largest + all));
    expect(factors("pissa", { ...small, device: "cuda:0", threads: 3 })!.bytes).toBeGreaterThan(2 * largest + all);
    const { items } = planMemory(model, adapter(8), { ...training, ...small, cacheTokens: 0 });
    const unused = items.reduce((sum, { name, bytes }) => sum + (/weights|adapters/.test(name) ? 0 : bytes), 0);
    expect((factors("pissa", small)?.bytes ?? 0) + unused).toBe(Math.max(whole.bytes, unused));
    expect(factors("pissa")).toBeUndefined();
    for (const less of ["olora", "pissa_niter_4"])
      expect(factors(less, { ...small, device: "cuda:0" })!.bytes).toBeLessThan(whole.bytes);
  });

  test("are made in at most that, and in not much less", async () => {
    const base = openModel(await writeModel(folder()));
    const modules = [0, 1].map((layer) => `model.layers.${layer}.mlp.down_proj`);
    const spec = { ...adapter(32), targets: modules, freezesHalf: true };
    const options = { ...training, threads: 2, maxTokens: 1, maxSequence: 1, cacheTokens: 0, training: false };
    // The pages of the weights that are read, beside: a plan has them as mapped.
    const mapped = modules.length * 2 * 512 * 1408;
    for (const initialFactors of ["pissa", "pissa_niter_2", "olora"]) {
      const { items } = planMemory(base, { ...spec, initialFactors }, { ...options, device: "cuda:0" });
      const planned = item(items, "first factors") + mapped;
      const used = await peakOf(base.folder, { ...spec, initialFactors }, options);
      expect(used, initialFactors).toBeLessThan(planned + MIB);
      expect(used, initialFactors).toBeGreaterThan(planned / 3);
    }
  });

  /** Bytes by which an engine's creation raises the resident size of a process of its own, beyond that of one without first factors. */
  async function peakOf(path: string, spec: AdapterSpec, options: EngineOptions): Promise<number> {
    const script = `
      import { readFileSync, writeFileSync } from "node:fs";
      const [library, folder, spec, options] = process.argv.slice(1);
      const { Engine, openModel } = await import(library);
      const resident = (name) => 1024 * Number(new RegExp(name + ":[^0-9]*([0-9]+)").exec(readFileSync("/proc/self/status", "utf8"))[1]);
      const rise = async (adapter) => {
        writeFileSync("/proc/self/clear_refs", "5"); // the peak is the present size again
        const before = resident("VmRSS");
        const engine = await Engine.create(openModel(folder), adapter, JSON.parse(options));
        const found = resident("VmHWM") - before;
        await engine.close();
        return found;
      };
      const made = JSON.parse(spec);
      const plain = { ...made, initialFactors: undefined };
      await rise(plain);
      const without = await rise(plain);
      console.log((await rise(made)) - without);
    `;
    const library = pathToFileURL(join(root, "dist/index.js")).href;
    const args = ["--input-type=module", "-e", script, library, path, JSON.stringify(spec), JSON.stringify(options)];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return Number(stdout);
  }
});

describe("weights whose file has their rows in another order", () => {
  const NF4 = { format: "nf4", doubleQuant: true } as const;
  const reordered = ({ rowBlocks, shape }: ModelSource["tensors"][number]) =>
    rowBlocks !== undefined && shape.length > 1;
  const small = { ...training, maxTokens: 1, maxSequence: 1, cacheTokens: 0, training: false };

  test.each([
    ["bloom", "bloom"],
    ["gpt-neox", "gpt-neox"],
    ["falcon-40b", "falcon"],
  ])("of a GGUF file of %s have copies of this process in the plan, or go when they are quantised", (golden, how) => {
    const keep = (name: string) => !/(self_attention|[^_]mlp)\..*bias$/.test(name) || how !== "falcon";
    const base = openModel(convert(join(goldensFolder, golden), join(folder(), "model.gguf"), how, keep));
    const sizes = base.tensors.filter(reordered).map((t) => t.bytes);
    expect(sizes.length).toBeGreaterThan(1);
    const copies = sizes.reduce((sum, n) => sum + n);
    const all = base.tensors.reduce((sum, t) => sum + t.bytes, 0);
    const planned = (source: ModelSource, changes: Partial<EngineOptions> = {}) =>
      planMemory(source, null, { ...small, ...changes }).items;
    const copy = { name: "weights in order", bytes: copies, place: "host" };
    expect(planned(base)).toContainEqual(copy);
    expect(item(planned(base), "weights (mapped)")).toBe(all - copies);
    expect(planned(base, { copyWeights: true })).toContainEqual(copy);
    expect(item(planned(base, { copyWeights: true }), "weights")).toBe(all - copies);
    // A device has the weights, and the host their copies while they are uploaded.
    expect(planned(base, { device: "cuda:0" })).toContainEqual(copy);
    expect(item(planned(base, { device: "cuda:0" }), "weights")).toBe(all);
    // One at a time, in the place of the buffers.
    const options = { use_4bit: true, use_8bit: false, double_quant: true, quantize_skip: undefined };
    const quantized = quantizedSource(base, options, () => {});
    expect(item(planned(quantized), "weights in order")).toBe(0);
    expect(item(planned(quantized, { device: "cuda:0" }), "weights in order")).toBe(Math.max(...sizes));
  });

  /** A model whose MLPs have the halves of their rows the other way round. */
  const turned = (base: ModelSource, quantize?: typeof NF4): ModelSource => {
    const turn = (t: ModelSource["tensors"][number]) =>
      /mlp/.test(t.name) ? { ...t, rowBlocks: [1, 0], quantize } : t;
    return { ...base, tensors: base.tensors.map(turn) };
  };

  test("are merged in order, from the file where they were quantised", async () => {
    const base = openModel(await writeModel(folder()));
    const modules = ["gate", "down"].map((name) => `model.layers.1.mlp.${name}_proj`);
    for (const quantize of [undefined, NF4]) {
      await using engine = await Engine.create(turned(base, quantize), { ...adapter(2), targets: modules }, small);
      for (const module of modules) {
        const { file, offset, bytes: size } = base.tensors.find(({ name }) => name === `${module}.weight`)!;
        const stored = readFileSync(file).subarray(offset, offset + size);
        const wanted = Buffer.concat([stored.subarray(size / 2), stored.subarray(0, size / 2)]);
        expect(wanted.equals(await engine.mergedWeight(module)), module).toBe(true);
      }
    }
  });

  test("are held as the plan says", async () => {
    const base = openModel(await writeModel(folder()));
    const sizes = base.tensors.filter(({ name }) => /mlp/.test(name)).map((t) => t.bytes);
    const copies = sizes.reduce((sum, n) => sum + n);
    const plain = (quantize?: typeof NF4): ModelSource => {
      const tensors = base.tensors.map((t) => (/mlp/.test(t.name) ? { ...t, quantize } : t));
      return { ...base, tensors };
    };
    const [without, held, quantizedWithout, quantized] = await anonymous([
      plain(),
      turned(base),
      plain(NF4),
      turned(base, NF4),
    ]);
    expect(Math.abs(held! - without! - copies)).toBeLessThan(MIB);
    expect(Math.abs(quantized! - quantizedWithout!)).toBeLessThan(MIB);
  });

  /** Bytes by which an engine on each of these raises the memory of a process of its own, without pages of files. */
  async function anonymous(models: ModelSource[]): Promise<number[]> {
    const script = `
      import { readFileSync } from "node:fs";
      const [library, models, options] = process.argv.slice(1);
      const { Engine } = await import(library);
      const resident = () => 1024 * Number(/RssAnon:[^0-9]*([0-9]+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
      const rise = async (model) => {
        gc();
        const before = resident();
        const engine = await Engine.create(model, null, JSON.parse(options));
        gc();
        const found = resident() - before;
        await engine.close();
        return found;
      };
      const found = [];
      for (const model of JSON.parse(readFileSync(models, "utf8"))) {
        const rises = [];
        for (let i = 0; i < 6; i++) rises.push(await rise(model));
        // The first has code that is compiled, and any may have a JavaScript heap that grows.
        found.push(rises.slice(1).sort((a, b) => a - b)[2]);
      }
      console.log(JSON.stringify(found));
    `;
    const library = pathToFileURL(join(root, "dist/index.js")).href;
    const file = join(folder(), "models.json");
    writeFileSync(file, JSON.stringify(models));
    const args = ["--expose-gc", "--input-type=module", "-e", script, library, file, JSON.stringify(small)];
    // Else the allocator keeps what is freed for the next engine.
    const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: "131072" };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    return JSON.parse(stdout);
  }
});

test("the key/value cache is as long as it is asked for, and no text grows beyond it", async () => {
  const cache = (changes: Partial<EngineOptions>) =>
    item(planMemory(model, null, { ...training, training: false, ...changes }).items, "key/value cache");
  expect(cache({ cacheTokens: 64 })).toBe(cache({}) / 4);
  expect(cache({ cacheTokens: 0 })).toBe(0);
  await using engine = await Engine.create(model, null, { ...training, training: false, cacheTokens: 4 });
  const greedy = { temperature: 0, topK: 0, topP: 1, seed: 0 };
  const token = await engine.generateStart(Int32Array.of(5, 6, 7), greedy);
  const next = await engine.generateNext(token);
  expect((await errorOf(() => engine.generateNext(next))).code).toBe("E_CONTEXT");
  for (const cacheTokens of [-1, 257]) {
    const error = await errorOf(() => planMemory(model, null, { ...training, training: false, cacheTokens }));
    expect(error.code).toBe("E_OPTIONS");
  }
});

describe("checkpointing", () => {
  test.each(
    (["fp32", "bf16"] as const).flatMap((precision) =>
      [128, 512, 2048].flatMap((sequence) => [8, 64].map((rank) => [precision, sequence, rank] as const)),
    ),
  )("%s, %i tokens, rank %i: activations are at most 0.55 of those without", (precision, sequence, rank) => {
    const options = { ...training, precision, maxTokens: 4 * sequence, maxSequence: sequence };
    const kept = item(planMemory(model, adapter(rank), options).items, "activations");
    const again = planMemory(model, adapter(rank), { ...options, checkpointedBlocks: model.config.layers }).items;
    expect(item(again, "activations") / kept).toBeLessThanOrEqual(0.55);
  });
});

describe("a plan and its limits", () => {
  const plan = planOf([
    { name: "of files", bytes: 500, place: "mapped" },
    { name: "activations", bytes: 300, place: "host" },
    { name: "workspace", bytes: 1000, place: "device" },
  ]);
  const machine = (bytes: number): MemoryLimit => ({ bytes, of: "free in this machine", countsMapped: false });
  const own = (bytes: number): MemoryLimit => ({ bytes, of: "allowed by --memory_limit", countsMapped: true });

  test("mapped weights count against the user's limit alone", () => {
    expect(fitsAll(plan, [machine(300)])).toBe(true);
    expect(fitsAll(plan, [machine(299)])).toBe(false);
    expect(fitsAll(plan, [machine(1000), own(800)])).toBe(true);
    expect(fitsAll(plan, [machine(1000), own(799)])).toBe(false);
  });

  test("the limit that leaves the least room is named", () => {
    expect(tightest(plan, [machine(350), own(900)])).toMatchObject({ of: "free in this machine" });
    expect(tightest(plan, [machine(500), own(900)])).toMatchObject({ of: "allowed by --memory_limit" });
  });

  test("weights that do not fit beside the rest are a warning, but not for the user's limit", () => {
    expect(mappedWarning(plan, [machine(799), own(1000)])).toMatch(/799 B are free in this machine/);
    expect(mappedWarning(plan, [machine(800), own(100)])).toBeUndefined();
  });
});

describe("refusals", () => {
  const settings: MemorySettings = {
    precision: "fp32",
    batchSize: 4,
    accumulation: 1,
    sequence: 512,
    rank: 8,
    checkpointing: false,
    optimizer: "adamw",
  };
  const limit = (bytes: number): MemoryLimit[] => [{ bytes, of: "allowed by --memory_limit", countsMapped: true }];

  test("training: the proposals fit, and the first leaves the results as they are", async () => {
    const source = billion();
    const spec = { ...adapter(8), targets: listLinears(source).map(({ name }) => name) };
    const planner = new Planner(source, spec, { threads: 1 }, tinyBase);
    const plan = planner.plan(settings);
    const least = planner.plan({ ...settings, checkpointing: true }).memory.totalBytes;
    expect(() => planner.check(plan, settings, false, limit(plan.memory.totalBytes))).not.toThrow();
    const error = await errorOf(() => planner.check(plan, settings, false, limit(least)));
    expect(error.code).toBe("E_MEMORY");
    expect(error.message).toMatch(
      /^Training with these settings needs [\d.]+ GiB, but [\d.]+ GiB are allowed by --memory_limit\./,
    );
    expect(error.message).toMatch(/What would fit:\n {2}--gradient_checkpointing\n/);
    const hopeless = await errorOf(() => planner.check(plan, settings, false, limit(MIB)));
    expect(hopeless.message).toContain("use a smaller model");
  });

  /** The shape of a model of a billion parameters; planning reads no weights. */
  function billion(): ModelSource {
    const config = {
      ...model.config,
      hiddenSize: 2048,
      intermediateSize: 5632,
      layers: 22,
      heads: 32,
      kvHeads: 4,
      headDim: 64,
    };
    const file = model.tensors[0]!.file;
    const vocabulary = model.config.vocabSize;
    const tensor = (name: string, shape: number[]) => {
      const bytes = 2 * shape.reduce((a, b) => a * b, 1);
      return { ...model.tensors[0]!, name, shape, file, offset: 0, bytes };
    };
    const shapes: Record<string, number[]> = {
      "self_attn.q_proj": [2048, 2048],
      "self_attn.k_proj": [256, 2048],
      "self_attn.v_proj": [256, 2048],
      "self_attn.o_proj": [2048, 2048],
      "mlp.gate_proj": [5632, 2048],
      "mlp.up_proj": [5632, 2048],
      "mlp.down_proj": [2048, 5632],
      input_layernorm: [2048],
      post_attention_layernorm: [2048],
    };
    const blocks = Array.from({ length: 22 }, (_, i) =>
      Object.entries(shapes).map(([name, shape]) => tensor(`model.layers.${i}.${name}.weight`, shape)),
    ).flat();
    const ends = [tensor("model.embed_tokens.weight", [vocabulary, 2048]), tensor("model.norm.weight", [2048])];
    return modelSource(model.folder, { ...config, tieWordEmbeddings: true }, [...ends, ...blocks]);
  }

  test("the report is drawn in the place of the buffers: what it needs beyond them counts", () => {
    const source = billion();
    const spec = { ...adapter(8), targets: listLinears(source).map(({ name }) => name) };
    const report = (of: ModelSource, its: AdapterSpec, device = "cpu") => {
      const { items } = new Planner(of, its, { threads: 1, device }, null).plan(settings).memory;
      const idle = items.reduce((sum, { idle, bytes }) => sum + (idle ? bytes : 0), 0);
      return { bytes: item(items, "report"), idle };
    };
    const [small, large] = [report(model, adapter(8)), report(source, spec)];
    expect(large.idle).toBeGreaterThan(100 * MIB);
    expect(large.bytes).toBe(0);
    expect(small.idle).toBeGreaterThan(2 * HUGE_PAGE);
    // A device's buffers are no memory of the host.
    const onDevice = report(source, spec, "cuda:0");
    expect(onDevice.idle).toBe(0);
    expect(small.bytes).toBe(onDevice.bytes - (small.idle - 2 * HUGE_PAGE));
    // Without a folder there is none.
    const besides = { sampleTokens: 0, samplesOnly: true, report: false };
    const { items } = new Planner(model, adapter(8), { threads: 1 }, null, besides).plan(settings).memory;
    expect(item(items, "report")).toBe(0);
  });

  test("on a device checkpointing fills the memory: as few blocks are computed again as make the plan fit", () => {
    const source = billion();
    const spec = { ...adapter(16), targets: listLinears(source).map(({ name }) => name) };
    const planner = new Planner(source, spec, { threads: 1, device: "cuda:0" }, null);
    const wanted = { ...settings, precision: "bf16" as const, sequence: 2048 };
    const onDevice = ({ memory }: { memory: { items: { place: string; bytes: number }[] } }) =>
      memory.items.reduce((sum, { place, bytes }) => sum + (place === "device" ? bytes : 0), 0);
    const limit = (bytes: number): MemoryLimit => {
      return { bytes, of: "allowed by --memory_limit", countsMapped: false, ofDevice: true };
    };
    const all = onDevice(planner.plan(wanted));
    const none = onDevice(planner.plan({ ...wanted, checkpointing: true }));
    const blocks = (bytes: number, checkpointing = true) =>
      planner.plan({ ...wanted, checkpointing }, [limit(bytes)]).engine.checkpointedBlocks!;
    expect(blocks(all)).toBe(0);
    expect(blocks(none)).toBe(22);
    expect(blocks(none - 1)).toBe(22); // and does not fit
    expect(blocks(none - 1, false)).toBe(0); // nobody asked for it
    const half = planner.plan({ ...wanted, checkpointing: true }, [limit((all + none) / 2)]);
    expect(onDevice(half)).toBeLessThanOrEqual((all + none) / 2);
    // One block less would not have fitted.
    const least = half.engine.checkpointedBlocks!;
    expect(least).toBeGreaterThan(1);
    expect(least).toBeLessThan(22);
    expect(blocks(onDevice(half))).toBe(least);
    expect(blocks(onDevice(half) - 1)).toBe(least + 1);
  });

  test("every proposal, given as it is printed, is accepted", async () => {
    const source = billion();
    const wanted = { ...settings, precision: "bf16" as const, batchSize: 8, rank: 16 };
    const spec = { ...adapter(16), targets: listLinears(source).map(({ name }) => name) };
    const planner = new Planner(source, spec, { threads: 2 }, null);
    const full = planner.plan(wanted).memory.totalBytes;
    const kinds = new Set<string>();
    let [refusals, hopeless] = [0, 0];
    for (let bytes = full; bytes > full / 16; bytes *= 0.8) {
      const limits = limit(Math.floor(bytes));
      const plan = planner.plan(wanted);
      if (fitsAll(plan.memory, limits)) continue;
      refusals++;
      const { message } = await errorOf(() => planner.check(plan, wanted, false, limits));
      const lines = message.split("What would fit:\n")[1]?.split("\n") ?? [];
      hopeless += Number(lines.length === 0);
      for (const line of lines) {
        const words = line.trim().split(" ");
        const values = new Map<string, string[]>();
        for (let i = 0; i < words.length; i++) {
          const isAlone = words[i + 1] === undefined || words[i + 1]!.startsWith("--");
          const name = words[i]!.slice(2);
          values.set(name, [isAlone ? "true" : words[++i]!]);
        }
        kinds.add([...values.keys()].join(" "));
        for (const name of ["base_model", "train_file"]) values.set(name, ["x"]);
        const given = { lora_r: "16", max_seq_length: "512", per_device_train_batch_size: "8" };
        for (const [name, value] of Object.entries(given)) if (!values.has(name)) values.set(name, [value]);
        const { options } = await loadOptions(commands.train, { values, strays: [] }, {});
        const base = quantizedSource(source, options, () => {});
        const again: MemorySettings = {
          precision: choosePrecision(options.precision, base),
          batchSize: options.per_device_train_batch_size,
          accumulation: options.gradient_accumulation_steps,
          sequence: options.max_seq_length,
          rank: options.lora_r,
          checkpointing: options.gradient_checkpointing,
          optimizer: options.optim,
        };
        expect(again.batchSize * again.accumulation, line).toBeGreaterThanOrEqual(8);
        const other = new Planner(base, { ...spec, rank: again.rank }, { threads: 2 }, null);
        // The process's other memory grows as the test goes on.
        const slack = { ...limits[0]!, bytes: limits[0]!.bytes + 8 * MIB };
        expect(() => other.check(other.plan(again), again, false, [slack]), line).not.toThrow();
      }
    }
    expect(refusals).toBeGreaterThan(8);
    expect(hopeless).toBeGreaterThan(0);
    // Far below the base's own size 4 bits are the way out, with all that saves memory beside them.
    expect(
      [...kinds].some((kind) => /^use_4bit .*per_device_train_batch_size.*gradient_checkpointing/.test(kind)),
    ).toBe(true);
    expect([...kinds]).toContain("use_8bit");
    expect(kinds.size).toBeGreaterThan(5);
  });

  test("proposals are found in few plans, and a quantised or fixed base is not quantised", () => {
    let plans = 0;
    const fits = (s: MemorySettings) => {
      plans++;
      return s.base === "use_4bit" && s.checkpointing && s.batchSize <= 2 && s.precision === "bf16";
    };
    const large = { ...settings, batchSize: 64, sequence: 4096, rank: 64 };
    const free = { rank: false, base: false };
    expect(proposals(large, free, fits)).toEqual([
      "--use_4bit --precision bf16 --per_device_train_batch_size 2 --gradient_accumulation_steps 32 --gradient_checkpointing",
    ]);
    expect(plans).toBeLessThan(120);
    expect(proposals(large, { ...free, base: true }, fits)).toEqual([]);
    expect(proposals(large, free, (s) => s.rank === 8 && s.sequence === 256 && s.optimizer === "adamw_8bit")).toEqual(
      [],
    );
    expect(proposals(large, free, (s) => s.sequence <= 256 && s.checkpointing)).toEqual([
      "--max_seq_length 256 --gradient_checkpointing",
    ]);
  });

  test("generating and evaluating: the plan and what to do", async () => {
    const engine = { ...training, training: false, maxTokens: 100, maxSequence: 100_000 };
    const about = { what: "Generating", advice: "Use a smaller --max_new_tokens.", limits: limit(64 * MIB) };
    const error = await errorOf(() => planInference({ model, adapter: null, engine }, about));
    expect(error.code).toBe("E_MEMORY");
    expect(error.message).toMatch(/^Generating with these settings needs [\d.]+ [MG]iB, but 64\.0 MiB are allowed/);
    expect(error.message).toMatch(/key\/value cache +[\d.]+ MiB\n.*Use a smaller --max_new_tokens\.$/s);
  });
});

test.each([
  [0, "0 B"],
  [908.8773229200032, "909 B"],
  [1023.6, "1.0 KiB"],
  [2048, "2.0 KiB"],
  [3.5 * 2 ** 30, "3.50 GiB"],
])("%d bytes for people", (n, text) => {
  expect(bytes(n)).toBe(text);
});
