// Files that somebody cuts or writes to while they are mapped: an error of their readers, and of nothing else.
import {
  cpSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { beforeAll, describe, expect, test } from "vitest";
import { writeMerged } from "../../src/checkpoint/index.js";
import { TokenDataset, Tokenizer } from "../../src/data/index.js";
import { Model, Trainer } from "../../src/index.js";
import { openModel } from "../../src/model/index.js";
import {
  type AdapterSpec,
  copiedBytes,
  Engine,
  type EngineOptions,
  type ModelSource,
  mapFile,
  mappedProblem,
} from "../../src/native/index.js";
import { quantizedSource } from "../../src/setup/base.js";
import { errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { ONE_BLOCK, writeGguf } from "../support/gguf.js";
import { writeModel } from "../support/larger-base.js";
import { root, someTexts } from "../support/tiny.js";
import { tableOf } from "../support/tokens.js";

const folder = temporaryFolders();

/** Damage that may happen to a file in its place. */
const DAMAGES: Record<string, (file: string) => void> = {
  "cut to nothing": (file) => truncateSync(file),
  "cut in the middle": (file) => truncateSync(file, Math.floor(readFileSync(file).length / 2)),
  "written to": (file) => writeSync(openSync(file, "r+"), Buffer.alloc(5000, 7), 0, 5000, 4000),
  "written anew, alike": (file) => writeFileSync(file, readFileSync(file)),
};

function gguf(): string {
  const shapes: Record<string, number[]> = {
    ...{ "token_embd.weight": [2048, 64], "output_norm.weight": [64] },
    ...{ "blk.0.attn_norm.weight": [64], "blk.0.ffn_norm.weight": [64] },
    ...{ "blk.0.attn_q.weight": [64, 64], "blk.0.attn_k.weight": [32, 64] },
    ...{ "blk.0.attn_v.weight": [32, 64], "blk.0.attn_output.weight": [64, 64] },
    ...{ "blk.0.ffn_gate.weight": [96, 64], "blk.0.ffn_up.weight": [96, 64], "blk.0.ffn_down.weight": [64, 96] },
  };
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i % 13) / 100);
    return { name, shape, type: 0, data: new Uint8Array(values.buffer) };
  });
  return writeGguf(join(folder(), "model.gguf"), ONE_BLOCK, tensors);
}

function tinyCopy(): string {
  const path = folder();
  cpSync(tinyBase, path, { recursive: true });
  return path;
}

const EIGHT = { use_4bit: false, use_8bit: true, double_quant: true, quantize_skip: undefined };
let larger: string;
beforeAll(async () => {
  larger = await writeModel(folder());
});
/** Bases of every kind, each in a file of its own, and whether their weights may be copied. */
const BASES: Record<string, () => { model: ModelSource; copies?: boolean }> = {
  safetensors: () => ({ model: openModel(tinyCopy()) }),
  "safetensors, copied": () => {
    const path = folder();
    cpSync(larger, path, { recursive: true });
    return { model: openModel(path), copies: true };
  },
  "safetensors, quantised while loaded": () => ({ model: quantizedSource(openModel(tinyCopy()), EIGHT, () => {}) }),
  GGUF: () => ({ model: openModel(gguf()) }),
};
const fileOf = (model: ModelSource) => model.tensors[0]!.file;

const sizes: EngineOptions = {
  precision: "fp32",
  threads: 2,
  maxTokens: 48,
  maxSequence: 48,
  training: true,
  cacheTokens: 48,
};
const batch = { sequences: [{ inputIds: Int32Array.from({ length: 40 }, (_, i) => (i * 37) % 300) }] };
const MODULE = "model.layers.0.self_attn.q_proj";
const spec: AdapterSpec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets: [MODULE], seed: 1 };
const sampling = { temperature: 0, topK: 0, topP: 1, seed: 0 };

