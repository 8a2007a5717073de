#!/usr/bin/env node
// Damages the files of test/goldens-data and reads them: every time an error that names the file or texts, within
// seconds and bounded memory. Usage: node scripts/fuzz-data.mjs [--cases 2000] [--seed 1]
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

const MOST_MS = 10_000;
const MOST_BYTES = 700 * 2 ** 20;
const goldens = fileURLToPath(new URL("../test/goldens-data/", import.meta.url));

async function work() {
  const { readTexts } = await import("../dist/data/index.js");
  const { LowrankError } = await import("../dist/errors.js");
  parentPort.on("message", async (file) => {
    try {
      const rows = await readTexts([file], "text");
      parentPort.postMessage({ texts: Array.from({ length: rows.length }, (_, i) => rows.text(i)) });
    } catch (error) {
      const isClear = error instanceof LowrankError && error.message.includes(file);
      parentPort.postMessage(isClear ? { code: error.code } : { unclear: String(error.stack) });
    }
  });
}

/** mulberry32 */
function generator(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const MUTATIONS = {
  bits(bytes, random) {
    for (let n = 1 + random(3); n > 0; n--) bytes[random(bytes.length)] ^= 1 << random(8);
    return bytes;
  },
  cut: (bytes, random) => bytes.subarray(0, random(bytes.length)),
  length(bytes, random) {
    const values = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, bytes.length, random(2 ** 31)];
    bytes.writeUInt32LE(values[random(values.length)], random(bytes.length - 4));
    return bytes;
  },
  splice(bytes, random, other) {
    const from = random(other.length);
    other.copy(bytes, random(bytes.length), from, from + 1 + random(64));
    return bytes;
  },
  remove(bytes, random) {
    const at = random(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(16))]);
  },
};

/** Without a checksum in the file, damage within a text cannot be seen. */
function compare(texts, right) {
  if (texts.length !== right.length) return "another number of texts";
  return texts.every((text, i) => text === right[i]) ? "right texts" : "texts with the damage in them";
}

async function main() {
  const { values } = parseArgs({ options: { cases: { type: "string" }, seed: { type: "string" } } });
  const cases = Number(values.cases ?? 2000);
  const random = generator(Number(values.seed ?? 1));
  const names = readdirSync(goldens).filter((name) => /\.(parquet|arrows?|ipc|feather)$/.test(name));
  const files = names.map((name) => readFileSync(join(goldens, name)));
  const right = JSON.parse(readFileSync(join(goldens, "texts.json"), "utf8")).map(({ text }) => text);
  const folder = mkdtempSync(join(tmpdir(), "lowrank-fuzz-"));
  const counts = {};
  let worker = new Worker(fileURLToPath(import.meta.url));
  let failures = 0;
  for (let i = 0; i < cases; i++) {
    const f = i % files.length;
    const kinds = Object.keys(MUTATIONS);
    const kind = kinds[random(kinds.length)];
    const bytes = MUTATIONS[kind](Buffer.from(files[f]), random, files[random(files.length)]);
    const file = join(folder, `case${extname(names[f])}`);
    writeFileSync(file, bytes);
    const answer = await new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ unclear: "no answer in time" }), MOST_MS);
      const done = (result) => {
        clearTimeout(timer);
        resolve(result);
      };
      worker.removeAllListeners();
      worker.once("message", done);
      worker.once("error", (error) => done({ unclear: `the worker died: ${error}` }));
      worker.postMessage(file);
    });
    if (answer.unclear) {
      failures++;
      console.error(`case ${i}, ${names[f]}, ${kind}: ${answer.unclear}`);
      await worker.terminate();
      worker = new Worker(fileURLToPath(import.meta.url));
    }
    const outcome = answer.code ?? (answer.unclear ? "unclear" : compare(answer.texts, right));
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  await worker.terminate();
  rmSync(folder, { recursive: true });
  const peak = process.resourceUsage().maxRSS * 1024;
  if (peak > MOST_BYTES) failures++;
  console.log(JSON.stringify({ cases, failures, peak_mib: Math.round(peak / 2 ** 20), counts }));
  process.exit(failures === 0 ? 0 : 1);
}

await (isMainThread ? main() : work());
