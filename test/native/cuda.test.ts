// Whole models on the emulated device against torch, transformers and peft; and what is said where there is no device.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openModel, resolveTargets } from "../../src/model/index.js";
import { devices, Engine, type MemoryItem, planMemory } from "../../src/native/index.js";
import { EMULATED } from "../support/emulated.js";
import { errorOf } from "../support/folders.js";
import { goldensFolder } from "../support/golden.js";
import { goldenTests } from "../support/golden-tests.js";
import { lowrank, root, tinyBase, validationFile } from "../support/tiny.js";

/** A model of each kind of block. */
const KINDS = [
  "gqa-untied", // LLaMA
  "qwen2", // biases
  "qwen3", // norms of heads
  "gemma2", // caps, windows, norms of the parts' outputs, GeGLU
  "gemma3", // two kinds of attention
  "phi3", // fused heads and gates
  "granite", // scaled residuals
  "olmo2", // norms after the parts
  "smollm3", // layers without rotation
  "gpt2", // LayerNorm, transposed weights, an MLP without a gate
  "opt", // learned positions, ReLU
  "falcon-40b", // parallel blocks
  "bloom", // ALiBi
  "gpt-neox", // fused heads by head, a parallel block
  "gptj", // pairs side by side
  "stablelm-parallel", // centred norms of heads, each its own
  "dora",
  "lora-bias-plus",
];

/**
 * Of these some with every kind of linear: separate and fused, with biases, transposed, one of several inputs, and DoRA. It is weights that are
 * decoded: here f32 ones, in 16 bits.
 */
const BORDERED = ["gqa-untied", "qwen2", "phi3", "gpt2", "falcon-40b", "dora", "lora-bias-plus"];

