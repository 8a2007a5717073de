// The training loop with the real engine on the tiny base model.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAdapter } from "../../src/checkpoint/index.js";
import { TokenDataset, Tokenizer, type TokenTable } from "../../src/data/index.js";
import { openModel, resolveTargets } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import {
  type Dataset,
  type EvalMetrics,
  modelFlop,
  Saver,
  type StepMetrics,
  type TrainerEvent,
  train,
} from "../../src/trainer/index.js";
import { tinyBase, trainFile, workFolder } from "../support/tiny.js";
import { tableOf, textsOf } from "../support/tokens.js";

const work = workFolder("trainer");
const model = openModel(tinyBase);
let tokenizer: Tokenizer;
let table: TokenTable;
let engine: Engine;
let folders = 0;
const cache = work.path("cache");

const targets = resolveTargets(model, "q_proj,down_proj");
const { modules } = targets;
const spec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, targets: modules, seed: 3 };
const shape = { precision: "fp32", threads: 2, maxTokens: 1024, maxSequence: 64, training: true } as const;

beforeAll(async () => {
  [tokenizer, engine] = await Promise.all([Tokenizer.open(tinyBase), Engine.create(model, spec, shape)]);
  table = await tableOf(textsOf(trainFile), { tokenizer, folder: cache, maxLength: 24 });
});
afterAll(async () => {
  await engine.close();
  work.remove();
});

function dataset(from: number, count: number): TokenDataset {
  const examples = Int32Array.from({ length: count }, (_, i) => from + i);
  return new TokenDataset(table, examples);
}

/** A data set that notes which positions are asked for. */
function noting(inner: TokenDataset): Dataset & { asked: number[][] } {
  const asked: number[][] = [];
  return {
    asked,
    length: inner.length,
    tokens: (position) => inner.tokens(position),
    batch: (positions) => {
      asked.push([...positions]);
      return inner.batch(positions);
    },
  };
}

type Options = Partial<Omit<Parameters<typeof train>[0], "report">> & {
  limit?: number | null;
  /** Whether a checkpoint is written before the next step. */
  waits?: boolean;
  onEvent?: (event: TrainerEvent, folder: string) => void;
};

const every = (n: number) => ({ strategy: "steps", every: n }) as const;

/** Trains a fresh adapter. */
async function run(options: Options) {
  const { limit = 3, waits = false, onEvent, ...rest } = options;
  const folder = work.path(`run-${folders++}`);
  const events: TrainerEvent[] = [];
  const report = (event: TrainerEvent) => {
    events.push(event);
    onEvent?.(event, folder);
  };
  const trained = rest.engine ?? engine;
  const saver = new Saver({
    engine: trained,
    model,
    tokenizer,
    adapter: { spec, targets },
    folder,
    limit,
    texts: { training: { texts: 8, tokens: 90 }, validation: { texts: 0, tokens: 0 } },
    identity: { settings: {}, cpu: "" },
    metric: "eval_loss",
    report,
  });
  const collect = saver.collect.bind(saver);
  if (waits) saver.collect = () => saver.written().then(collect);
  const work_ = {
    engine: trained,
    modelFlop: modelFlop(model, spec),
    training: dataset(0, 8),
    validation: null,
    batchSize: 4,
    evalBatchSize: 4,
    accumulation: 1,
    epochs: 1,
    learningRate: 1e-3,
    scheduler: "linear",
    warmupRatio: 0,
    weightDecay: 0,
    maxGradNorm: 1,
    shuffle: false,
    groupByLength: false,
    seed: 5,
    loggingSteps: 1,
    evaluating: every(1000),
    saving: every(1000),
    metric: "eval_loss",
    loadBest: true,
    ...rest,
    saver,
    report,
  } as const;
  await fresh(trained as Engine);
  const result = await train(work_).then(
    (value) => ({ value, error: undefined }),
    (error: Error & { code: string }) => ({ value: undefined, error }),
  );
  const metrics = events.flatMap((e) => (e.type === "step" && e.metrics ? [e.metrics] : []));
  const evals = events.flatMap((e) => (e.type === "eval" ? [e.metrics] : []));
  const checkpoints = statSync(folder, { throwIfNoEntry: false })?.isDirectory()
    ? readdirSync(folder).filter((name) => name.startsWith("checkpoint-"))
    : [];
  return { ...result, folder, events, metrics, evals, checkpoints: checkpoints.sort() };
}

