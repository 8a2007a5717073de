#!/usr/bin/env node
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { readArguments } from "./support/arguments.mjs";
import { crashFolder, fail, trainArguments } from "./support/crash-run.mjs";
import { generator } from "./support/random.mjs";
import { ranksOf } from "./support/rank-processes.mjs";
import { resultOf } from "./support/run-result.mjs";

const values = readArguments({
  about: `Kills one rank of a run at a random instant with SIGKILL, again and again. All ranks must end within five seconds, the launcher must start them
again (--max_restarts), and the final adapter, checkpoints and metrics must have the bits of an undisturbed run. Needs Open MPI.`,
  options: {
    runs: { kind: "number", least: 1, default: 20, help: "runs, of which each loses a rank" },
    ranks: { kind: "number", least: 2, default: 2, help: "ranks of a run" },
    seed: { kind: "number", default: 1, help: "seed of the instants" },
  },
});

const LONGEST_END_MS = 5000;
const { work, texts } = crashFolder("crash-ranks");
const OPTIONS = {
  max_steps: 60,
  eval_steps: 15,
  save_steps: 5,
  threads: 1,
  nproc_per_node: values.ranks,
  max_restarts: 3,
};
const random = generator(values.seed);

/** @param kill milliseconds after the start of the ranks; null never */
async function train(output, kill) {
  const child = spawn(process.execPath, trainArguments(texts, { ...OPTIONS, output_dir: output }), {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  let isOver = false;
  const ended = new Promise((resolve) =>
    child.on("close", (code) => {
      isOver = true;
      resolve(code);
    }),
  );
  const waitFor = async (condition, limit) => {
    const begun = performance.now();
    while (!condition()) {
      if (performance.now() - begun > limit) return null;
      await after(10);
    }
    return performance.now() - begun;
  };
  const living = () => ranksOf(output).filter((pid) => pid !== undefined);
  await waitFor(() => isOver || living().length === values.ranks, 60_000);
  const begun = performance.now();
  let killed;
  let end = null;
  if (kill !== null) {
    await after(kill);
    const all = ranksOf(output);
    const victim = Math.floor(random() * values.ranks);
    if (all[victim] !== undefined && !isOver) {
      const before = living();
      const step = Number([...stderr.matchAll(/^step (\d+)\//gm)].at(-1)?.[1] ?? 0);
      process.kill(all[victim], "SIGKILL");
      killed = { victim, step };
      end = await waitFor(() => !living().some((pid) => before.includes(pid)), 2 * LONGEST_END_MS);
    }
  }
  const code = await ended;
  return { code, stderr, killed, end, milliseconds: performance.now() - begun };
}

try {
  const reference = join(work, "reference");
  const whole = await train(reference, null);
  if (whole.code !== 0) fail(whole.stderr);
  const expected = resultOf(reference);
  const ends = [];
  let restarted = 0;
  let tries = 0;
  for (let i = 1; i <= values.runs; ) {
    // A run that had ended by then is made again.
    if (++tries > 3 * values.runs) fail("ranks were gone before they could be killed, again and again");
    const output = join(work, `run-${i}`);
    const found = await train(output, Math.floor(random() * whole.milliseconds));
    if (found.code !== 0) fail(`run ${i} (seed ${values.seed}): exit code ${found.code}\n${found.stderr}`);
    const result = resultOf(output);
    for (const [part, value] of Object.entries(expected))
      if (result[part] !== value) fail(`run ${i} (seed ${values.seed}): ${part} differ\n${value}\n--\n${result[part]}`);
    rmSync(output, { recursive: true });
    if (!found.killed) continue;
    if (found.end === null || found.end > LONGEST_END_MS)
      fail(
        `run ${i} (seed ${values.seed}): the ranks were there ${LONGEST_END_MS} ms after rank ${found.killed.victim} was killed`,
      );
    const again = /starting again \(restart 1 of 3\) from [^\n]*/.exec(found.stderr)?.[0];
    if (again) restarted++;
    ends.push(found.end);
    const { victim, step } = found.killed;
    console.error(
      `run ${i}: rank ${victim} killed after step ${step}, all ended ${found.end.toFixed(0)} ms later; ${again ?? "no restart was needed"}`,
    );
    i++;
  }
  console.log(
    `${values.runs} runs lost a rank, ${restarted} were started again: every one ended with the same bits. All ranks had ended within ${(Math.max(...ends) / 1000).toFixed(1)} s.`,
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
