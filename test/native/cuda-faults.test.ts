// Every bad situation of a GPU is one clear error, and the process goes on. The device's own code runs on a CUDA runtime that fails as it is told.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openModel, resolveTargets } from "../../src/model/index.js";
import { type AdapterSpec, devices, Engine, planMemory } from "../../src/native/index.js";
import { chooseDevice } from "../../src/setup/adapter.js";
import { errorOf } from "../support/folders.js";
import { goldensFolder } from "../support/golden.js";
import { lowrank, root, tinyBase, validationFile, workFolder } from "../support/tiny.js";

/** Built with the native tests. */
const build = join(root, "build/cmake");
const FAULTY = join(build, "liblowrank_cuda_faulty.so");

const model = openModel(tinyBase);
const adapter: AdapterSpec = {
  ...{ rank: 2, alpha: 4, dropout: 0, useRslora: false, seed: 1 },
  targets: ["model.layers.0.self_attn.q_proj"],
};
const batch = { sequences: [{ inputIds: Int32Array.from([1, 2, 3]) }] };
const options = { precision: "fp32", threads: 1, maxTokens: 8, maxSequence: 8, training: true } as const;
const open = (device = "cuda:0") => Engine.create(model, adapter, { ...options, device });
const faults = (text: string) => vi.stubEnv("LOWRANK_FAKE_CUDA", text);

const work = workFolder("cuda-faults");
afterAll(work.remove);
beforeEach(() => {
  vi.stubEnv("LOWRANK_CUDA_PLUGIN", FAULTY);
  vi.stubEnv("LOWRANK_CUBLASLT_PATH", build);
  faults("");
});
afterEach(() => vi.unstubAllEnvs());

