#!/usr/bin/env node
// Whether resident memory stays flat over a long run: trains the tiny example model for some thousand steps and compares
// what is resident early and late. Exit code 1 where it has grown by more than 1 %.
//
//   npm run soak -- [--steps 2000]
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({ options: { steps: { type: "string", default: "2000" } } });
const steps = Number(values.steps);
const LARGEST_GROWTH = 0.01;
/** Share of the run before the first sample that counts: heaps and caches fill up. */
const WARMUP = 0.5;

const work = mkdtempSync(join(tmpdir(), "lowrank-soak-"));
const args = [
  "--base_model",
  join(root, "examples/tiny-base"),
  "--train_file",
  join(root, "examples/data/train.jsonl"),
];
const small = ["--max_seq_length", "64", "--per_device_train_batch_size", "4", "--logging_steps", "10", "--no-merge"];
// Checkpoints and evaluations on the way, too.
const every = ["--eval_steps", String(Math.ceil(steps / 20)), "--save_steps", String(Math.ceil(steps / 10))];
const output = join(work, "run");
const child = spawn(
  process.execPath,
  [join(root, "dist/cli/main.js"), "train", ...args, ...small, ...every, "--max_steps", String(steps)].concat([
    "--cache_dir",
    join(work, "cache"),
    "--output_dir",
    output,
  ]),
  { stdio: ["ignore", "ignore", "pipe"] },
);
const samples = [];
let step = 0;
child.stderr.setEncoding("utf8").on("data", (text) => {
  for (const [, found] of text.matchAll(/step (\d+)\/\d+ {2}epoch/g)) step = Number(found);
});
const timer = setInterval(() => {
  if (step === 0 || step >= steps) return;
  try {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    const kib = (key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(status)[1]);
    samples.push({ step, mib: (kib("RssAnon") + kib("RssFile")) / 1024 });
  } catch {
    // It has just ended.
  }
}, 50);
const code = await new Promise((resolve) => child.on("close", resolve));
clearInterval(timer);
rmSync(work, { recursive: true, force: true });
if (code !== 0) {
  console.error(`the run ended with ${code}`);
  process.exit(1);
}
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const counted = samples.filter((sample) => sample.step > steps * WARMUP);
const quarter = Math.floor(counted.length / 4);
const [early, late] = [counted.slice(0, quarter), counted.slice(-quarter)].map((part) =>
  median(part.map(({ mib }) => mib)),
);
const growth = late / early - 1;
console.log(
  `${steps} steps, ${samples.length} samples: ${early.toFixed(1)} MiB resident early, ${late.toFixed(1)} MiB late, ` +
    `${(100 * growth).toFixed(2)} % growth (at most ${100 * LARGEST_GROWTH} %)`,
);
process.exit(growth <= LARGEST_GROWTH ? 0 : 1);
