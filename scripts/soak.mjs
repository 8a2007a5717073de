#!/usr/bin/env node
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const values = readArguments({
  about: "Whether memory stays flat over a long run with evaluations and checkpoints on the way.",
  options: {
    steps: { kind: "number", least: 1, default: 2000, help: "training steps" },
    model: { value: "FOLDER", default: here("../examples/tiny-base"), help: "the base model" },
  },
});
const { Model, Trainer } = await import("../dist/index.js");
const { judge, resident } = await import("./bench/flat.mjs");
const { steps } = values;
/** Steps from one sample to the next. */
const SAMPLE_EVERY = 10;

const work = mkdtempSync(join(tmpdir(), "lowrank-soak-"));
const model = await Model.open(values.model);
const trainer = await Trainer.create(model, {
  train_file: [here("../examples/data/train.jsonl")],
  max_steps: steps,
  max_seq_length: 64,
  per_device_train_batch_size: 4,
  eval_steps: Math.ceil(steps / 20),
  save_steps: Math.ceil(steps / 10),
  cache_dir: join(work, "cache"),
  output_dir: join(work, "run"),
});
const samples = [];
for await (const event of trainer.run()) {
  if (event.type === "step" && event.step % SAMPLE_EVERY === 0) samples.push(resident());
}
await model.close();
rmSync(work, { recursive: true, force: true });
judge(`${steps} steps`, samples);
