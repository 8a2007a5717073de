#!/usr/bin/env node
// Whether memory stays flat over a long run with evaluations and checkpoints on the way.
//
//   npm run soak -- [--steps 2000] [--model FOLDER]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Model, Trainer } from "../dist/index.js";
import { judge, resident } from "./bench/flat.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "2000" },
    model: { type: "string", default: here("../examples/tiny-base") },
  },
});
const steps = Number(values.steps);
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
