#!/usr/bin/env node
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const LIMIT_MS = 10;
const o = readArguments({
  about: `How long the event loop is held up while a model is trained in the same process: fine-tunes a model through the library with
evaluations and checkpoints, to the end of its report, and prints percentiles of the delay. Exit code 1 where p99 is ${LIMIT_MS} ms or more. With --download another
model is downloaded again and again meanwhile, and Weights & Biases is reported to, both at a server on this machine.`,
  options: {
    model: { value: "FOLDER", default: here("../examples/tiny-base"), help: "the base model" },
    texts: { value: "FILE", default: here("../examples/data/train.jsonl"), help: "training texts" },
    steps: { kind: "number", least: 1, default: 20, help: "training steps" },
    batch: { kind: "number", least: 1, default: 4, help: "texts of a step" },
    download: { kind: "number", least: 1, value: "MB", help: "megabytes of the model that is downloaded" },
    sequence: { kind: "number", least: 2, default: 256, help: "tokens of a text at most" },
  },
});
const { steps } = o;
const { Model, Trainer } = await import("../dist/index.js");
const work = mkdtempSync(join(tmpdir(), "lowrank-event-loop-"));

/** The server of a model to download and of W&B. */
async function startServer() {
  const child = spawn(process.execPath, [here("support/hub-and-tracker.mjs"), String(o.download)]);
  const [address] = await once(child.stdout.setEncoding("utf8"), "data");
  return { child, address: address.trim() };
}

/** Downloads the model until a signal ends it. @returns how often it was whole */
async function download(endpoint, signal) {
  const { hubSettings, modelFiles, snapshotFolder } = await import("../dist/hub/index.js");
  const repository = { type: "model", name: "a/model", revision: "main" };
  let times = 0;
  while (!signal.aborted) {
    const cache = join(work, "hub");
    const settings = hubSettings({ HF_ENDPOINT: endpoint, HF_HUB_CACHE: cache, HF_HOME: work });
    try {
      await snapshotFolder(repository, modelFiles, { settings, signal });
      times++;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    await rm(cache, { recursive: true, force: true });
  }
  return times;
}

const server = o.download === undefined ? undefined : await startServer();
if (server) Object.assign(process.env, { WANDB_BASE_URL: server.address, WANDB_API_KEY: "0".repeat(40) });
const ended = new AbortController();
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
    logging_steps: 1,
    use_wandb: server !== undefined,
  });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const downloading = server && download(server.address, ended.signal);
  for await (const _ of trainer.run());
  delay.disable();
  ended.abort();
  const times = await downloading;
  await model.close();
  const ms = (n) => (n / 1e6).toFixed(2);
  const [p50, p99] = [delay.percentile(50), delay.percentile(99)];
  console.log(
    `${steps} steps of ${o.batch} x ${o.sequence}${server ? ` beside ${times} downloads of ${o.download} MB` : ""}, ${cpus()[0].model}, ${cpus().length} processors: ` +
      `event-loop delay p50 ${ms(p50)} ms, p99 ${ms(p99)} ms, p99.9 ${ms(delay.percentile(99.9))} ms, longest ${ms(delay.max)} ms`,
  );
  process.exitCode = p99 / 1e6 < LIMIT_MS ? 0 : 1;
} finally {
  ended.abort();
  server?.child.kill();
  rmSync(work, { recursive: true, force: true });
}
