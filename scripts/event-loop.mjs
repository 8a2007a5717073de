#!/usr/bin/env node
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const LIMIT_MS = 10;
const o = readArguments({
  about: `How long the event loop is held up while a model is trained in the same process: fine-tunes a model through the library with
evaluations and checkpoints, and prints percentiles of the delay. Exit code 1 where p99 is ${LIMIT_MS} ms or more.`,
  options: {
    model: { value: "FOLDER", default: here("../examples/tiny-base"), help: "the base model" },
    texts: { value: "FILE", default: here("../examples/data/train.jsonl"), help: "training texts" },
    steps: { kind: "number", least: 1, default: 20, help: "training steps" },
    batch: { kind: "number", least: 1, default: 4, help: "texts of a step" },
    sequence: { kind: "number", least: 2, default: 256, help: "tokens of a text at most" },
  },
});
const { steps } = o;
const { Model, Trainer } = await import("../dist/index.js");
const work = mkdtempSync(join(tmpdir(), "lowrank-event-loop-"));
try {
  const model = await Model.open(o.model);
  const trainer = await Trainer.create(model, {
    train_file: [o.texts],
    cache_dir: join(work, "cache"),
    output_dir: join(work, "run"),
    lora_r: 16,
    per_device_train_batch_size: o.batch,
    max_seq_length: o.sequence,
    max_steps: steps,
    save_steps: Math.ceil(steps / 4),
    eval_steps: steps,
  });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for await (const event of trainer.run()) {
    if (event.type === "evaluating" && event.done === 10) break;
  }
  delay.disable();
  await model.close();
  const ms = (n) => (n / 1e6).toFixed(2);
  const [p50, p99] = [delay.percentile(50), delay.percentile(99)];
  console.log(
    `${steps} steps of ${o.batch} x ${o.sequence}, ${cpus()[0].model}, ${cpus().length} processors: ` +
      `event-loop delay p50 ${ms(p50)} ms, p99 ${ms(p99)} ms, p99.9 ${ms(delay.percentile(99.9))} ms, longest ${ms(delay.max)} ms`,
  );
  process.exitCode = p99 / 1e6 < LIMIT_MS ? 0 : 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
