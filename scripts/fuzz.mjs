#!/usr/bin/env node
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { inputs } from "../test/fuzz/inputs.mjs";
import { fail, readArguments } from "./support/arguments.mjs";
import { FUZZ_OPTIONS } from "./support/fuzz-options.mjs";

const MOST_MS = 20_000;
const MOST_BYTES = 1500 * 2 ** 20;

async function work() {
  const { LowrankError } = await import("../dist/base/errors.js");
  const { kinds } = await import("../test/fuzz/kinds.mjs");
  const all = kinds();
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

async function main() {
  const values = readArguments({
    about: `Damages right files of every kind that lowrank reads, and reads them as a run would: each time a clear error or a right answer, in
seconds and in bounded memory. The files of test/fuzz/corpus come first, then others are made, seed after seed.
npm test reads the first inputs of a fixed seed.`,
    options: FUZZ_OPTIONS,
  });
  const { kinds } = await import("../test/fuzz/kinds.mjs");
  const folder = mkdtempSync(join(tmpdir(), "lowrank-fuzz-"));
  // Tokenizers of GGUF files are made in the cache.
  process.env.XDG_CACHE_HOME = join(folder, "cache");
  const all = kinds();
  if (values.kind !== undefined && !all[values.kind])
    fail(`--kind ${values.kind}: expected one of ${Object.keys(all).join(", ")}`);
  const cases = values.cases ?? Number.POSITIVE_INFINITY;
  const end = Date.now() + 1000 * (values.seconds ?? Number.POSITIVE_INFINITY);
  let stopped = false;
  process.once("SIGINT", () => {
    stopped = true;
  });
  const start = () => new Worker(fileURLToPath(import.meta.url));
  let worker = start();
  const counts = {};
  let [failures, done] = [0, 0];
  for (const { label, name, bytes } of inputs(all, values.seed, values.kind)) {
    if (done >= cases || Date.now() >= end || stopped) break;
    done++;
    const path = all[name].place(folder, bytes);
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
      console.error(`${label}: ${answer.failure}`);
      if (values.keep) {
        mkdirSync(values.keep, { recursive: true });
        const kept = join(values.keep, label.replaceAll(/[^\w.]+/g, "-"));
        if (statSync(path).isDirectory()) cpSync(path, kept, { recursive: true });
        else writeFileSync(kept, bytes);
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
