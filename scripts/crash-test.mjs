#!/usr/bin/env node
// Kills training runs with SIGKILL at random instants, resumes them, with another number of threads, and holds the final
// adapter and metrics against those of a run that nobody killed, bit for bit.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write("crash-test.mjs [--runs 200] [--seed 1]\n");
  process.exit(0);
}

const root = fileURLToPath(new URL("..", import.meta.url));
const cli = join(root, "dist/cli/main.js");
const work = mkdtempSync(join(tmpdir(), "lowrank-crash-"));
const texts = join(work, "texts.jsonl");
writeFileSync(texts, readFileSync(join(root, "examples/data/train.jsonl"), "utf8").split("\n").slice(0, 30).join("\n"));

const OPTIONS = {
  base_model: join(root, "examples/tiny-base"),
  train_file: texts,
  max_seq_length: 32,
  lora_r: 4,
  lora_dropout: 0.1,
  per_device_train_batch_size: 2,
  gradient_accumulation_steps: 2,
  learning_rate: 1e-2,
  // Epochs of 7 steps, the last one of a single micro-batch.
  max_steps: 16,
  logging_steps: 5,
  eval_steps: 3,
  save_steps: 2,
  save_total_limit: 2,
};

/** mulberry32 */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = generator(Number(values.seed));
const below = (n) => Math.floor(random() * n);

const saving = (output) =>
  existsSync(output) && readdirSync(output).find((name) => /^\.checkpoint-\d+\.(tmp|old)$/.test(name));

/**
 * @param kill when to kill: null never, else after some milliseconds, counted from the start or from the first look at a
 *   save in progress after `saves` of them
 */
function train(output, more, kill) {
  const args = Object.entries({ ...OPTIONS, output_dir: output }).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, "train", "--no-merge", ...args, ...more], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let stderr = "";
    let timer;
    child.stderr.on("data", (data) => {
      stderr += data;
    });
    const end = () => child.kill("SIGKILL");
    if (kill?.in === "run") timer = setTimeout(end, kill.after);
    if (kill?.in === "save") {
      let last;
      let seen = 0;
      timer = setInterval(() => {
        const now = saving(output);
        if (now !== undefined && now !== last && seen++ === kill.saves) {
          clearInterval(timer);
          setTimeout(end, kill.after);
        }
        last = now;
      }, 1);
    }
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stderr, milliseconds: performance.now() - begun });
    });
  });
}

/** Everything of a finished run that must not depend on how it came about. */
function resultOf(output) {
  const withoutSpeed = ({ tokens_per_s: _, mfu: __, ...row }) => JSON.stringify(row);
  const checkpoints = readdirSync(output)
    .filter((name) => name.startsWith("checkpoint-"))
    .sort();
  const sums = checkpoints.map((name) => {
    const { files } = JSON.parse(readFileSync(join(output, name, "manifest.json"), "utf8"));
    return [name, files["adapter_model.safetensors"].sha256, files["optimizer.safetensors"].sha256].join(" ");
  });
  return {
    "final adapter": readFileSync(join(output, "adapter_model.safetensors")).toString("base64"),
    "metrics.jsonl": readFileSync(join(output, "metrics.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => withoutSpeed(JSON.parse(line)))
      .join("\n"),
    checkpoints: sums.join("\n"),
    "other files": readdirSync(output)
      .filter((name) => !name.startsWith("checkpoint-"))
      .sort()
      .join(),
  };
}

function fail(message) {
  throw new Error(message);
}

let inSaves = 0;
let killed = 0;
let anew = 0;

/** One run, killed up to three times and resumed each time. */
async function crash(output, whole) {
  let more = [];
  for (let attempt = 0; ; attempt++) {
    const threads = ["--threads", `${1 + below(2)}`];
    const inSave = random() < 0.5;
    const kill = inSave
      ? { in: "save", saves: below(6), after: below(12) }
      : { in: "run", after: Math.floor(random() * whole * 1.5) };
    const last = attempt === 3 || (attempt > 0 && random() < 0.5);
    const found = await train(output, [...threads, ...more], last ? null : kill);
    if (found.stderr.includes("damaged")) fail(`a torn checkpoint: ${found.stderr}`);
    if (found.signal === "SIGKILL") {
      killed++;
      if (saving(output)) inSaves++;
    } else if (found.code !== 0) {
      fail(`exit code ${found.code}: ${found.stderr}`);
    } else if (attempt > 0) {
      return;
    }
    const names = existsSync(output) ? readdirSync(output) : [];
    const canGoOn = names.some((name) => name.startsWith("checkpoint-"));
    if (!canGoOn) anew++;
    more = canGoOn ? ["--resume"] : ["--overwrite_output_dir"];
  }
}

try {
  const reference = join(work, "reference");
  const { code, stderr, milliseconds } = await train(reference, ["--threads", "1"], null);
  if (code !== 0) fail(stderr);
  const expected = resultOf(reference);
  const runs = Number(values.runs);
  for (let i = 1; i <= runs; i++) {
    const output = join(work, `run-${i}`);
    await crash(output, milliseconds);
    const found = resultOf(output);
    for (const [what, value] of Object.entries(expected)) {
      if (found[what] !== value) fail(`run ${i} (seed ${values.seed}): ${what} differ\n${value}\n--\n${found[what]}`);
    }
    rmSync(output, { recursive: true });
    if (process.stderr.isTTY) process.stderr.write(`\r${i}/${runs}`);
  }
  process.stdout.write(
    `${runs} runs, killed ${killed} times (${inSaves} inside a save, ${anew} before the first checkpoint): ` +
      "every one ended with the same bits\n",
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
