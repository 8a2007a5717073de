import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LowrankError } from "../../src/base/errors.js";
import {
  listCheckpoints,
  pruneCheckpoints,
  removeLater,
  saveCheckpoint,
  trainerState,
  writeTrainerState,
} from "../../src/checkpoint/index.js";
import { writeSafetensors } from "../../src/model/index.js";
import { errorOf, temporaryFolders, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const names = (path: string) => readdirSync(path).sort();
const save = (output: string, step: number, content = "x") =>
  saveCheckpoint(output, step, async (path) => {
    writeIn(path, "a", content);
    mkdirSync(join(path, "inner"));
    writeIn(join(path, "inner"), "b", content);
  });

describe("a checkpoint is complete or absent", () => {
  test("it is not there until it is whole", async () => {
    const output = join(folder(), "new", "output");
    const saved = await saveCheckpoint(output, 7, async (path) => {
      writeIn(path, "a", "1");
      expect(existsSync(join(output, "checkpoint-7"))).toBe(false);
      expect(await listCheckpoints(output)).toEqual([]);
    });
    expect(saved).toBe(join(output, "checkpoint-7"));
    expect(names(output)).toEqual(["checkpoint-7"]);
    expect(names(saved)).toEqual(["a", "manifest.json"]);
  });

  test("a failed write leaves nothing and names file and cause", async () => {
    const output = folder();
    const tensor = { name: "a", dtype: "U8", shape: [1], bytes: 1, data: new Uint8Array(1) };
    const error = await errorOf(() =>
      saveCheckpoint(output, 1, async (path) => {
        writeIn(path, "a", "1");
        await writeSafetensors("/dev/full", [tensor], {});
      }),
    );
    expect(error.code).toBe("E_WRITE");
    expect(error.message).toMatch(/\/dev\/full cannot be written: no space left on the device.*\(ENOSPC\)/);
    expect(names(output)).toEqual([]);
  });

  test("a failed write leaves the checkpoint of that number that was there", async () => {
    const output = folder();
    const saved = await save(output, 3, "old");
    const fail = async (path: string) => {
      writeIn(path, "a", "new");
      throw new LowrankError("E_X", "broken");
    };
    expect((await errorOf(() => saveCheckpoint(output, 3, fail))).code).toBe("E_X");
    expect(names(output)).toEqual(["checkpoint-3"]);
    expect(readFileSync(join(saved, "a"), "utf8")).toBe("old");
    await save(output, 3, "new");
    expect(names(output)).toEqual(["checkpoint-3"]);
    expect(readFileSync(join(saved, "inner", "b"), "utf8")).toBe("new");
  });

  test("what a killed run left is no obstacle", async () => {
    const output = folder();
    mkdirSync(join(output, ".checkpoint-5.tmp"));
    writeIn(join(output, ".checkpoint-5.tmp"), "half", "");
    const saved = await save(output, 5);
    expect(names(output)).toEqual(["checkpoint-5"]);
    expect(names(saved)).toEqual(["a", "inner", "manifest.json"]);
  });

  test("a mistake in the program stays what it is", async () => {
    const output = folder();
    const mistake = () => Promise.reject(new TypeError("x is undefined"));
    await expect(saveCheckpoint(output, 1, mistake)).rejects.toThrow(TypeError);
    expect(names(output)).toEqual([]);
  });

  test("an output folder that cannot be made", async () => {
    const file = writeIn(folder(), "file", "");
    const error = await errorOf(() => save(file, 1));
    expect(error.code).toBe("E_WRITE");
    expect(error.message).toContain(join(file, "checkpoint-1"));
  });
});

describe("pruning", () => {
  async function output(...steps: number[]) {
    const path = folder();
    for (const step of steps) await save(path, step);
    return path;
  }
  const at = (path: string, ...steps: number[]) => steps.map((step) => join(path, `checkpoint-${step}`));

  test("the oldest go first, by number and not by name or time", async () => {
    const path = await output(1000, 900, 20, 100);
    expect(await listCheckpoints(path)).toEqual(at(path, 20, 100, 900, 1000));
    expect(await pruneCheckpoints(path, 2, [])).toEqual(at(path, 20, 100));
    expect(await listCheckpoints(path)).toEqual(at(path, 900, 1000));
  });

  test("the best is never removed, nor the newest", async () => {
    const path = await output(1, 2, 3, 4);
    const best = join(path, "checkpoint-1");
    expect(await pruneCheckpoints(path, 2, [best])).toEqual(at(path, 2, 3));
    expect(await pruneCheckpoints(path, 1, [best])).toEqual([]);
    expect(await listCheckpoints(path)).toEqual(at(path, 1, 4));
    expect(await pruneCheckpoints(path, 1, ["checkpoint-1"])).toEqual([]);
    expect(await pruneCheckpoints(path, 1, [])).toEqual(at(path, 1));
    expect(await pruneCheckpoints(path, 0, [])).toEqual([]);
    expect(await listCheckpoints(path)).toEqual(at(path, 4));
  });

  test("null keeps all; what is no checkpoint stays", async () => {
    const path = await output(1, 2, 3);
    writeIn(path, "metrics.jsonl", "");
    mkdirSync(join(path, "checkpoint-best"));
    mkdirSync(join(path, ".checkpoint-9.tmp"));
    mkdirSync(join(path, ".checkpoint-8.old"));
    expect(await pruneCheckpoints(path, null, [])).toEqual([]);
    expect(await pruneCheckpoints(path, 1, [])).toEqual(at(path, 1, 2));
    expect(names(path)).toEqual(["checkpoint-3", "checkpoint-best", "metrics.jsonl"]);
  });
});

test("a run that goes on removes later checkpoints, and what killed ones left", async () => {
  const output = folder();
  for (const step of [2, 4, 10]) await save(output, step);
  for (const name of [".checkpoint-1.old", ".checkpoint-6.tmp"])
    mkdirSync(join(output, name, "inner"), { recursive: true });
  expect(await removeLater(output, 4)).toEqual([join(output, "checkpoint-10")]);
  expect(names(output)).toEqual(["checkpoint-2", "checkpoint-4"]);
});

test("trainer_state.json has the Trainer's keys, sorted", async () => {
  const path = folder();
  const history = [
    { step: 10, loss: 2.5, learning_rate: 1e-4, epoch: 0.5 },
    { step: 20, eval_loss: 2.25, epoch: 1 },
  ];
  const best = { step: 20, metric: 2.25, folder: "out/checkpoint-20" };
  const steps = { loggingSteps: 10, evalSteps: 20, saveSteps: 40 };
  const state = trainerState({ step: 20, maxSteps: 60, epoch: 1, epochs: 3, batchSize: 8, ...steps, history, best });
  await writeTrainerState(path, state);
  const text = readFileSync(join(path, "trainer_state.json"), "utf8");
  const read = JSON.parse(text);
  expect(read).toEqual({
    best_global_step: 20,
    best_metric: 2.25,
    best_model_checkpoint: "out/checkpoint-20",
    epoch: 1,
    eval_steps: 20,
    global_step: 20,
    is_hyper_param_search: false,
    is_local_process_zero: true,
    is_world_process_zero: true,
    log_history: history,
    logging_steps: 10,
    max_steps: 60,
    num_input_tokens_seen: 0,
    num_train_epochs: 3,
    save_steps: 40,
    stateful_callbacks: {},
    total_flos: 0,
    train_batch_size: 8,
    trial_name: null,
    trial_params: null,
  });
  expect(Object.keys(read)).toEqual(Object.keys(read).sort());
  expect(text).toContain('\n  "best_global_step": 20,\n');
  const none = trainerState({
    step: 1,
    maxSteps: 2,
    epoch: 0,
    epochs: 1,
    batchSize: 1,
    ...steps,
    history: [],
    best: null,
  });
  expect(none).toMatchObject({ best_global_step: null, best_metric: null, best_model_checkpoint: null });
});

test("what is no folder has no checkpoints: an error that names it", async () => {
  await expect(listCheckpoints("/dev/null")).rejects.toMatchObject({
    code: "E_FILE",
    message: expect.stringContaining("Folder of checkpoints /dev/null cannot be read: a part of its path is a file"),
  });
});