const USES: Record<string, (engine: Engine) => Promise<unknown>> = {
  "a training step": (engine) => engine.forwardBackward(batch, 1, 0),
  "the optimizer": (engine) => engine.optimizerStep({ learningRate: 1e-3, weightDecay: 0, maxGradNorm: 1 }),
  evaluation: (engine) => engine.evaluate(batch),
  generation: async (engine) => {
    const token = await engine.generateStart(batch.sequences[0]!.inputIds.subarray(0, 8), sampling);
    return engine.generateNext(token);
  },
  merging: (engine) => engine.mergedWeight(MODULE),
  "reading the adapter, to save it": (engine) => engine.adapter(),
};

describe.each(Object.keys(BASES))("weights, %s", (name) => {
  const open = async () => {
    const { model, copies = false } = BASES[name]!();
    return { model, engine: await Engine.create(model, spec, { ...sizes, copyWeights: copies }) };
  };

  test.each(Object.keys(DAMAGES))(
    "%s: each use is an error with the file's name, and another engine goes on",
    async (damage) => {
      const other = await open();
      const expected = await other.engine.evaluate(batch);
      for (const [use, run] of Object.entries(USES)) {
        if (use === "merging" && name === "GGUF") continue;
        const { model, engine } = await open();
        await run(engine);
        DAMAGES[damage]!(fileOf(model));
        const error = await errorOf(() => run(engine));
        expect([use, error.code, error.where], error.message).toEqual([use, "E_FILE_CHANGED", fileOf(model)]);
        // Nothing of it is to be had any more, whatever becomes of the file.
        expect((await errorOf(() => engine.adapter())).code).toBe("E_FILE_CHANGED");
        await engine.close();
      }
      expect(await other.engine.evaluate(batch)).toBe(expected);
      await other.engine.close();
    },
  );

  test("cut while an engine is at work, at any instant: the result of the whole file, or an error", async () => {
    const { engine: undisturbed } = await open();
    const right = await undisturbed.evaluate(batch);
    await undisturbed.close();
    let errors = 0;
    for (let wait = 0; wait < 6; wait++) {
      const { model, engine } = await open();
      const losses = Promise.allSettled(Array.from({ length: 4 }, () => engine.evaluate(batch)));
      const until = performance.now() + wait;
      while (performance.now() < until) await new Promise(setImmediate);
      truncateSync(fileOf(model), 4096 * wait);
      for (const loss of await losses) {
        if (loss.status === "fulfilled") expect(loss.value).toBe(right);
        else expect(loss.reason).toMatchObject({ code: "E_FILE_CHANGED", where: fileOf(model) });
        errors += Number(loss.status === "rejected");
      }
      await engine.close();
    }
    expect(errors).toBeGreaterThan(0);
  });

  test("cut while they are loaded: an error with the file's name, or one of the first use", async () => {
    for (let wait = 0; wait < 6; wait++) {
      const { model, copies = false } = BASES[name]!();
      const opening = Engine.create(model, spec, { ...sizes, copyWeights: copies });
      opening.catch(() => {});
      const until = performance.now() + wait / 2;
      while (performance.now() < until);
      truncateSync(fileOf(model), 100_000);
      const error = await errorOf(async () => {
        await using engine = await opening;
        await engine.evaluate(batch);
      });
      expect(["E_FILE", "E_FILE_CHANGED"], error.message).toContain(error.code);
      expect(error.where).toBe(fileOf(model));
    }
  });

  test("another file renamed to that name changes nothing for whoever has the first one", async () => {
    const { model, engine } = await open();
    const before = await engine.evaluate(batch);
    const other = `${fileOf(model)}.new`;
    writeFileSync(other, "another");
    renameSync(other, fileOf(model));
    expect(await engine.evaluate(batch)).toBe(before);
    await engine.close();
  });
});

test("what is opened after a file was restored with its old time is not the damaged mapping", async () => {
  const model = openModel(tinyCopy());
  const open = () => Engine.create(model, spec, sizes);
  await using first = await open();
  const loss = await first.evaluate(batch);
  const content = readFileSync(fileOf(model));
  truncateSync(fileOf(model));
  await errorOf(() => first.evaluate(batch));
  writeFileSync(fileOf(model), content);
  await using second = await open();
  expect(await second.evaluate(batch)).toBe(loss);
});

