#!/usr/bin/env node
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readArguments } from "./support/arguments.mjs";
import { crashFolder, fail, root, trainArguments } from "./support/crash-run.mjs";
import { generator } from "./support/random.mjs";
import { resultOf } from "./support/run-result.mjs";

const values = readArguments({
  about: `Kills training runs with SIGKILL at random instants, and resumes them with another number of threads. It holds the final
adapter and metrics against an undisturbed run, bit for bit. It does so first with --resume where there is a checkpoint, then as a
scheduler does: the same command with --resume auto again and again, each time under another host's name.`,
  options: {
    runs: { kind: "number", default: 200, help: "runs that are resumed" },
    loops: { kind: "number", default: 10, help: "runs by the same command again and again" },
    kills: { kind: "number", default: 20, help: "kills of each of these runs" },
    seed: { kind: "number", default: 1, help: "seed of the instants" },
  },
});

const { work, texts } = crashFolder("crash");

// Epochs of 7 steps, the last one of a single micro-batch.
const OPTIONS = { max_steps: 16, eval_steps: 3, save_steps: 2 };

const random = generator(values.seed);
const below = (n) => Math.floor(random() * n);

const saving = (output) =>
  existsSync(output) && readdirSync(output).find((name) => /^\.checkpoint-\d+\.(tmp|old)$/.test(name));

/** A preloaded library that gives each start of a loop another host's name, where there is a compiler. */
function otherHosts() {
  const library = join(work, "odd-host.so");
  const source = join(root, "test/support/odd-host.c");
  const built = spawnSync("cc", ["-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"]);
  return built.status === 0 ? { LD_PRELOAD: library } : null;
}

/**
 * @param kill when to kill: null never, else after some milliseconds, counted from the start or from the first look at a
 *   save in progress after `saves` of them
 */
function train(output, more, kill, env = {}) {
  const args = trainArguments(texts, { ...OPTIONS, output_dir: output });
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args, ...more], {
      env: { ...process.env, ...env },
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

let inSaves = 0;
let killed = 0;
let anew = 0;

/** In a save or at any time within `milliseconds`. */
function anyInstant(milliseconds) {
  if (random() < 0.5) return { in: "save", saves: below(6), after: below(12) };
  return { in: "run", after: Math.floor(random() * milliseconds) };
}

/** @returns whether it was killed */
function wasKilled(found, output) {
  if (found.stderr.includes("damaged")) fail(`a torn checkpoint: ${found.stderr}`);
  if (found.signal !== "SIGKILL") {
    if (found.code !== 0) fail(`exit code ${found.code}: ${found.stderr}`);
    return false;
  }
  killed++;
  if (saving(output)) inSaves++;
  if (!existsSync(output) || !readdirSync(output).some((name) => name.startsWith("checkpoint-"))) anew++;
  return true;
}

/** One command, killed `kills` times and started again each time, also after its end. */
async function loop(output, whole, kills, hosts) {
  const start = (kill) => {
    const host = hosts ? { ...hosts, HOST_NAME: `host-${below(1000)}` } : {};
    return train(output, ["--resume", "auto", "--threads", `${1 + below(2)}`], kill, host);
  };
  for (let i = 0; i < kills; ) {
    if (wasKilled(await start(anyInstant(whole)), output)) i++;
  }
  wasKilled(await start(null), output);
}

/** One run, killed up to three times and resumed each time. */
async function crash(output, whole) {
  let more = [];
  for (let attempt = 0; ; attempt++) {
    const threads = ["--threads", `${1 + below(2)}`];
    const kill = anyInstant(whole * 1.5);
    const last = attempt === 3 || (attempt > 0 && random() < 0.5);
    const found = await train(output, [...threads, ...more], last ? null : kill);
    if (!wasKilled(found, output) && attempt > 0) return;
    const names = existsSync(output) ? readdirSync(output) : [];
    const canGoOn = names.some((name) => name.startsWith("checkpoint-"));
    more = canGoOn ? ["--resume"] : ["--overwrite_output_dir"];
  }
}

try {
  const reference = join(work, "reference");
  const { code, stderr, milliseconds } = await train(reference, ["--threads", "1"], null);
  if (code !== 0) fail(stderr);
  const expected = resultOf(reference);
  const compare = (output, what) => {
    const found = resultOf(output);
    for (const [part, value] of Object.entries(expected)) {
      if (found[part] !== value) fail(`${what} (seed ${values.seed}): ${part} differ\n${value}\n--\n${found[part]}`);
    }
    rmSync(output, { recursive: true });
    if (process.stderr.isTTY) process.stderr.write(`\r${what}`);
  };
  const report = (what) => {
    const how = `${inSaves} inside a save, ${anew} before the first checkpoint`;
    process.stdout.write(`${what}, killed ${killed} times (${how}): every one ended with the same bits\n`);
    killed = inSaves = anew = 0;
  };
  const { runs, loops, kills } = values;
  for (let i = 1; i <= runs; i++) {
    const output = join(work, `run-${i}`);
    await crash(output, milliseconds);
    compare(output, `run ${i}/${runs}`);
  }
  if (runs > 0) report(`${runs} runs`);
  const hosts = otherHosts();
  for (let i = 1; i <= loops; i++) {
    const output = join(work, `loop-${i}`);
    await loop(output, milliseconds, kills, hosts);
    compare(output, `loop ${i}/${loops}`);
  }
  const names = hosts
    ? "each time under another host's name"
    : "without a C compiler always under the same host's name";
  if (loops > 0) report(`${loops} loops of the same command, ${names}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