let initial: Awaited<ReturnType<Engine["adapter"]>> | undefined;
/** The state of an engine that has just been made. */
async function fresh(trained: Engine): Promise<void> {
  initial ??= await trained.adapter();
  await trained.setAdapter(initial);
  const zeros = new Map(
    [...initial].map(([n, { shape, data }]) => [n, { shape, data: new Float32Array(data.length) }]),
  );
  await trained.setOptimizerState({ step: 0, m: zeros, v: zeros });
}

const close = (found: number, expected: number, share = 1e-5) =>
  expect(Math.abs(found / expected - 1), `${found} and ${expected}`).toBeLessThan(share);

describe("steps", () => {
  test("a window of micro-batches learns what one large batch learns", async () => {
    const large = await run({ batchSize: 8, epochs: 3 });
    const window = await run({ batchSize: 2, accumulation: 4, epochs: 3 });
    expect(large.metrics).toHaveLength(3);
    for (const [i, { loss, grad_norm, learning_rate }] of large.metrics.entries()) {
      close(window.metrics[i]!.loss, loss);
      close(window.metrics[i]!.grad_norm, grad_norm, 1e-4);
      expect(window.metrics[i]!.learning_rate).toBe(learning_rate);
    }
    expect(large.metrics[2]!.loss).toBeLessThan(large.metrics[0]!.loss);
  });

  test("an epoch's last window is smaller, and epochs are counted in micro-batches", async () => {
    const training = noting(dataset(0, 10));
    const { metrics, events } = await run({ training, batchSize: 4, accumulation: 2, epochs: 2 });
    expect(metrics.map(({ epoch }) => epoch)).toEqual([2 / 3, 1, 1 + 2 / 3, 2]);
    expect(training.asked.map((rows) => rows.length)).toEqual([4, 4, 2, 4, 4, 2]);
    expect(events[0]).toEqual({ type: "start", steps: 4, steps_per_epoch: 2, warmup_steps: 0 });
  });

  test("max_steps ends within an epoch or goes on into the next", async () => {
    expect((await run({ maxSteps: 1 })).value?.steps).toBe(1);
    const { metrics } = await run({ maxSteps: 5, batchSize: 4 });
    expect(metrics.map(({ epoch }) => epoch)).toEqual([0.5, 1, 1.5, 2, 2.5]);
  });

  test("the logged loss is the mean since the last line; rate and norm are the step's", async () => {
    const each = await run({ epochs: 3, batchSize: 2, warmupSteps: 2 });
    const some = await run({ epochs: 3, batchSize: 2, warmupSteps: 2, loggingSteps: 5 });
    const mean = (list: StepMetrics[]) => list.reduce((sum, { loss }) => sum + loss, 0) / list.length;
    expect(some.metrics.map(({ step }) => step)).toEqual([5, 10, 12]);
    expect(some.metrics.map(({ loss }) => loss)).toEqual(
      [each.metrics.slice(0, 5), each.metrics.slice(5, 10), each.metrics.slice(10)].map(mean),
    );
    for (const { step, grad_norm, learning_rate } of some.metrics) {
      expect(each.metrics[step - 1]).toMatchObject({ grad_norm, learning_rate });
    }
    expect(each.metrics[0]!.learning_rate).toBe(0);
    close(each.metrics[1]!.learning_rate, 5e-4);
    expect(each.metrics[2]!.learning_rate).toBe(1e-3);
    for (const { tokens_per_s, mfu } of each.metrics) {
      expect(tokens_per_s).toBeGreaterThan(0);
      expect(mfu).toBeGreaterThan(0);
    }
  });

  test("file order without shuffling; with it every epoch has its own order of the same rows", async () => {
    const plain = noting(dataset(0, 8));
    await run({ training: plain, epochs: 2 });
    expect(plain.asked.flat()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]);
    const mixed = noting(dataset(0, 8));
    await run({ training: mixed, epochs: 2, shuffle: true });
    const order = mixed.asked.flat();
    const [first, second] = [order.slice(0, 8), order.slice(8)];
    expect([...first].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...second].sort()).toEqual([...first].sort());
    expect(second).not.toEqual(first);
  });

  test("same seed, same bits, for 1 and 3 threads with dropout", async () => {
    const dropping = { ...spec, dropout: 0.2 };
    const losses: number[][] = [];
    for (const threads of [1, 3]) {
      await using other = await Engine.create(model, dropping, { ...shape, threads });
      const { metrics } = await run({ engine: other, batchSize: 2, shuffle: true });
      losses.push(metrics.flatMap(({ loss, grad_norm }) => [loss, grad_norm]));
    }
    expect(losses[0]).toEqual(losses[1]);
    expect(losses[0]).toHaveLength(8);
  });
});

