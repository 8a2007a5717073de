#!/usr/bin/env node
// Fine-tunes the tiny base model on recipes and shows that it worked: validation loss and samples, before and after.
// Everything goes through the command line, as a user would call it. Needs the build (npm run quickstart makes it).
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const cli = join(here, "../dist/cli/main.js");
const output = join(here, "../lora_model_quickstart");
const base = join(here, "tiny-base");
const validation = join(here, "data/validation.jsonl");

const TRAINING = {
  base_model: base,
  train_file: join(here, "data/train.jsonl"),
  validation_file: validation,
  output_dir: output,
  target_modules: "all-linear",
  lora_r: 16,
  lora_alpha: 32,
  learning_rate: 1e-2,
  num_train_epochs: 2,
  per_device_train_batch_size: 8,
  max_seq_length: 256,
  eval_steps: 60,
  save_steps: 60,
  logging_steps: 20,
};
const PROMPTS = ["Leeks soup with", "Pie of plums and", "Stew of beef and"];

const flags = (options) => Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);

/** Standard output of our command; `show` also lets its log through to the terminal. */
function lowrank(args, show = false) {
  if (show) {
    const shown = args.map((arg) => (arg.startsWith("/") ? relative(process.cwd(), arg) : arg));
    console.log(`\n$ lowrank ${shown.join(" ")}\n`);
  }
  const child = spawnSync(process.execPath, [cli, ...args], {
    encoding: "utf8",
    stdio: ["ignore", show ? "inherit" : "pipe", show ? "inherit" : "pipe"],
  });
  if (child.status !== 0) {
    console.error(child.stderr ?? "");
    console.error(`lowrank ${args[0]} ended with ${child.status ?? child.signal}`);
    process.exit(1);
  }
  return child.stdout;
}

/** The model's continuations, with its adapter where one is named. */
function samples(adapter) {
  return PROMPTS.map((prompt) => {
    const args = { base_model: base, ...adapter, prompt, max_new_tokens: 200, temperature: 0.6, seed: 1 };
    return lowrank(["generate", ...flags(args)]);
  });
}

function evalLoss(adapter) {
  const args = { base_model: base, ...adapter, validation_file: validation, max_seq_length: 256 };
  const text = lowrank(["eval", ...flags(args)]);
  const found = /eval_loss\W+([\d.]+)/.exec(text);
  if (!found) throw new Error(`lowrank eval printed no eval_loss: ${text}`);
  return Number(found[1]);
}

/** Text in lines of at most 100 characters, broken between words. */
function wrapped(text) {
  return text.replace(/\s+/g, " ").replace(/(.{1,100})(?: |$)/g, "  | $1\n");
}

function show(title, texts) {
  console.log(`\n${title}\n`);
  for (const [i, text] of texts.entries()) console.log(wrapped(`${PROMPTS[i]} ... ${text.trim()}`));
}

rmSync(output, { recursive: true, force: true });
const before = evalLoss({});
show("Before: the base model has only read presidents' speeches.", samples({}));

const start = performance.now();
lowrank(["train", ...flags(TRAINING), "--no-merge"], true);
const seconds = (performance.now() - start) / 1000;

const after = evalLoss({ adapter: output });
show("After: the same model with its adapter.", samples({ adapter: output }));

const steps = readFileSync(join(output, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
const lastStep = Math.max(...steps.map(({ step }) => step ?? 0));
const perplexity = (loss) => Math.exp(loss).toFixed(1);
console.log(`Fine-tuned ${lastStep} steps in ${seconds.toFixed(0)} s; the adapter is in ${relative(process.cwd(), output)}\n`);
console.log("                     before    after");
console.log(`  validation loss   ${before.toFixed(3).padStart(7)}  ${after.toFixed(3).padStart(7)}`);
console.log(`  perplexity        ${perplexity(before).padStart(7)}  ${perplexity(after).padStart(7)}`);
console.log(`
Next, with a model and texts of your own ("A first model" in README.md says where to get one, and names such as
OWNER/NAME of the Hugging Face hub go, too):

  node dist/cli/main.js train --base_model FOLDER_OR_NAME --train_file FILE.jsonl --output_dir my-lora --dry_run
`);