const enabled = "/sys/kernel/mm/transparent_hugepage/enabled";
const grantsLargePages = existsSync(enabled) && !readFileSync(enabled, "utf8").includes("[never]");
if (!grantsLargePages) console.log("skipped: copies of weights in large pages, which this system does not grant");

test.skipIf(!grantsLargePages)("copies are made of the larger base", async () => {
  const { model } = BASES["safetensors, copied"]!();
  await using engine = await Engine.create(model, null, { ...sizes, training: false, copyWeights: true });
  expect(await engine.evaluate(batch)).toBeGreaterThan(0);
  expect(copiedBytes(fileOf(model))).toBeGreaterThan(0);
});

describe("the token cache", () => {
  const texts = Array.from({ length: 300 }, (_, i) => `Text number ${i} of those that are cut.`);
  const tableIn = async (cache: string) => {
    return tableOf(texts, { tokenizer: await Tokenizer.open(tinyBase), folder: cache, maxLength: 20 });
  };
  const cacheFile = (cache: string) => {
    return join(cache, readdirSync(cache).find((name) => name.endsWith(".arrow"))!);
  };

  test.each(Object.keys(DAMAGES))(
    "%s: an error where a batch is made, and where an engine reads one",
    async (damage) => {
      const cache = folder();
      const dataset = new TokenDataset(
        await tableIn(cache),
        Int32Array.from({ length: 300 }, (_, i) => i),
      );
      await using engine = await Engine.create(openModel(tinyBase), spec, { ...sizes, maxTokens: 256 });
      const made = dataset.batch([0, 1, 2]).batch!;
      const loss = await engine.evaluate(made);
      expect(await engine.evaluate(dataset.batch([0, 1, 2]).batch!)).toBe(loss);
      DAMAGES[damage]!(cacheFile(cache));
      for (const use of [() => dataset.batch([0]), () => dataset.batch([250]), () => dataset.beginning(0, 5)]) {
        const error = await errorOf(use);
        expect([error.code, error.message.includes(cacheFile(cache))]).toEqual(["E_CACHE", true]);
      }
      for (const use of [() => engine.evaluate(made), () => engine.forwardBackward(made, 1, 0)]) {
        expect((await errorOf(use)).message).toContain(cacheFile(cache));
      }
      // The engine's own files are whole: it goes on with other texts.
      expect(await engine.evaluate(batch)).toBeGreaterThan(0);
      const again = new TokenDataset(await tableIn(cache), Int32Array.from([0, 1, 2]));
      if (damage !== "written to") expect(await engine.evaluate(again.batch([0, 1, 2]).batch!)).toBe(loss);
    },
  );

  test("opened by others meanwhile it is the same file", async () => {
    const cache = folder();
    const dataset = new TokenDataset(await tableIn(cache), Int32Array.from([0]));
    await tableIn(cache);
    expect(dataset.batch([0]).tokens).toBeGreaterThan(2);
  });

  test("of a mapped buffer: zeros where the file ends, and what happened", () => {
    const file = writeIn(folder(), "tokens", Buffer.alloc(40_000, 1));
    const bytes = new Uint8Array(mapFile(file));
    expect(mappedProblem(bytes.buffer)).toBeNull();
    truncateSync(file, 4096);
    expect([bytes[0], bytes[4095], bytes[4096], bytes[39_999]]).toEqual([1, 1, 0, 0]);
    expect(mappedProblem(bytes.buffer)).toMatch(
      /tokens: the cache file was cut short while it was in use: it had 40000 bytes and has 4096/,
    );
    expect(mappedProblem(new ArrayBuffer(8))).toBeNull();
  });
});

describe("merging", () => {
  test.each(Object.keys(DAMAGES))(
    "a file that is %s meanwhile: an error with its name, and no folder",
    async (damage) => {
      const model = openModel(tinyCopy());
      const output = join(folder(), "merged");
      await using engine = await Engine.create(model, spec, { ...sizes, training: false });
      const onProgress = (done: number) => void (done === 5 && DAMAGES[damage]!(fileOf(model)));
      const error = await errorOf(() => writeMerged({ engine, model, modules: [MODULE], output, onProgress }));
      expect([error.code, error.where]).toEqual(["E_FILE_CHANGED", fileOf(model)]);
      expect(existsSync(output)).toBe(false);
    },
  );
});