describe("evaluating and saving", () => {
  /** Validation texts that get worse: whichever adapter comes first is the best. */
  function worsening(): Dataset {
    const easy = dataset(0, 4);
    const hard = dataset(20, 4);
    let evaluations = 0;
    return {
      length: 4,
      tokens: (position) => easy.tokens(position),
      batch: (positions) => {
        const found = (evaluations++ === 0 ? easy : hard).batch(positions);
        if (evaluations === 1) return found;
        const rare = (n: number) => Int32Array.from({ length: n }, (_, i) => (i === 0 ? 0 : 2000));
        const sequences = found.batch.sequences.map(({ inputIds }) => ({ inputIds: rare(inputIds.length) }));
        return { ...found, batch: { sequences } };
      },
    };
  }

  test.each([
    // 8 texts in batches of 4: two steps an epoch, five steps.
    ["epoch", "epoch", [2, 4, 5], [2, 4, 5]],
    ["epoch", "no", [2, 4, 5], []],
    ["no", "epoch", [], [2, 4, 5]],
    ["no", "no", [], []],
  ] as const)("eval_strategy %s, save_strategy %s", async (evaluating, saving, evaluated, saved) => {
    const { evals, checkpoints, value } = await run({
      validation: dataset(8, 4),
      maxSteps: 5,
      evaluating: { strategy: evaluating, every: 1 },
      saving: { strategy: saving, every: 1 },
    });
    expect(evals.map(({ step }) => step)).toEqual(evaluated);
    expect(checkpoints).toEqual(saved.map((step) => `checkpoint-${step}`));
    expect(value).toMatchObject({ steps: 5, aborted: false, stoppedEarly: false });
    expect(value!.bestEval === null).toBe(evaluated.length === 0 || saved.length === 0);
  });

  test("the last adapter, where the best is not asked for", async () => {
    const options = { validation: worsening(), maxSteps: 3, evaluating: every(1), saving: every(1) };
    const best = await run(options);
    const last = await run({ ...options, validation: worsening(), loadBest: false });
    const adapterOf = (folder: string) => [...readAdapter(folder, model).tensors.values()].map(({ data }) => [...data]);
    expect(best.value!.bestEval!.step).toBe(1);
    expect(last.value!.bestEval).toBeNull();
    expect(adapterOf(last.folder)).toEqual(adapterOf(`${last.folder}/checkpoint-3`));
    expect(adapterOf(best.folder)).toEqual(adapterOf(`${best.folder}/checkpoint-1`));
  });

  test("a run that gets no better ends early, also after it was resumed", async () => {
    const patient = { evaluating: every(1), saving: every(1), earlyStopping: { patience: 2, threshold: 0 } };
    const { value, evals, events } = await run({ validation: worsening(), maxSteps: 9, ...patient });
    expect(value).toMatchObject({ steps: 3, aborted: false, stoppedEarly: true });
    expect(value!.bestEval!.step).toBe(1);
    expect(evals).toHaveLength(3);
    expect(events.flatMap((e) => (e.type === "warning" ? [e.message] : []))).toEqual([
      "Stopped early: eval_loss has not improved in 2 evaluations.",
    ]);
    const over = { best: 1, waited: 2 };
    const state = {
      step: 3,
      total_steps: 9,
      next_micro_batch: 3,
      epoch: 1.5,
      totals: { milliseconds: 0, losses: 0, steps: 0, tokens: 0, samples: 0, flop: 0 },
      interval: { losses: 0, steps: 0, tokens: 0, flop: 0, milliseconds: 0 },
    };
    const resume = { ...state, last_eval: evals[2]!, best_eval: null, early_stopping: over, loss_scale: null };
    const resumed = await run({
      ...{ validation: worsening(), maxSteps: 9, ...patient },
      resume: { ...resume, settings: {}, cpu: "" },
    });
    expect(resumed.value).toMatchObject({ steps: 3, stoppedEarly: true });
  });

  test("at eval_steps, at each save and at the end, never twice", async () => {
    const { evals, checkpoints, value } = await run({
      validation: dataset(40, 6),
      batchSize: 1,
      epochs: 1,
      evaluating: every(2),
      saving: every(3),
    });
    expect(evals.map(({ step }) => step)).toEqual([2, 3, 4, 6, 8]);
    expect(checkpoints).toEqual(["checkpoint-3", "checkpoint-6", "checkpoint-8"]);
    for (const { eval_loss, eval_perplexity } of evals) close(eval_perplexity!, Math.exp(eval_loss));
    expect(value?.lastEval).toEqual(evals.at(-1));
    expect(value?.bestEval?.eval_loss).toBe(
      Math.min(...evals.filter((e) => [3, 6, 8].includes(e.step)).map((e) => e.eval_loss)),
    );
  });

  test("the loss is that of all validation tokens, whatever the batches", async () => {
    const one = await run({ validation: dataset(40, 6), evalBatchSize: 6 });
    const many = await run({ validation: dataset(40, 6), evalBatchSize: 1 });
    close(many.evals[0]!.eval_loss, one.evals[0]!.eval_loss, 1e-6);
  });

  test("the best checkpoint is kept, restored and saved", async () => {
    const { folder, checkpoints, value, events, evals } = await run({
      validation: worsening(),
      batchSize: 2,
      saving: every(1),
      limit: 2,
    });
    expect(evals[0]!.eval_loss).toBeLessThan(evals[1]!.eval_loss);
    expect(value?.bestEval?.step).toBe(1);
    expect(checkpoints).toEqual(["checkpoint-1", "checkpoint-4"]);
    const removed = events.flatMap((e) => (e.type === "checkpoint" ? e.removed : []));
    expect(removed).toHaveLength(2);
    const best = readAdapter(`${folder}/checkpoint-1`, model);
    const saved = readAdapter(folder, model);
    const last = readAdapter(`${folder}/checkpoint-4`, model);
    const inEngine = await engine.adapter();
    for (const [name, { data }] of best.tensors) {
      expect(saved.tensors.get(name)!.data).toEqual(data);
      expect(inEngine.get(name)!.data).toEqual(data);
    }
    const different = [...last.tensors].some(
      ([name, { data }]) => !data.every((x, i) => x === best.tensors.get(name)!.data[i]),
    );
    expect(different).toBe(true);
    expect(saved.spec).toMatchObject({ rank: 4, alpha: 8, targets: modules });
    expect(existsSync(`${folder}/tokenizer.json`) && existsSync(`${folder}/checkpoint-1/tokenizer.json`)).toBe(true);
    const state = JSON.parse(readFileSync(`${folder}/checkpoint-4/trainer_state.json`, "utf8"));
    expect(state).toMatchObject({ global_step: 4, max_steps: 4, epoch: 1, train_batch_size: 2, save_steps: 1 });
    expect(state.best_model_checkpoint).toContain("checkpoint-1");
    expect(state.best_metric).toBe(evals[0]!.eval_loss);
    expect(state.log_history.filter((row: EvalMetrics) => row.eval_loss !== undefined)).toHaveLength(4);
  });
});

