// What a run may differ in from the checkpoint that it goes on from.
import { expect, test } from "vitest";
import { trainCommand } from "../src/config/index.js";
import { Model, type RunEvent, Trainer, type TrainerOptions } from "../src/index.js";
import { CHANGES_NO_BIT, differences, runSettings } from "../src/setup/run/identity.js";
import { temporaryFolders, tinyBase } from "./support/folders.js";

const newFolder = temporaryFolders();

/** Options whose effect is in a setting of another name, or in the hash of what they name. */
const IN_OTHERS = ["init_adapter", "text_column", "json_field", "csv_separator", "csv_quoting"];

test("every option of a run is a setting, or changes no bit", async () => {
  const options = Object.fromEntries(Object.entries(trainCommand.rows).map(([name, row]) => [name, row.defaultValue]));
  const spec = { rank: 1, alpha: 1, dropout: 0, useRslora: false, targets: [], seed: 1 };
  const config = { tieWordEmbeddings: true };
  const texts = { tokenizer: { sha256: "t" }, hashes: { training: "a", validation: null } };
  const tensors = [{ name: "w", dtype: "f32", shape: [1], file: import.meta.filename, offset: 0, bytes: 1 }];
  const quantize = { format: "nf4", doubleQuant: true };
  const model = { config, tensors: tensors.map((tensor) => ({ ...tensor, quantize })) };
  const eight = { config, tensors: tensors.map((t) => ({ ...t, quantize: { format: "i8" }, outlierThreshold: 6 })) };
  const head = { ...model, tensors: model.tensors.map((tensor) => ({ ...tensor, name: "lm_head.weight" })) };
  const known = new Set<string>(IN_OTHERS);
  for (const each of [model, eight, head]) {
    const parts = { model: each, spec, precision: "fp16", texts } as never;
    for (const name of Object.keys(runSettings(options as never, parts))) known.add(name);
  }
  for (const name of Object.keys(trainCommand.rows)) {
    expect(
      known.has(name) !== CHANGES_NO_BIT.has(name),
      `${name}: in runSettings or in CHANGES_NO_BIT, not in both`,
    ).toBe(true);
  }
});

test("a checkpoint of an earlier version, which held more of them, agrees", () => {
  const now = { seed: 1 };
  expect(differences(now, { seed: 1, logging_steps: 10, max_steps: 3, save_strategy: "steps" })).toEqual([]);
  expect(differences(now, { seed: 2, logging_steps: 10 })).toEqual(["--seed is 1, in the checkpoint 2"]);
});

const TEXTS = Array.from({ length: 20 }, (_, i) => `Take ${i} eggs and a pound of flour, and stir.`);

async function run(model: Model, options: TrainerOptions): Promise<RunEvent[]> {
  const fixed = { train: TEXTS, lora_r: 2, max_seq_length: 16, per_device_train_batch_size: 2, learning_rate: 1e-2 };
  await using trainer = await Trainer.create(model, { ...fixed, resume: "auto", save_steps: 2, ...options });
  const events: RunEvent[] = [];
  for await (const event of trainer.run()) events.push(event);
  return events;
}

/** But for that of a speed that the other work on this machine has made uncertain. */
const warnings = (events: RunEvent[]) =>
  events.flatMap((event) => (event.type === "warning" && !event.message.startsWith("mfu") ? [event.message] : []));
const metrics = (events: RunEvent[]) =>
  events.flatMap((event) => (event.type === "step" && event.metrics ? [event.metrics] : []));
const lossesOf = (events: RunEvent[]) => events.flatMap((event) => (event.type === "step" ? [event.loss] : []));

test("a longer run goes on, with other lines, evaluations and saves, and says that its schedule is new", async () => {
  await using model = await Model.open(tinyBase, { threads: 1 });
  const constant = { lr_scheduler: "constant", warmup_steps: 0, load_best_model_at_end: false } as const;
  const whole = await run(model, { ...constant, output_dir: newFolder(), max_steps: 8, logging_steps: 3 });
  const output_dir = newFolder();
  await run(model, { ...constant, output_dir, max_steps: 4, logging_steps: 3 });
  const others = { logging_steps: 2, eval_steps: 3, save_total_limit: 1, early_stopping_patience: 9, save_steps: 3 };
  const rest = await run(model, { ...constant, output_dir, max_steps: 8, ...others });
  expect(warnings(rest)).toEqual([
    expect.stringContaining("The run has 8 steps, in the checkpoint 4: it goes on after step 4"),
  ]);
  // With a constant learning rate the schedule is no other: the bits are those of a run that was longer at once.
  expect(lossesOf(rest)).toEqual(lossesOf(whole).slice(4));
  expect(metrics(rest).map(({ step }) => step)).toEqual([6, 8]);
  const done = await run(model, { ...constant, output_dir, max_steps: 8 });
  expect(warnings(done)).toEqual([
    expect.stringContaining("The run is finished: 8 steps are done, and those are all."),
  ]);
  const shorter = await run(model, { ...constant, output_dir, max_steps: 3 });
  expect(warnings(shorter)).toEqual([expect.stringContaining("8 steps are done, and 3 are asked for")]);
  expect(shorter.at(-1)).toMatchObject({ type: "end", steps: 8, aborted: false });
});

test("the learning rate of a longer run is that of the new schedule, at its step", async () => {
  await using model = await Model.open(tinyBase, { threads: 1 });
  const output_dir = newFolder();
  const linear = { output_dir, lr_scheduler: "linear", warmup_steps: 0, logging_steps: 1 } as const;
  await run(model, { ...linear, max_steps: 2 });
  const rest = await run(model, { ...linear, max_steps: 4 });
  expect(metrics(rest).map(({ learning_rate }) => learning_rate)).toEqual([1e-2 * (2 / 4), 1e-2 * (1 / 4)]);
});