describe.skipIf(!existsSync(FAULTY))("a GPU", () => {
  // Before the others: a library that was found stays open.
  test.skipIf(existsSync("/usr/local/cuda"))("cuBLASLt is missing: every place that was tried", async () => {
    const python = work.path("venv/lib/python3.12");
    mkdirSync(python, { recursive: true });
    vi.stubEnv("VIRTUAL_ENV", work.path("venv"));
    vi.stubEnv("CUDA_HOME", work.path("cuda"));
    vi.stubEnv("LOWRANK_CUBLASLT_PATH", work.path("own"));
    const { code, message } = await errorOf(open);
    expect(code).toBe("E_DEVICE");
    expect(message).toContain("python3 -m pip install nvidia-cublas");
    for (const place of [
      work.path("own/libcublasLt.so.13"),
      work.path("own/libcublasLt.so.12"),
      "\n  libcublasLt.so.13",
      "/usr/local/cuda/lib64/libcublasLt.so.13",
      work.path("cuda/lib64/libcublasLt.so.12"),
      join(python, "site-packages/nvidia/cu13/lib/libcublasLt.so.13"),
      join(python, "site-packages/nvidia/cublas/lib/libcublasLt.so.12"),
    ]) {
      expect(message).toContain(place);
    }
  });

  test.each([
    ["driver=0", "There is no NVIDIA driver on this machine"],
    [
      "driver=12020",
      "The NVIDIA driver is too old: it knows CUDA 12.2, and this backend was built with 13.0. Install a newer driver",
    ],
    ["gpus=0", "The NVIDIA driver finds no GPU"],
    ["major=7", "cuda:0 (a fake GPU) has compute capability 7.0, and 8.0 is needed"],
  ])("%s", async (fault, message) => {
    faults(fault);
    expect(devices()).toMatchObject({ found: [], missing: expect.stringContaining(message) });
    expect(await errorOf(open)).toMatchObject({ code: "E_DEVICE", message: expect.stringContaining(message) });
    faults("");
    await (await open()).close();
  });

  test("a number that no GPU has", async () => {
    faults("gpus=2");
    const message = "There is no device cuda:5 here: there are cuda:0, cuda:1.";
    expect(await errorOf(() => open("cuda:5"))).toMatchObject({
      code: "E_DEVICE",
      message: expect.stringContaining(message),
    });
    await (await open("cuda:1")).close();
  });

  test("ranks of a machine have its GPUs in turn, where none is named", () => {
    faults("gpus=2");
    const chosen = (wanted: string) => [0, 1, 2, 3].map((localRank) => chooseDevice(wanted, { localRank }));
    expect(chosen("cuda")).toEqual(["cuda:0", "cuda:1", "cuda:0", "cuda:1"]);
    expect(chosen("auto")).toEqual(chosen("cuda"));
    expect(chosen("cuda:1")).toEqual(["cuda:1", "cuda:1", "cuda:1", "cuda:1"]);
    faults("gpus=0");
    expect(chosen("cuda")).toEqual(["cuda:0", "cuda:0", "cuda:0", "cuda:0"]);
    expect(chosen("auto")).toEqual(["cpu", "cpu", "cpu", "cpu"]);
  });

  test("plugins of another version, and of another program", async () => {
    vi.stubEnv("LOWRANK_CUDA_PLUGIN", join(build, "liblowrank_cuda_other_version.so"));
    const another = "was built for another version of lowrank. Build it again (docs/cuda.md).";
    expect(await errorOf(open)).toMatchObject({ code: "E_DEVICE", message: expect.stringContaining(another) });
    vi.stubEnv("LOWRANK_CUDA_PLUGIN", join(build, "libcublasLt.so.13"));
    expect(await errorOf(open)).toMatchObject({
      code: "E_DEVICE",
      message: expect.stringContaining("is no backend of lowrank"),
    });
  });

  test.each([
    ["launch", /The GPU failed in \w+_kernel: unspecified launch failure \(cudaErrorLaunchFailure\)/],
    ["cudaMemcpy", /The GPU failed in an upload: unspecified launch failure/],
    ["cublasLtMatmul", /cuBLASLt failed in a product: CUBLAS_STATUS_NOT_INITIALIZED/],
  ])("%s fails: the engine is broken, and later calls reject at once", async (what, message) => {
    const engine = await open();
    faults(`fails=${what}`);
    const failed = { code: "E_DEVICE", message: expect.stringMatching(message) };
    expect(await errorOf(() => engine.forwardBackward(batch, 1, 0))).toMatchObject(failed);
    faults(""); // a GPU that works again: what it holds is worth nothing
    expect(await errorOf(() => engine.forwardBackward(batch, 1, 0))).toMatchObject(failed);
    expect(await errorOf(() => engine.evaluate(batch))).toMatchObject(failed);
    await engine.close();
    await (await open()).close();
  });

  // A kernel that fails while it runs is told by whoever waits for it next. More steps than the pinned memory holds wait once.
  test("a step waits for nothing; a reading does, and its failure breaks the engine", async () => {
    faults("gpus=2");
    const engine = await open("cuda:1");
    faults("gpus=2,fails=synchronize");
    for (let step = 0; step < 2; step++) {
      await engine.forwardBackward(batch, 1, step);
      await engine.optimizerStep({ learningRate: 0.1, weightDecay: 0, maxGradNorm: 1 });
    }
    const failed = {
      code: "E_DEVICE",
      message: expect.stringMatching(/The GPU failed in a download: unspecified launch failure/),
    };
    expect(await errorOf(() => engine.readings())).toMatchObject(failed);
    faults("gpus=2");
    expect(await errorOf(() => engine.forwardBackward(batch, 1, 0))).toMatchObject(failed);
    await engine.close();
  });

  test("a device that records no passes trains as before; a recorded pass that fails breaks the engine", async () => {
    const train = async (fault: string) => {
      faults("");
      await using engine = await open();
      for (let step = 0; step < 3; step++) {
        if (step === 1) faults(fault);
        await engine.forwardBackward(batch, 1, step);
        await engine.optimizerStep({ learningRate: 0.1, weightDecay: 0, maxGradNorm: 1 });
      }
      return [...(await engine.adapter()).values()].map(({ data }) => [...data]);
    };
    expect(await train("fails=capture")).toEqual(await train(""));
    expect(await errorOf(() => train("fails=graph"))).toMatchObject({
      code: "E_DEVICE",
      message: expect.stringMatching(/The GPU failed in a recorded pass: unspecified launch failure/),
    });
  });

  test.each([
    ["gqa-untied", "offloadEmbedding"],
    ["cohere2", "offloadCheckpoints"],
  ])("copies beside the operations of recorded passes: %s, %s", async (name, what) => {
    const opened = openModel(join(goldensFolder, name));
    const targets = resolveTargets(opened, "all-linear").modules;
    const { layers } = opened.config;
    const text = { sequences: [{ inputIds: Int32Array.from([1, 2, 3, 4, 5]) }] };
    const train = async (offloads: boolean, fault: string) => {
      faults("");
      const wanted = { ...options, [what]: offloads, device: "cuda:0", checkpointedBlocks: layers } as const;
      await using engine = await Engine.create(opened, { ...adapter, targets }, wanted);
      for (let step = 0; step < 4; step++) {
        if (step === 1) faults(fault);
        await engine.forwardBackward(text, 1, step);
        await engine.optimizerStep({ learningRate: 0.1, weightDecay: 0, maxGradNorm: 1 });
      }
      return [...(await engine.adapter()).values()].map(({ data }) => [...data]);
    };
    const expected = await train(false, "");
    expect(await train(true, "")).toEqual(expected);
    expect(await train(true, "fails=capture")).toEqual(expected);
    // A pass whose second stream is not joined as CUDA wants it would not be recorded, and nothing would fail.
    expect((await errorOf(() => train(true, "fails=graph"))).message).toContain("failed in a recorded pass");
  });

  test("algorithms of products go on after a resumption; those of another card are refused in words", async () => {
    const first = await open();
    await first.forwardBackward(batch, 1, 0);
    const plans = await first.devicePlans();
    await first.close();
    expect(plans).toContain("cuBLASLt 130000 on a fake GPU, compute capability 9.0, 132 multiprocessors");
    expect(plans.split("\n").length).toBeGreaterThan(10);
    const second = await open();
    expect(await second.takeDevicePlans(plans)).toBeNull();
    await second.forwardBackward(batch, 1, 0);
    // An algorithm that is chosen has a number of its own: these are the same.
    expect(await second.devicePlans()).toBe(plans);
    expect(await second.takeDevicePlans(plans.replace(/\| abcdef/, "| abcdeg"))).toContain("is damaged");
    expect(await second.takeDevicePlans("{}")).toBe("they are not in a form that this version reads");
    await second.close();
    faults("processors=114");
    const other = await open();
    expect(await other.takeDevicePlans(plans)).toBe(
      "they are of cuBLASLt 130000 on a fake GPU, compute capability 9.0, 132 multiprocessors, this is cuBLASLt 130000 on a fake GPU, compute capability 9.0, 114 multiprocessors",
    );
    await other.forwardBackward(batch, 1, 0);
    expect(await other.devicePlans()).not.toBe(plans);
    await other.close();
  });

  test.each([
    ["LOWRANK_CUDA_F32_SUMS", "on", "off"],
    ["LOWRANK_CUDA_BORDERED", "on", "off"],
    ["LOWRANK_CUDA_ATTENTION", "products", "flash"],
  ])("nor do they go on in a run with another %s", async (variable, on, off) => {
    const run = async (value: string, before?: string) => {
      process.env[variable] = value;
      try {
        const engine = await open();
        const why = before === undefined ? null : await engine.takeDevicePlans(before);
        await engine.forwardBackward(batch, 1, 0);
        const plans = await engine.devicePlans();
        await engine.close();
        return { why, plans };
      } finally {
        delete process.env[variable];
      }
    };
    const without = await run(off);
    const its = await run(on, without.plans);
    expect(its.why).toBe(`they are of a run with ${variable}=${off}, this is one with ${on}`);
    expect((await run(off, its.plans)).why).toBe(`they are of a run with ${variable}=${on}, this is one with ${off}`);
    expect(await run(on, its.plans)).toEqual({ why: null, plans: its.plans });
  });

  test.each(["off", "on"])(
    "algorithms are chosen before step 1: pieces of other sizes, evaluations and labels that nobody learns choose none; LOWRANK_CUDA_BORDERED=%s",
    async (bordered) => {
      vi.stubEnv("LOWRANK_CUDA_BORDERED", bordered);
      const texts = (...lengths: number[]) => ({
        sequences: lengths.map((n) => ({ inputIds: Int32Array.from({ length: n }, (_, i) => i) })),
      });
      const train = async (engine: Engine, ...batches: ReturnType<typeof texts>[]) => {
        for (const one of batches) {
          await engine.forwardBackward(one, 1, 0);
          await engine.optimizerStep({ learningRate: 0.1, weightDecay: 0, maxGradNorm: 1 });
        }
        return engine.devicePlans();
      };
      const wide = { ...options, precision: "bf16", device: "cuda:0", maxTokens: 60, maxSequence: 50 } as const;
      const ragged = [texts(30, 30), texts(1), texts(17, 3), texts(49)];
      const several = { ...adapter, targets: ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"] };
      for (const dora of [false, true]) {
        const engine = await Engine.create(model, { ...several, useDora: dora }, wide);
        const atStart = await train(engine, texts(2));
        expect(await train(engine, ...ragged)).toBe(atStart);
        await engine.evaluate(texts(20, 17));
        expect(await engine.devicePlans()).toBe(atStart);
        await engine.close();
      }
      // Where one does not fit fewer rows, the shape has a choice of its own, which the checkpoint holds, too.
      faults("refuses=rows");
      const strict = await Engine.create(model, several, wide);
      const atStart = await train(strict, texts(2));
      const all = await train(strict, ...ragged);
      expect(all.split("\n").length).toBeGreaterThan(atStart.split("\n").length);
      await strict.close();
      const resumed = await Engine.create(model, several, wide);
      expect(await resumed.takeDevicePlans(all)).toBeNull();
      expect(await train(resumed, ...ragged)).toBe(all);
      await resumed.close();
    },
  );

  test("uploads through pinned memory: it is written again when its copies are done", async () => {
    // A and B are a part of a mebibyte each.
    const engine = await Engine.create(model, { ...adapter, rank: 1500 }, { ...options, device: "cuda:0" });
    const wanted = await engine.adapter();
    for (const tensor of wanted.values()) tensor.data = tensor.data.map((_, i) => Math.sin(i));
    for (let time = 0; time < 3; time++) await engine.setAdapter(wanted);
    for (const [name, { data }] of await engine.adapter()) {
      expect(Buffer.from(data.buffer).equals(Buffer.from(wanted.get(name)!.data.buffer)), name).toBe(true);
    }
    faults("fails=synchronize");
    const several = async () => {
      for (let time = 0; time < 3; time++) await engine.setAdapter(wanted);
    };
    expect((await errorOf(several)).message).toMatch(/The GPU failed in an upload/);
    await engine.close();
  });

  test("another process takes the memory between plan and allocation", async () => {
    faults("free=1");
    const message =
      /cuda:0 has no \d+ MiB left: \d of 16384 MiB are free\. Another process may have taken the memory since it was planned/;
    expect(await errorOf(open)).toMatchObject({ code: "E_MEMORY", message: expect.stringMatching(message) });
    faults("");
    await (await open()).close();
    expect(devices().found[0]).toMatchObject({ freeBytes: 16 * 2 ** 30 }); // all of it was given back
  });

  test("adapters' columns beside the weights' take the memory that is planned for them", async () => {
    const all = { ...adapter, rank: 5, targets: resolveTargets(model, "all-linear").modules };
    const memory = async (bordered: string) => {
      vi.stubEnv("LOWRANK_CUDA_BORDERED", bordered);
      const shape = { ...options, precision: "bf16", device: "cuda:0" } as const; // as the weights are stored
      const items = planMemory(model, all, shape).items.filter(({ name }) => ["weights", "workspace"].includes(name));
      const engine = await Engine.create(model, all, shape);
      const { memoryBytes, freeBytes } = devices().found[0]!;
      await engine.close();
      return { planned: items.reduce((sum, { bytes }) => sum + bytes, 0), held: memoryBytes - freeBytes };
    };
    const [off, on] = [await memory("off"), await memory("on")];
    expect(on.planned).toBeGreaterThan(off.planned);
    expect(on.held - off.held).toBe(on.planned - off.planned);
  });

  test("a plan that the GPU has no memory for: the plan, and the memory that is free", async () => {
    const { code, stderr } = await lowrank(
      ["eval", "--base_model", tinyBase, "--validation_file", validationFile, "--device", "cuda"],
      { env: { LOWRANK_CUDA_PLUGIN: FAULTY, LOWRANK_CUBLASLT_PATH: build, LOWRANK_FAKE_CUDA: "free=1" } },
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain("free on cuda:0");
  });
});
if (!existsSync(FAULTY)) console.log(`skipped: ${FAULTY} is not there (npm run test:native builds it)`);