describe("ends", () => {
  test("a signal finishes the step, saves a checkpoint and the adapter", async () => {
    const controller = new AbortController();
    const { value, folder, checkpoints, metrics } = await run({
      batchSize: 1,
      loggingSteps: 100,
      validation: dataset(40, 2),
      signal: controller.signal,
      onEvent: (e) => {
        if (e.type === "step" && e.step === 3) controller.abort();
      },
    });
    expect(value).toMatchObject({ steps: 3, aborted: true, bestEval: null });
    expect(checkpoints).toEqual(["checkpoint-3"]);
    expect(metrics).toEqual([]);
    const now = await engine.adapter();
    for (const [name, { data }] of readAdapter(folder, model).tensors) expect(data).toEqual(now.get(name)!.data);
  });

  test("a signal between two steps saves the last one", async () => {
    const controller = new AbortController();
    const between = async () => controller.abort();
    const { value, checkpoints } = await run({ batchSize: 1, signal: controller.signal, between });
    expect(value).toMatchObject({ steps: 1, aborted: true });
    expect(checkpoints).toEqual(["checkpoint-1"]);
  });

  test("a signal between two steps saves no step twice", async () => {
    const controller = new AbortController();
    const between = async () => controller.abort();
    const { value, events } = await run({ batchSize: 1, saving: every(1), signal: controller.signal, between });
    expect(value).toMatchObject({ steps: 1, aborted: true });
    expect(events.filter(({ type }) => type === "checkpoint")).toHaveLength(1);
  });

  /** A folder whose writes fail while it is away: a file has its place. */
  function away(folder: string): () => void {
    renameSync(folder, `${folder}.away`);
    writeFileSync(folder, "");
    return () => {
      rmSync(folder);
      renameSync(`${folder}.away`, folder);
    };
  }

  test("a signal between two steps saves the last one where its own checkpoint could not be written", async () => {
    const controller = new AbortController();
    let back = () => {};
    let isAway = false;
    const { value, error, checkpoints, events } = await run({
      batchSize: 1,
      waits: true,
      saving: every(1),
      signal: controller.signal,
      onEvent: (e, folder) => {
        if (e.type === "checkpoint" && !isAway) back = away(folder);
        isAway ||= e.type === "checkpoint";
        if (e.type === "warning" && e.message.includes("goes on without this checkpoint")) {
          back();
          controller.abort();
        }
      },
    });
    expect(error).toBeUndefined();
    expect(value?.aborted).toBe(true);
    const last = `checkpoint-${value?.steps}`;
    expect(checkpoints.at(-1)).toBe(last);
    expect(events.filter((e) => e.type === "warning" && e.message.includes("without this checkpoint"))).toHaveLength(1);
  });

  test("a stop whose checkpoint cannot be written is an error that names the last whole one", async () => {
    const controller = new AbortController();
    let back = () => {};
    const { error, folder, checkpoints } = await run({
      batchSize: 1,
      saving: every(1),
      signal: controller.signal,
      onEvent: (e, folder) => {
        if (e.type === "checkpoint") back = away(folder);
        if (e.type === "step" && existsSync(`${folder}.away`)) controller.abort();
      },
    });
    expect(error).toMatchObject({ code: "E_WRITE", message: expect.stringContaining("checkpoint-") });
    expect(checkpoints).toEqual([]);
    back();
    expect(readdirSync(folder)).toContain("checkpoint-1");
  });

  test("a signal while evaluating does not wait for the rest", async () => {
    const controller = new AbortController();
    const { value, evals, checkpoints } = await run({
      batchSize: 1,
      evaluating: every(2),
      evalBatchSize: 1,
      validation: dataset(40, 6),
      signal: controller.signal,
      onEvent: (e) => {
        if (e.type === "evaluating" && e.done === 2) controller.abort();
      },
    });
    expect(evals).toEqual([]);
    expect(value).toMatchObject({ steps: 2, aborted: true });
    expect(checkpoints).toEqual(["checkpoint-2"]);
  });

  test.each([
    // Adam's first step moves every element by about the rate: 1e30 is a number still, 1e39 is none in f32.
    [1e30, ["checkpoint-1", "checkpoint-2"]],
    [1e39, ["checkpoint-1"]],
  ])("learning rate %d: the run stops and names step, rate and last checkpoint", async (learningRate, kept) => {
    await using other = await Engine.create(model, spec, shape);
    const diverging = { batchSize: 1, learningRate, saving: every(1), scheduler: "constant", warmupSteps: 1 } as const;
    const { error, folder, checkpoints } = await run({ ...diverging, engine: other });
    expect(error?.code).toBe("E_NAN");
    expect(error?.message).toMatch(/Step \d: the .* is (NaN|-?Infinity), at learning rate 1e\+3/);
    expect(error?.message).toContain("--learning_rate");
    expect(error?.message).toContain(`The last checkpoint is ${folder}/${kept.at(-1)}.`);
    expect(checkpoints).toEqual(kept);
    expect(readAdapter(`${folder}/checkpoint-1`, model).tensors.size).toBe(2 * modules.length);
  });
});
