#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./bench/median.mjs";
import { readArguments } from "./support/arguments.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const LARGEST_DIFFERENCE = 0.05;
const SMALL_MIB = 256;
const SMALL_RUNS = 5;
const values = readArguments({
  about: `The memory plan beside the real peak of a run, over a table of models and options. Each run is a process of its own. Exit
code 1 where the plan is off by more than 5 %. The peak of a small process, most of which is JavaScript, differs by some MiB from
run to run: for a small process the table has the median of five.`,
  options: {
    model: { kind: "texts", value: "FOLDER", help: "a base model; examples/tiny-base where none is named" },
    write: { kind: "flag", help: "the table into docs/memory.md" },
  },
});

/** Training cases: sequence, batch, rank, precision, and other options. */
const TRAINING = [
  [256, 4, 8, "bf16"],
  [512, 4, 16, "bf16"],
  [512, 4, 16, "bf16", "--gradient_checkpointing"],
  [512, 4, 64, "bf16", "--target_modules", "all-linear"],
  [512, 4, 16, "fp32"],
  [512, 4, 16, "fp32", "--gradient_checkpointing"],
  [2048, 1, 16, "bf16"],
  [2048, 1, 16, "bf16", "--gradient_checkpointing"],
  [512, 4, 16, "fp16"],
  [512, 4, 16, "bf16", "--use_4bit"],
  [512, 4, 16, "bf16", "--use_8bit", "--quant_type", "llm_int8"],
  [512, 4, 64, "bf16", "--target_modules", "all-linear", "--optim", "adamw_8bit"],
  [256, 2, 128, "fp32"],
];

/** Cases without training, on the adapter that the last training case left: sequence, batch, precision. */
const EVALUATION = [
  [512, 8, "bf16"],
  [512, 8, "fp32"],
  [2048, 1, "fp32"],
];
/** Precision. */
const GENERATION = ["bf16", "fp32"];

const work = mkdtempSync(join(tmpdir(), "lowrank-bench-memory-"));
const words = readFileSync(here("../examples/data/train.jsonl"), "utf8")
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line).text)
  .join(" ");
// Texts that fill every sequence; so few that no threads are started to tokenise them.
const texts = Array.from({ length: 20 }, (_, i) => JSON.stringify({ text: words.slice(i * 500, i * 500 + 24_000) }));
writeFileSync(join(work, "texts.jsonl"), texts.join("\n"));
writeFileSync(join(work, "held.jsonl"), texts.slice(0, 2).join("\n"));

/** Runs a command; the plan's total and the peak, in MiB. */
function measure(...command) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [here("bench/peak.mjs"), ...command].map(String), {
    encoding: "utf8",
    env: { ...process.env, LOWRANK_DEBUG: "1" },
  });
  if (status !== 0) throw new Error(stderr);
  const [, n, unit] = /^ *total +([\d.]+) (B|KiB|MiB|GiB)$/m.exec(stderr + stdout);
  const plan = Number(n) * { B: 2 ** -20, KiB: 2 ** -10, MiB: 1, GiB: 1024 }[unit];
  return { plan, peak: Number(/peak (\d+)/.exec(stdout)[1]) / 1024 };
}

const flags = (options) => Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
const at = (name) => join(work, name);
const removeAll = (...names) => {
  for (const name of names) rmSync(at(name), { recursive: true, force: true });
};

function train(model, [sequence, batch, rank, precision, ...more]) {
  removeAll("run", "cache");
  const files = { train_file: at("texts.jsonl"), validation_file: at("held.jsonl"), output_dir: at("run") };
  const sizes = {
    max_seq_length: sequence,
    per_device_train_batch_size: batch,
    lora_r: rank,
    precision,
    max_steps: 2,
    save_steps: 1,
  };
  return measure(
    "train",
    ...flags({ base_model: model, ...files, ...sizes, cache_dir: at("cache") }),
    "--no-merge",
    ...more,
  );
}

function evaluate(model, [sequence, batch, precision]) {
  removeAll("cache");
  const files = { adapter: at("run"), validation_file: at("texts.jsonl"), cache_dir: at("cache") };
  const sizes = { max_seq_length: sequence, per_device_eval_batch_size: batch, precision };
  return measure("eval", ...flags({ base_model: model, ...files, ...sizes }));
}

function generate(model, precision) {
  const options = { adapter: at("run"), prompt: words.slice(0, 400), max_new_tokens: 100, precision };
  return measure("generate", ...flags({ base_model: model, ...options }));
}

/** Every case: its columns of the table and its measurement. */
const cases = [
  ...TRAINING.map((options) => {
    const [sequence, batch, rank, precision, ...more] = options;
    const columns = ["train", `${sequence} x ${batch}`, rank, precision, more.join(" ").replaceAll("--", "")];
    return { columns, run: (model) => train(model, options) };
  }),
  ...EVALUATION.map((options) => {
    const [sequence, batch, precision] = options;
    return { columns: ["eval", `${sequence} x ${batch}`, "", precision, ""], run: (model) => evaluate(model, options) };
  }),
  ...GENERATION.map((precision) => {
    return { columns: ["generate", "", "", precision, ""], run: (model) => generate(model, precision) };
  }),
];

const models = values.model.length > 0 ? values.model : [here("../examples/tiny-base")];
const lines = [
  "| model | command | sequence x batch | rank | precision | | plan, MiB | peak, MiB | difference |",
  "|---|---|---|---|---|---|---|---|---|",
];
let worst = 0;
for (const model of models) {
  const name = model.split("/").filter(Boolean).at(-1);
  for (const { columns, run } of cases) {
    const runs = [run(model)];
    while (runs[0].peak < SMALL_MIB && runs.length < SMALL_RUNS) runs.push(run(model));
    const [plan, peak] = [median(runs.map((one) => one.plan)), median(runs.map((one) => one.peak))];
    const difference = plan / peak - 1;
    worst = Math.max(worst, Math.abs(difference));
    const found = [plan.toFixed(0), peak.toFixed(0), `${(100 * difference).toFixed(1)} %`];
    lines.push(`| ${[name, ...columns, ...found].join(" | ")} |`);
    console.error(lines.at(-1));
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