describe.skipIf(!existsSync(EMULATED))("on the emulated device", () => {
  beforeAll(() => {
    process.env.LOWRANK_CUDA_PLUGIN = EMULATED;
  });
  describe.each(KINDS)("%s", (name) => goldenTests(name, "cuda:0"));

  describe.each(BORDERED)("%s, with the adapters' columns beside the weights'", (name) => {
    beforeAll(() => {
      process.env.LOWRANK_CUDA_BORDERED = "on";
    });
    afterAll(() => {
      delete process.env.LOWRANK_CUDA_BORDERED;
    });
    goldenTests(name, "cuda:0", "16 bits");
  });

  /** In bf16; in the other precisions it is so anyway. */
  describe.each(["gqa-untied", "gemma2", "bloom"])("%s, attention through products", (name) => {
    beforeAll(() => {
      process.env.LOWRANK_CUDA_ATTENTION = "products";
    });
    afterAll(() => {
      delete process.env.LOWRANK_CUDA_ATTENTION;
    });
    goldenTests(name, "cuda:0", "16 bits");
  });

  test("an embedding that stays with the host: the same bits, and its bytes are not the device's", async () => {
    const model = openModel(join(goldensFolder, "gqa-untied"));
    const targets = resolveTargets(model, "all-linear").modules;
    const adapter = { rank: 2, alpha: 4, dropout: 0, useRslora: false, targets, seed: 1 };
    const shape = { precision: "bf16", threads: 1, maxTokens: 12, maxSequence: 12, cacheTokens: 12 } as const;
    const batch = { sequences: [7, 5].map((n) => ({ inputIds: Int32Array.from({ length: n }, (_, i) => 3 * i + n) })) };
    const options = (offloadEmbedding: boolean) => ({ ...shape, device: "cuda:0", training: true, offloadEmbedding });
    const train = async (offloads: boolean) => {
      await using engine = await Engine.create(model, adapter, options(offloads));
      for (let step = 0; step < 3; step++) {
        await engine.forwardBackward(batch, 0.1, step);
        await engine.optimizerStep({ learningRate: 0.1, weightDecay: 0, maxGradNorm: 1 });
      }
      const token = await engine.generateStart(Int32Array.of(5, 9, 5), { temperature: 0, topK: 0, topP: 1, seed: 0 });
      return [await engine.adapter(), await engine.evaluate(batch), token];
    };
    expect(await train(true)).toEqual(await train(false));
    const items = (offloads: boolean) =>
      new Map(planMemory(model, adapter, options(offloads)).items.map((item) => [item.name, item]));
    const [kept, moved] = [items(false), items(true)];
    const embedding = moved.get("embedding (mapped)")!;
    expect(embedding).toMatchObject({ place: "mapped", bytes: expect.any(Number) });
    const evaluated = 1024; // tokens of an evaluation's piece
    expect(moved.get("embedding rows (pinned)")).toMatchObject({
      place: "host",
      bytes: evaluated * 4 * model.spec.dim,
    });
    expect(kept.get("weights")!.bytes - moved.get("weights")!.bytes).toBe(embedding.bytes);
    const whole = { ...adapter, whole: ["model.embed_tokens"] };
    const error = await errorOf(() => Engine.create(model, whole, options(true)));
    expect(error).toMatchObject({ code: "E_OPTIONS", message: expect.stringContaining("modules_to_save") });
  });

  test("inputs of checkpointed blocks that lie with the host: the same bits, and their bytes are not the device's", async () => {
    const model = openModel(join(goldensFolder, "cohere2"));
    const targets = resolveTargets(model, "all-linear").modules;
    const adapter = { rank: 2, alpha: 4, dropout: 0.1, useRslora: false, targets, seed: 1 };
    const shape = { precision: "bf16", threads: 1, maxTokens: 12, maxSequence: 12, cacheTokens: 12 } as const;
    const batch = { sequences: [7, 5].map((n) => ({ inputIds: Int32Array.from({ length: n }, (_, i) => 3 * i + n) })) };
    const { layers } = model.config;
    const options = (offloadCheckpoints: boolean, checkpointedBlocks = layers) =>
      ({ ...shape, device: "cuda:0", training: true, offloadCheckpoints, checkpointedBlocks }) as const;
    const train = async (...given: Parameters<typeof options>) => {
      await using engine = await Engine.create(model, adapter, options(...given));
      for (let step = 0; step < 4; step++) {
        await engine.forwardBackward(batch, 0.1, step);
        await engine.optimizerStep({ learningRate: 0.1, weightDecay: 0, maxGradNorm: 1 });
      }
      return [await engine.adapter(), await engine.evaluate(batch)];
    };
    const expected = await train(false, 0);
    expect(await train(true)).toEqual(expected);
    const items = (offloads: boolean) =>
      new Map(planMemory(model, adapter, options(offloads)).items.map((item) => [item.name, item]));
    const [kept, moved] = [items(false), items(true)];
    // The highest block is not computed again, and the input of the next one never leaves the device.
    const input = 12 * model.spec.dim * 4;
    expect(moved.get("checkpoints (pinned)")).toMatchObject({ place: "host", bytes: (layers - 2) * input });
    expect(kept.get("activations")!.bytes - moved.get("activations")!.bytes).toBe((layers - 1) * input);
  });

  test("adapters' columns beside the weights' are in the plan", () => {
    const model = openModel(join(goldensFolder, "gqa-untied"));
    const targets = resolveTargets(model, "all-linear").modules;
    const [rank, tokens] = [3, 1024]; // tokens of an evaluation's piece
    const adapter = { rank, alpha: 4, dropout: 0, useRslora: false, targets, seed: 1 };
    const shape = { threads: 1, maxTokens: 12, maxSequence: 12, device: "cuda:0", training: true } as const;
    const items = (precision: "fp32" | "bf16") =>
      new Map(planMemory(model, adapter, { ...shape, precision }).items.map((item) => [item.name, item.bytes]));
    process.env.LOWRANK_CUDA_BORDERED = "on";
    const [stored, decoded] = [items("fp32"), items("bf16")];
    delete process.env.LOWRANK_CUDA_BORDERED;
    const linears = model.tensors.filter(({ name }) => targets.some((target) => `${target}.weight` === name));
    const widest = Math.max(...linears.flatMap((tensor) => tensor.shape));
    // A copy of down_proj's input would be more than a sum.
    const columns = linears
      .filter(({ name }) => !name.includes("down_proj"))
      .reduce((sum, { shape: [rows, cols] }) => sum + rows! * (Math.ceil((cols! + rank) / 8) * 8 - cols!), 0);
    const [storedPlainly, decodedPlainly] = [items("fp32"), items("bf16")];
    const more = (name: string) => stored.get(name)! - storedPlainly.get(name)!;
    const moreDecoded = (name: string) => decoded.get(name)! - decodedPlainly.get(name)!;
    expect(more("weights")).toBe(4 * columns);
    // A copy of x; and where weights are decoded, columns of B behind them. Parts of the workspace begin at multiples of 64 bytes.
    const copy = tokens * (widest + rank + 7);
    expect(Math.abs(more("workspace") - 4 * copy)).toBeLessThan(128);
    expect(moreDecoded("weights")).toBe(0);
    expect(Math.abs(moreDecoded("workspace") - 2 * (copy + widest * (rank + 7)))).toBeLessThan(128);
  });

  test("lowrank devices names it; another number is an error", async () => {
    expect(devices().found.map(({ name }) => name)).toEqual(["cuda:0"]);
    const options = { precision: "fp32", threads: 1, maxTokens: 8, maxSequence: 8, training: false } as const;
    const model = openModel(join(goldensFolder, "qwen2"));
    const error = await errorOf(() => Engine.create(model, null, { ...options, device: "cuda:3" }));
    expect(error).toMatchObject({ code: "E_DEVICE", message: expect.stringContaining("cuda:3") });
  });
});
if (!existsSync(EMULATED)) console.log(`skipped: ${EMULATED} is not there (npm run test:native builds it)`);

test("without the plugin the error names its file, and the processor is chosen", async () => {
  const missing = join(root, "build/no-such-plugin.so");
  const env = { LOWRANK_CUDA_PLUGIN: missing };
  const { stdout } = await lowrank(["devices", "--json"], { env });
  const found = JSON.parse(stdout);
  expect(found.devices.map(({ name }: { name: string }) => name)).toEqual(["cpu"]);
  expect(found.missing).toContain(missing);

  const refused = await lowrank(
    ["eval", "--base_model", tinyBase, "--validation_file", validationFile, "--device", "cuda"],
    { env },
  );
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain(missing);
});

test("a plan of a GPU that is not there: weights and buffers are its own, and --memory_limit is of its memory", async () => {
  const named = ["inspect", tinyBase, "--device", "cuda", "--json"];
  const { memory, available_bytes } = JSON.parse((await lowrank([...named, "--memory_limit", "2MiB"])).stdout);
  expect(available_bytes).toBe(2 * 2 ** 20);
  const places = Object.fromEntries(memory.items.map(({ name, place }: MemoryItem) => [name, place]));
  expect(places).toMatchObject({ weights: "device", activations: "device", optimizer: "device", program: "host" });
});
