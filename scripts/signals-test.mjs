#!/usr/bin/env node
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGSTOP"];
const PHASES = ["load", "tokenise", "quantise", "train", "save", "evaluate", "sample", "merge"];

const values = readArguments({
  about: `Sends signals to training runs in each of their phases. Every run must end saved or with nothing touched, with the exit code that
docs/training.md names, or go on to its end (SIGPIPE, and SIGCONT after SIGSTOP).`,
  options: {
    signals: { kind: "text", default: SIGNALS.join(), help: "comma list" },
    phases: { kind: "text", default: PHASES.join(), help: "comma list" },
  },
});

const root = fileURLToPath(new URL("..", import.meta.url));
const cli = join(root, "dist/cli/main.js");
const work = mkdtempSync(join(tmpdir(), "lowrank-signals-"));

const lines = readFileSync(join(root, "examples/data/train.jsonl"), "utf8").trim().split("\n");
const few = join(work, "few.jsonl");
writeFileSync(few, lines.slice(0, 40).join("\n"));
// Enough texts that tokenising takes a while.
const many = join(work, "many.jsonl");
writeFileSync(many, Array.from({ length: 400 }, () => lines.join("\n")).join("\n"));

const OPTIONS = {
  base_model: join(root, "examples/tiny-base"),
  train_file: few,
  max_seq_length: 32,
  lora_r: 2,
  per_device_train_batch_size: 2,
  max_steps: 12,
  logging_steps: 1,
  eval_steps: 4,
  save_steps: 3,
  num_samples: 2,
  threads: 1,
};

/** The options of a phase, and the event or line of the run that tells its beginning. */
const AT = {
  load: { says: null },
  tokenise: { options: { train_file: many, max_steps: 2 }, says: /"type":"plan"/ },
  quantise: { options: { use_4bit: true }, says: /"type":"plan"/ },
  train: { says: /"type":"step","step":2,/ },
  save: { says: /"type":"step","step":4,/ },
  evaluate: { options: { per_device_eval_batch_size: 1, eval_steps: 2 }, says: /"type":"step","step":2,/ },
  sample: { options: { sample_max_new_tokens: 400, num_samples: 4 }, says: /writing 4 samples/ },
  merge: { options: { merge: true, num_samples: 0 }, says: /saved the adapter of the run/ },
};

const name = (phase, signal) => `${signal} while it is to ${phase}`;

function start(output, options) {
  const all = { ...OPTIONS, merge: false, cache_dir: `${output}-cache`, output_dir: output, json: true, ...options };
  const args = Object.entries(all).map(([option, value]) => `--${option}=${value}`);
  // Where this script is itself started by nohup, the runs are not: a shell sets `_` to the program that it starts.
  const env = { ...process.env, _: process.execPath };
  return spawn(process.execPath, [cli, "train", ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
}

/** @returns how the run ended, and whether the signal met it */
function run(output, { options, says }, signal) {
  return new Promise((resolve, reject) => {
    const child = start(output, options);
    let text = "";
    let met = false;
    const send = () => {
      if (met) return;
      met = child.kill(signal);
      if (signal === "SIGSTOP") setTimeout(() => child.kill("SIGCONT"), 200);
    };
    const look = (data) => {
      text += data;
      if (says?.test(text)) send();
    };
    if (says === null) child.once("spawn", () => setTimeout(send, 150));
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    child.once("error", reject);
    child.once("close", (code, by) => resolve({ code, by, met, text }));
  });
}

const checkpointsOf = (output) =>
  existsSync(output) ? readdirSync(output).filter((entry) => entry.startsWith("checkpoint-")) : [];

/** The fault in a run's end; null where there is none. */
async function problem(output, phase, signal, { code, by, met, text }) {
  if (!met) return "the signal came too late: the phase was not seen";
  const isAsked = ["SIGINT", "SIGTERM", "SIGHUP"].includes(signal);
  const expected = isAsked ? 128 + constants.signals[signal] : 0;
  // Before the command listens, the system ends the process.
  const ended = by === null ? code : 128 + constants.signals[by];
  if (ended !== expected) return `exit code ${ended}, expected ${expected}: ${text.slice(-500)}`;
  if (/E_INTERNAL|\n {4}at /.test(text)) return `a stack trace: ${text.slice(-500)}`;
  const names = existsSync(output) ? readdirSync(output) : [];
  if (names.some((entry) => entry.startsWith("."))) return `left behind: ${names.join()}`;
  const hasAdapter = names.includes("adapter_model.safetensors");
  const hasBegun = checkpointsOf(output).length > 0;
  if (names.length > 0 && !(hasAdapter && hasBegun)) return `neither saved nor untouched: ${names.join()}`;
  if (["train", "save", "evaluate", "sample", "merge"].includes(phase) && !hasAdapter) return "nothing was saved";
  const merged = `${output}_merged`;
  if (existsSync(merged) && !existsSync(join(merged, "model.safetensors"))) return "half a merged model";
  if (existsSync(join(work, `.${merged.slice(work.length + 1)}.tmp`))) return "half a merged model is left";
  if (!isAsked) return null;
  // A saved run goes on.
  const more = spawnSync(
    process.execPath,
    [cli, "train", "--resume", "auto", "--dry_run", "--no-json", ...dryArgs(output, phase)],
    { encoding: "utf8" },
  );
  return more.status === 0 ? null : `it does not go on: ${more.stderr}`;
}

function dryArgs(output, phase) {
  const all = { ...OPTIONS, cache_dir: `${output}-cache`, output_dir: output, ...AT[phase].options };
  return Object.entries(all).map(([option, value]) => `--${option}=${value}`);
}

let cells = 0;
const problems = [];
try {
  for (const phase of values.phases.split(",")) {
    for (const signal of values.signals.split(",")) {
      const output = join(work, `${phase}-${signal}`);
      const found = await problem(output, phase, signal, await run(output, AT[phase], signal));
      cells++;
      if (found !== null) problems.push(`${name(phase, signal)}: ${found}`);
      process.stdout.write(
        `${found === null ? "ok  " : "FAIL"} ${phase} ${signal}${found === null ? "" : `: ${found}`}\n`,
      );
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.stdout.write(
  `${cells - problems.length} of ${cells} cells end saved or untouched, with the documented exit code\n`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
