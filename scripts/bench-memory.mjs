#!/usr/bin/env node
// The memory plan beside what a run really takes at its peak, over a table of models and options; each case is a process of
// its own. Exit code 1 where the plan is off by more than 5 %. Writes docs/memory.md with --write.
//
//   npm run bench:memory -- [--model FOLDER ...] [--write]
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const LARGEST_DIFFERENCE = 0.05;
const { values } = parseArgs({
  options: { model: { type: "string", multiple: true, default: [] }, write: { type: "boolean", default: false } },
});

/** Options of each case: sequence, batch, rank, precision, and others. */
const CASES = [
  [256, 4, 8, "bf16"],
  [512, 4, 16, "bf16"],
  [512, 4, 16, "bf16", "--gradient_checkpointing"],
  [512, 4, 64, "bf16", "--target_modules", "all-linear"],
  [512, 4, 16, "fp32"],
  [512, 4, 16, "fp32", "--gradient_checkpointing"],
  [2048, 1, 16, "bf16"],
  [2048, 1, 16, "bf16", "--gradient_checkpointing"],
  [256, 2, 128, "fp32"],
];

const work = mkdtempSync(join(tmpdir(), "lowrank-bench-memory-"));
const words = readFileSync(here("../examples/data/train.jsonl"), "utf8")
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line).text)
  .join(" ");
// Texts that fill every sequence.
const texts = Array.from({ length: 32 }, (_, i) => JSON.stringify({ text: words.slice(i * 500, i * 500 + 24_000) }));
writeFileSync(join(work, "texts.jsonl"), texts.join("\n"));
writeFileSync(join(work, "held.jsonl"), texts.slice(0, 2).join("\n"));

/** Runs a case; the plan's total and the peak, in MiB, and the activations that were planned. */
function measure(model, [sequence, batch, rank, precision, ...more]) {
  const output = join(work, "run");
  for (const name of ["run", "cache"]) rmSync(join(work, name), { recursive: true, force: true });
  const args = [
    "--base_model",
    model,
    "--train_file",
    join(work, "texts.jsonl"),
    "--validation_file",
    join(work, "held.jsonl"),
  ];
  const sizes = [
    "--max_seq_length",
    sequence,
    "--per_device_train_batch_size",
    batch,
    "--lora_r",
    rank,
    "--precision",
    precision,
  ];
  const rest = ["--max_steps", 2, "--no-merge", "--cache_dir", join(work, "cache"), "--output_dir", output, ...more];
  const command = [here("bench/peak.mjs"), "train", ...args, ...sizes, ...rest].map(String);
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  const bytes = (name) => {
    const [, n, unit] = new RegExp(`^ *${name} +([\\d.]+) (B|KiB|MiB|GiB)$`, "m").exec(stderr + stdout);
    return Number(n) * { B: 2 ** -20, KiB: 2 ** -10, MiB: 1, GiB: 1024 }[unit];
  };
  return { plan: bytes("total"), activations: bytes("activations"), peak: Number(/peak (\d+)/.exec(stdout)[1]) / 1024 };
}

const models = values.model.length > 0 ? values.model : [here("../examples/tiny-base")];
const lines = [
  "| model | sequence x batch | rank | precision | | plan, MiB | peak, MiB | difference |",
  "|---|---|---|---|---|---|---|---|",
];
let worst = 0;
for (const model of models) {
  for (const options of CASES) {
    const [sequence, batch, rank, precision, ...more] = options;
    const { plan, peak } = measure(model, options);
    const difference = plan / peak - 1;
    worst = Math.max(worst, Math.abs(difference));
    const name = model.split("/").filter(Boolean).at(-1);
    const extra = more.join(" ").replaceAll("--", "");
    const line = `| ${name} | ${sequence} x ${batch} | ${rank} | ${precision} | ${extra} | ${plan.toFixed(0)} | ${peak.toFixed(0)} | ${(100 * difference).toFixed(1)} % |`;
    lines.push(line);
    console.error(line);
  }
}
rmSync(work, { recursive: true, force: true });
const about = `${cpus()[0].model}, ${cpus().length} processors`;
const text = `${lines.join("\n")}\n\nLargest difference ${(100 * worst).toFixed(1)} %, on ${about}.\n`;
console.log(text);
if (values.write) {
  const file = here("../docs/memory.md");
  const page = readFileSync(file, "utf8");
  writeFileSync(file, `${page.slice(0, page.indexOf("<!-- table -->"))}<!-- table -->\n\n${text}`);
}
process.exitCode = worst <= LARGEST_DIFFERENCE ? 0 : 1;
