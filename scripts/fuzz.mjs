#!/usr/bin/env node
// Damages right files of every kind that lowrank reads, and reads them as a run would: each time a clear error or a right
// answer, in seconds and in bounded memory. The same seed damages them the same way.
//
//   npm run fuzz                                   goes on until Ctrl-C, seed after seed
//   npm run fuzz -- --seconds 60 --kind config.json
//   npm run fuzz -- --cases 360 --seed 1           the corpus that npm test reads
//   npm run fuzz -- --keep FOLDER                  keeps the files that fail there
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Model, Trainer } from "../dist/index.js";
import { kinds } from "../test/fuzz/kinds.mjs";
import { generator, mutate } from "../test/fuzz/mutate.mjs";

const MOST_MS = 20_000;
const MOST_BYTES = 1500 * 2 ** 20;

async function work() {
  const { LowrankError } = await import("../dist/errors.js");
  const all = kinds(workerData);
  // What a library leaves behind after its error was told belongs to nobody; but not to the fuzzer's own faults.
  parentPort.on("message", async ({ kind, path }) => {
    try {
      await all[kind].read(path);
      parentPort.postMessage({ outcome: "accepted" });
    } catch (error) {
      const isClear = error instanceof LowrankError && error.code !== "E_INTERNAL" && error.message.length > 0;
      parentPort.postMessage(isClear ? { outcome: error.code } : { failure: String(error?.stack ?? error) });
    }
  });
}

/** An adapter and a checkpoint to be damaged. */
async function make(folder) {
  const model = await Model.open(fileURLToPath(new URL("../examples/tiny-base", import.meta.url)), { threads: 1 });
  const train = Array.from({ length: 8 }, (_, i) => `text ${i} of some words`);
  const options = {
    lora_r: 2,
    max_steps: 1,
    max_seq_length: 16,
    cache_dir: join(folder, "cache"),
    target_modules: "q_proj",
  };
  const trainer = await Trainer.create(model, { train, ...options, output_dir: join(folder, "run") });
  for await (const _ of trainer.run());
  await model.close();
  return { adapter: join(folder, "run"), checkpoint: join(folder, "run/checkpoint-1") };
}

async function main() {
  const text = { type: "string" };
  const { values } = parseArgs({ options: { cases: text, seconds: text, seed: text, kind: text, keep: text } });
  const folder = mkdtempSync(join(tmpdir(), "lowrank-fuzz-"));
  const made = await make(folder);
  // Of the run itself, so that copies of the folder are small.
  for (const name of ["run/checkpoint-1"])
    cpSync(join(folder, name), join(folder, "checkpoint-1"), { recursive: true });
  rmSync(made.checkpoint, { recursive: true });
  made.checkpoint = join(folder, "checkpoint-1");
  const all = Object.entries(kinds(made)).filter(([name]) => values.kind === undefined || name === values.kind);
  if (all.length === 0) throw new Error(`there is no kind ${values.kind}: ${Object.keys(kinds(made)).join(", ")}`);
  const seeds = new Map(all.map(([name, { seed }]) => [name, seed()]));
  const cases = Number(values.cases ?? Number.POSITIVE_INFINITY);
  const end = Date.now() + 1000 * Number(values.seconds ?? Number.POSITIVE_INFINITY);
  const first = Number(values.seed ?? 1) * 1_000_000;
  let stopped = false;
  process.once("SIGINT", () => {
    stopped = true;
  });
  const start = () => new Worker(fileURLToPath(import.meta.url), { workerData: made });
  let worker = start();
  const counts = {};
  let [failures, done] = [0, 0];
  for (; done < cases && Date.now() < end && !stopped; done++) {
    const [name, { kind, place }] = all[done % all.length];
    const { way, bytes } = mutate(seeds.get(name), kind, generator(first + done));
    const path = place(folder, bytes);
    const answer = await new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ failure: "no answer in time" }), MOST_MS);
      const finish = (result) => {
        clearTimeout(timer);
        resolve(result);
      };
      worker.removeAllListeners();
      worker.once("message", finish);
      worker.once("error", (error) => finish({ failure: `the thread died: ${error?.stack ?? error}` }));
      worker.postMessage({ kind: name, path });
    });
    if (answer.failure) {
      failures++;
      console.error(`seed ${first + done}, ${name}, ${way}: ${answer.failure}`);
      if (values.keep) {
        mkdirSync(values.keep, { recursive: true });
        if (statSync(path).isDirectory()) cpSync(path, join(values.keep, `${first + done}`), { recursive: true });
        else writeFileSync(join(values.keep, `${first + done}-${name}`), bytes);
      }
      await worker.terminate();
      worker = start();
    }
    const outcome = answer.outcome ?? "FAILED";
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    if (process.stderr.isTTY && done % 50 === 0) process.stderr.write(`\r${done} inputs, ${failures} failures `);
  }
  await worker.terminate();
  rmSync(folder, { recursive: true });
  const peak = process.resourceUsage().maxRSS * 1024;
  if (peak > MOST_BYTES) {
    console.error(`${Math.round(peak / 2 ** 20)} MiB were resident`);
    failures++;
  }
  console.log(JSON.stringify({ inputs: done, failures, peak_mib: Math.round(peak / 2 ** 20), counts }));
  process.exit(failures === 0 ? 0 : 1);
}

await (isMainThread ? main() : work());
