// Weights copied into large pages: nothing but their place changes, and the plan knows.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { Model, Trainer } from "../../src/index.js";
import { listLinears, openModel } from "../../src/model/index.js";
import { copiedBytes, Engine, type EngineOptions, type ModelSource, planMemory } from "../../src/native/index.js";
import { quantizedSource } from "../../src/setup/base.js";
import { inferencePlan } from "../../src/setup/memory/inference.js";
import type { MemoryLimit } from "../../src/setup/memory/limits.js";
import { Planner } from "../../src/setup/memory/plan.js";
import type { MemorySettings } from "../../src/setup/memory/proposals.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";
import { writeModel } from "../support/larger-base.js";
import { trainedLoss } from "../support/readings.js";

const MIB = 2 ** 20;
const folder = temporaryFolders();

/** Written once; each test has a file of its own, for copies are of a process's file. */
let written: Promise<string> | undefined;

async function someModel(): Promise<ModelSource> {
  written ??= writeModel(folder());
  const path = folder();
  cpSync(await written, path, { recursive: true });
  return openModel(path);
}

const options: EngineOptions = { precision: "bf16", threads: 2, maxTokens: 64, maxSequence: 64, training: true };
const copying = { ...options, copyWeights: true };
const batch = { sequences: [{ inputIds: Int32Array.from({ length: 48 }, (_, i) => (i * 37) % 300) }] };

async function gradientsOf(model: ModelSource, engineOptions: EngineOptions): Promise<unknown> {
  const targets = listLinears(model).map(({ name }) => name);
  const spec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets, seed: 1 };
  await using engine = await Engine.create(model, spec, engineOptions);
  const loss = await trainedLoss(engine, batch, 1, 0);
  return { loss, gradients: await engine.gradients() };
}

const lossOf = (engine: Engine) => engine.evaluate(batch);
const fileOf = (model: ModelSource) => model.tensors[0]!.file;

const THP = "/sys/kernel/mm/transparent_hugepage/enabled";
const hasLargePages = existsSync(THP) && !readFileSync(THP, "utf8").includes("[never]");
if (!hasLargePages) console.warn(`skipped: copies of weights, as ${THP} grants no large pages`);