describe("the library", () => {
  const file = someTexts(join(folder(), "texts.jsonl"), 40);
  const SMALL = {
    train_file: [file],
    lora_r: 4,
    max_seq_length: 48,
    per_device_train_batch_size: 4,
    save_steps: 2,
    logging_steps: 1,
    max_steps: 8,
  };
  const bytesOf = async (trainer: Trainer) =>
    Buffer.concat([...(await trainer.adapter()).tensors.values()].map(({ data }) => Buffer.from(data.buffer)));

  /** Trains to the end; `at` is told each step. */
  async function run(base: string, more: object, at: (step: number) => void = () => {}, share_weights = true) {
    await using model = await Model.open(base, { threads: 2, share_weights });
    await using trainer = await Trainer.create(model, { ...SMALL, ...more });
    for await (const event of trainer.run()) if (event.type === "step") at(event.step);
    return bytesOf(trainer);
  }

  test("one of two trainers loses its weights: the other ends as alone, and the first one's last checkpoint goes on", async () => {
    const expected = await run(tinyBase, { cache_dir: folder() });
    const [base, output] = [tinyCopy(), join(folder(), "run")];
    const content = readFileSync(join(base, "model.safetensors"));
    const cut = (step: number) => void (step === 5 && truncateSync(join(base, "model.safetensors"), 1000));
    const [broken, whole] = await Promise.allSettled([
      run(base, { output_dir: output }, cut),
      run(tinyBase, { cache_dir: folder() }),
    ]);
    expect(broken).toMatchObject({ status: "rejected", reason: { code: "E_FILE_CHANGED" } });
    expect(whole).toEqual({ status: "fulfilled", value: expected });
    writeFileSync(join(base, "model.safetensors"), content);
    const resumed = await run(base, { output_dir: output, resume: "latest" });
    expect(resumed.equals(expected)).toBe(true);
  });

  test("one of two worker threads loses its weights: the other ends as alone, and so does the process", async () => {
    const expected = await run(tinyBase, { cache_dir: folder() });
    const source = `
      const { parentPort, workerData } = require("node:worker_threads");
      (async () => {
        const { Model, Trainer } = await import(workerData.index);
        const model = await Model.open(workerData.base, { threads: 2, share_weights: true });
        const trainer = await Trainer.create(model, workerData.options);
        for await (const { type, step } of trainer.run()) {
          if (type !== "step" || step !== 3) continue;
          parentPort.postMessage("third step");
          await new Promise((resolve) => parentPort.once("message", resolve));
        }
        const { tensors } = await trainer.adapter();
        return Buffer.concat([...tensors.values()].map(({ data }) => Buffer.from(data.buffer))).toString("base64");
      })().then((result) => parentPort.postMessage({ result }), ({ code, where }) => parentPort.postMessage({ code, where }));
    `;
    const index = pathToFileURL(join(root, "dist/index.js")).href;
    const base = tinyCopy();
    const end = (of: string, onThird: () => void) =>
      new Promise((resolve, reject) => {
        const options = { ...SMALL, cache_dir: folder() };
        const worker = new Worker(source, { eval: true, workerData: { index, base: of, options } });
        worker.once("error", reject);
        worker.on("message", (message) => {
          if (message !== "third step") return void worker.terminate().then(() => resolve(message));
          onThird();
          worker.postMessage("go on");
        });
      });
    const weights = join(base, "model.safetensors");
    const ended = await Promise.all([end(base, () => truncateSync(weights, 5000)), end(tinyBase, () => {})]);
    expect(ended).toEqual([{ code: "E_FILE_CHANGED", where: weights }, { result: expected.toString("base64") }]);
    // The threads are gone, and so are their mappings: the guard holds for present mappings.
    const bytes = new Uint8Array(mapFile(writeIn(folder(), "tokens", Buffer.alloc(9000, 1))));
    expect([bytes[8999], mappedProblem(bytes.buffer)]).toEqual([1, null]);
  });
});
