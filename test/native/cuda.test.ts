// Whole models on the emulated device against torch, transformers and peft; and what is said where there is no device.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openModel } from "../../src/model/index.js";
import { devices, Engine, type MemoryItem } from "../../src/native/index.js";
import { errorOf } from "../support/folders.js";
import { goldensFolder } from "../support/golden.js";
import { goldenTests } from "../support/golden-tests.js";
import { lowrank, root, tinyBase, validationFile } from "../support/tiny.js";

/** Built with the native tests. */
const EMULATED = join(root, "build/cmake/liblowrank_cuda_emulated.so");

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

describe.skipIf(!existsSync(EMULATED))("on the emulated device", () => {
  beforeAll(() => {
    process.env.LOWRANK_CUDA_PLUGIN = EMULATED;
  });
  describe.each(KINDS)("%s", (name) => goldenTests(name, "cuda:0"));

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