describe.runIf(hasLargePages)("copied weights", () => {
  test("are those of the file: losses and gradients are the same, bit for bit", async () => {
    const model = await someModel();
    const mapped = await gradientsOf(model, options);
    const seen: [string, number, number][] = [];
    const targets = listLinears(model).map(({ name }) => name);
    await using engine = await Engine.create(
      model,
      { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets, seed: 1 },
      copying,
      (...now) => seen.push(now),
    );
    // Whole large pages are copied: of the file's first and last bytes some stay as they were.
    const bytes = model.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
    expect(copiedBytes(fileOf(model))).toBeGreaterThan(bytes - 5 * MIB);
    expect(copiedBytes(fileOf(model))).toBeLessThanOrEqual(bytes);
    expect(seen.at(-1)).toEqual(["copying", copiedBytes(fileOf(model)), copiedBytes(fileOf(model))]);
    const loss = await trainedLoss(engine, batch, 1, 0);
    expect({ loss, gradients: await engine.gradients() }).toEqual(mapped);
  });

  test("are what is read, and the file no more", async () => {
    const model = await someModel();
    // With its time set back a change goes unnoticed. Otherwise the change ends the engine, for other bytes are still the
    // file's.
    const setBack = () => utimesSync(fileOf(model), 1e9, 1e9);
    setBack();
    await using engine = await Engine.create(model, null, { ...copying, training: false });
    const before = await lossOf(engine);
    // The first and the last large page stay the file's.
    const middle = model.tensors.filter(({ offset, bytes }) => offset > 4 * MIB && offset + bytes < 12 * MIB);
    expect(middle.length).toBeGreaterThan(0);
    const content = readFileSync(fileOf(model));
    for (const { offset, bytes } of middle) content.fill(0, offset, offset + bytes);
    writeFileSync(fileOf(model), content, { flag: "r+" });
    setBack();
    expect(await lossOf(engine)).toBe(before);
  });

  test("are one for all engines of the process, and go with the last", async () => {
    const model = await someModel();
    const file = fileOf(model);
    const first = await Engine.create(model, null, { ...copying, training: false });
    const copied = copiedBytes(file);
    const second = await Engine.create(model, null, { ...copying, training: false });
    expect(copiedBytes(file)).toBe(copied);
    const loss = await lossOf(first);
    await first.close();
    expect(await lossOf(second)).toBe(loss);
    expect(copiedBytes(file)).toBe(copied);
    await second.close();
    expect(copiedBytes(file)).toBe(0);
  });

  test("survive another engine that quantises the same file and gives its pages back", async () => {
    const model = await someModel();
    await using engine = await Engine.create(model, null, { ...copying, training: false });
    const loss = await lossOf(engine);
    const four = { use_4bit: true, use_8bit: false, double_quant: true, quantize_skip: undefined };
    const quantized = quantizedSource(model, four, () => {});
    await using other = await Engine.create(quantized, null, { ...copying, training: false });
    expect(await lossOf(other)).not.toBe(loss);
    expect(await lossOf(engine)).toBe(loss);
  });

  test("of a base that is quantised while it is loaded only what stays as it is", async () => {
    const model = await someModel();
    const four = {
      use_4bit: true,
      use_8bit: false,
      double_quant: true,
      quantize_skip: ["down_proj", "gate_proj", "up_proj"],
    };
    const quantized = quantizedSource(model, four, () => {});
    await using engine = await Engine.create(quantized, null, { ...copying, training: false });
    await using mapped = await Engine.create(quantized, null, { ...options, training: false });
    expect(await lossOf(engine)).toBe(await lossOf(mapped));
    const kept = quantized.tensors.filter(({ quantize }) => !quantize).reduce((sum, { bytes }) => sum + bytes, 0);
    expect(copiedBytes(fileOf(model))).toBeGreaterThan(0);
    expect(copiedBytes(fileOf(model))).toBeLessThanOrEqual(kept);
  });

  test("a trainer of the library has them, unless its model shares its weights with other processes", async () => {
    const model = await someModel();
    onTestFinished(() => expect(copiedBytes(fileOf(model))).toBe(0));
    const open = (share_weights: boolean) => Model.open(model.folder, { tokenizer: tinyBase, share_weights });
    const copied = async (share: boolean) => {
      await using opened = await open(share);
      let ofText = 0;
      for await (const _ of opened.generate("a", { max_new_tokens: 2 })) ofText += copiedBytes(fileOf(model));
      await using trainer = await Trainer.create(opened, { train: ["a", "b"], validation: ["c"] });
      return [ofText, trainer.memory.items[0]!.name, copiedBytes(fileOf(model)) > 0];
    };
    expect(await copied(false)).toEqual([0, "weights", true]);
    expect(await copied(true)).toEqual([0, "weights (mapped)", false]);
  });
});

test("a file that is too short for its tensors is refused as without copying", async () => {
  const model = await someModel();
  truncateSync(fileOf(model), 8 * MIB);
  await expect(Engine.create(model, null, { ...copying, training: false })).rejects.toThrow(/cut short/);
});

