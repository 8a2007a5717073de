// Same seed, same bits: the number of threads changes when the work is done and nothing else.
import { availableParallelism } from "node:os";
import { beforeAll, describe, expect, test } from "vitest";
import { usableCores } from "../../src/base/processors.js";
import { listLinears, openModel } from "../../src/model/index.js";
import {
  type AdapterTensors,
  type Batch,
  Engine,
  PRECISIONS,
  type Precision,
  planMemory,
} from "../../src/native/index.js";
import { threadCount } from "../../src/setup/adapter.js";
import { steppedNorm, trainedLoss } from "../support/readings.js";

const model = openModel(new URL("../../examples/tiny-base", import.meta.url).pathname);
const STEPS = 5;
const LENGTHS = [97, 33, 64, 5];

/** A batch of pseudo-random tokens, the same for the same seed. */
function batch(seed: number): Batch {
  let state = seed >>> 0;
  const token = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % model.config.vocabSize;
  };
  return { sequences: LENGTHS.map((length) => ({ inputIds: Int32Array.from({ length }, token) })) };
}

interface Run {
  precision: Precision;
  threads: number;
  seed?: number;
  checkpointedBlocks?: number;
}

/** Losses, gradient norms and the adapter after a few steps with dropout and accumulation. */
async function train({ precision, threads, seed = 7, checkpointedBlocks = 0 }: Run) {
  const targets = listLinears(model).map(({ name }) => name);
  await using engine = await Engine.create(
    model,
    { rank: 5, alpha: 10, dropout: 0.1, useRslora: false, targets, seed },
    { precision, threads, maxTokens: 256, maxSequence: 128, training: true, checkpointedBlocks },
  );
  const numbers: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    for (const micro of [2 * step, 2 * step + 1]) {
      numbers.push(await trainedLoss(engine, batch(micro), 1 / 390, micro));
    }
    numbers.push(await steppedNorm(engine, { learningRate: 1e-2, weightDecay: 0.01, maxGradNorm: 0.5 }));
  }
  numbers.push(await engine.evaluate(batch(99)));
  return { numbers, adapter: await engine.adapter() };
}

/** Bytes of every tensor, so that a difference in the last bit, or of a zero's sign, counts. */
function bytes(adapter: AdapterTensors): Record<string, string> {
  return Object.fromEntries(
    [...adapter].map(([name, { data }]) => [
      name,
      Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64"),
    ]),
  );
}

test("no more threads than processors are used, and whoever asks for more is told", () => {
  const [all, said] = [availableParallelism(), [] as string[]];
  const count = (threads?: number) => threadCount(threads, (message) => said.push(message));
  expect([count(), count(1), count(all)]).toEqual([usableCores(), 1, all]);
  expect(said).toEqual([]);
  expect(count(1000)).toBe(all);
  expect(said).toEqual([expect.stringMatching(/--threads 1000 is more than the \d+ processors/)]);
});

describe.each(PRECISIONS)("%s", (precision) => {
  let expected: Awaited<ReturnType<typeof train>>;
  beforeAll(async () => {
    expected = await train({ precision, threads: 1 });
  });

  test.each([1, 2, 3])("the same bits with %i threads", async (threads) => {
    const found = await train({ precision, threads });
    expect(found.numbers).toEqual(expected.numbers);
    expect(bytes(found.adapter)).toEqual(bytes(expected.adapter));
  });

  test("the same bits with many more threads than processors, and soon", async () => {
    const found = await train({ precision, threads: 300 });
    expect(found.numbers).toEqual(expected.numbers);
    expect(bytes(found.adapter)).toEqual(bytes(expected.adapter));
  });

  test("the same bits with blocks computed again in the backward pass", async () => {
    const found = await train({ precision, threads: 2, checkpointedBlocks: 3 });
    expect(found.numbers).toEqual(expected.numbers);
    expect(bytes(found.adapter)).toEqual(bytes(expected.adapter));
  });

  test("another seed gives other bits, and training moved every tensor", async () => {
    const other = await train({ precision, threads: 2, seed: 8 });
    const zeros = [...expected.adapter.values()].filter(({ data }) => data.every((x) => x === 0));
    expect(zeros).toEqual([]);
    for (const [name, { data }] of other.adapter) expect(data, name).not.toEqual(expected.adapter.get(name)!.data);
  });
});

test("planning starts no thread: a thousand of them would take longer", () => {
  const targets = listLinears(model).map(({ name }) => name);
  const spec = { rank: 5, alpha: 10, dropout: 0.1, useRslora: false, targets, seed: 1 };
  const sizes = { precision: "bf16", maxTokens: 256, maxSequence: 128, training: true } as const;
  const plan = (threads: number) => planMemory(model, spec, { ...sizes, threads }).totalBytes;
  expect(plan(64)).toBeGreaterThan(plan(1));
  const times = Array.from({ length: 10 }, () => {
    const begun = performance.now();
    plan(1024);
    return performance.now() - begun;
  });
  expect(Math.min(...times)).toBeLessThan(5);
});