describe("the plan", () => {
  const limit = (bytes: number): MemoryLimit[] => [{ bytes, of: "free in this machine", countsMapped: false }];
  const names = ({ items }: { items: { name: string }[] }) => items.map(({ name }) => name);
  const total = ({ items }: { items: { bytes: number }[] }) => items.reduce((sum, { bytes }) => sum + bytes, 0);

  test("copies the weights where they fit beside the rest, and maps them elsewhere", async () => {
    const model = await someModel();
    const targets = listLinears(model).map(({ name }) => name);
    const spec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets, seed: 1 };
    const planner = new Planner(model, spec, { threads: 2 }, null);
    const settings: MemorySettings = {
      ...{ precision: "bf16", batchSize: 1, accumulation: 1, sequence: 64, rank: 4 },
      ...{ checkpointing: false, optimizer: "adamw" },
    };
    const mapped = planner.plan(settings);
    expect(names(mapped.memory)).toContain("weights (mapped)");
    expect(mapped.engine.copyWeights).toBe(false);
    // The process's memory changes from one plan to the next.
    const room = planner.plan(settings, limit(total(mapped.memory) + 4 * MIB));
    expect(names(room.memory)).toContain("weights");
    expect(room.engine.copyWeights).toBe(true);
    const tight = planner.plan(settings, limit(total(mapped.memory) - 4 * MIB));
    expect(names(tight.memory)).toContain("weights (mapped)");
    expect(() => planner.check(tight, settings, true, limit(total(mapped.memory) - 4 * MIB))).not.toThrow();
  });

  test("so for evaluating; for generating they stay mapped", async () => {
    const inference = { model: await someModel(), adapter: null, engine: { ...options, training: false } };
    const held = [{ name: "process so far", bytes: 100 * MIB, place: "host" as const }];
    const planned = (copies: boolean, bytes: number) => inferencePlan(inference, copies, limit(bytes), held);
    const mapped = planned(false, Number.POSITIVE_INFINITY);
    expect(names(mapped.memory)).toContain("weights (mapped)");
    const needed = total(planned(true, Number.POSITIVE_INFINITY).memory);
    const room = planned(true, needed);
    expect([names(room.memory).includes("weights"), room.engine.copyWeights]).toEqual([true, true]);
    const tight = planned(true, needed - 1);
    expect([names(tight.memory).includes("weights"), tight.engine.copyWeights]).toEqual([false, false]);
  });

  test.runIf(hasLargePages)("counts what is copied already once", async () => {
    const model = await someModel();
    const inference = { model, adapter: null, engine: { ...options, training: false } };
    const before = total(inferencePlan(inference, true).memory);
    await using engine = await Engine.create(model, null, { ...copying, training: false });
    await lossOf(engine);
    // The engine's own memory is held now; the copy would be as large again as the room left between the two.
    const { items } = planMemory(model, null, { ...copying, training: false });
    const own = total({ items: items.filter(({ name }) => name !== "weights") });
    const more = total(inferencePlan(inference, true).memory) - before;
    expect(more).toBeLessThan(own + copiedBytes(fileOf(model)) / 2);
  });
});

/** Bytes of the file that this process has mapped in large pages of the page cache. */
function inLargePages(file: string): number {
  const blocks = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const own = blocks.filter((block) => block.split("\n")[0]!.endsWith(` ${file}`));
  return own.reduce((sum, block) => sum + 1024 * Number(/^FilePmdMapped:\s+(\d+)/m.exec(block)?.[1] ?? 0), 0);
}

test("weights that are read anew: the same bits, in large pages of the page cache where the system has them", async () => {
  const [lost, kept, anew] = [await someModel(), await someModel(), await someModel()];
  for (const model of [lost, kept, anew]) execFileSync("sync", [fileOf(model)]);
  const seen = async (model: ModelSource, more: Partial<EngineOptions>) => {
    const found = await gradientsOf(model, { ...options, ...more });
    await using engine = await Engine.create(model, null, { ...options, training: false });
    await lossOf(engine);
    return { found, large: inLargePages(fileOf(model)) };
  };
  const before = await seen(kept, {});
  const after = await seen(anew, { rereadWeights: true });
  expect(after.found).toEqual(before.found);
  // Whether the system can: of a file that the page cache has forgotten.
  execFileSync("dd", [`if=${fileOf(lost)}`, "iflag=nocache", "count=0"], { stdio: "ignore" });
  const { large } = await seen(lost, {});
  if (large === 0) return console.warn("skipped: large pages of the page cache, which this system does not read");
  expect(before.large).toBeLessThan(large / 2);
  expect(after.large).toBeGreaterThan(large / 2);
});
