// `lowrank train --nproc_per_node 2` from end to end: a stop that is saved, and a rank that is killed.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { ranksOf } from "../../scripts/support/rank-processes.mjs";
import { noRanks } from "../support/mpi.js";
import { lowrank, someTexts, steadyMetrics, tinyBase, workFolder } from "../support/tiny.js";

const missing = noRanks();
if (missing) console.log(`The launcher is not tested: ${missing}.`);

const work = workFolder("launcher");
afterAll(work.remove);

function train(output: string, more: Record<string, unknown> = {}): string[] {
  const all = {
    ...{ base_model: tinyBase, train_file: someTexts(work.path("texts.jsonl"), 30), output_dir: work.path(output) },
    ...{ max_seq_length: 32, lora_r: 4, lora_dropout: 0.1, per_device_train_batch_size: 2, learning_rate: 1e-2 },
    ...{ max_steps: 40, logging_steps: 1, eval_strategy: "no", save_steps: 5, num_samples: 0, merge: false },
    ...{ threads: 1, nproc_per_node: 2, ...more },
  };
  return ["train", ...Object.entries(all).map(([name, value]) => `--${name}=${value}`)];
}

const adapter = (output: string) => readFileSync(work.path(output, "adapter_model.safetensors"));

describe.skipIf(missing !== null)("the launcher", () => {
  test("a killed rank: all end within five seconds, and the restarted run has the bits of an undisturbed one", async () => {
    const whole = await lowrank(train("whole"));
    expect(whole.code, whole.stderr).toBe(0);
    let killed = 0;
    let restarted = 0;
    const { code, stderr } = await lowrank(train("again", { max_restarts: 1 }), {
      onOutput: (_, text) => {
        if (killed === 0 && text.includes("step 18/")) {
          const victim = ranksOf(work.path("again"))[1];
          killed = performance.now();
          if (victim !== undefined) process.kill(victim, "SIGKILL");
        }
        if (restarted === 0 && text.includes("starting again")) restarted = performance.now();
      },
    });
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/warning: rank 1 on \S+ was ended by signal 9 \(SIGKILL\)/);
    expect(stderr).toMatch(/starting again \(restart 1 of 1\) from checkpoint-\d+ of/);
    expect(restarted - killed).toBeLessThan(5000);
    expect(adapter("again").equals(adapter("whole"))).toBe(true);
    expect(steadyMetrics(work.path("again"))).toEqual(steadyMetrics(work.path("whole")));
  });

  test("Ctrl-C finishes the step, saves and ends with its code", async () => {
    let asked = false;
    const { code, stderr } = await lowrank(train("stopped", { max_steps: 1_000_000, save_steps: 1_000_000 }), {
      onOutput: (child, text) => {
        if (!asked && text.includes("step 3/")) asked = child.kill("SIGINT");
      },
    });
    expect(code, stderr).toBe(130);
    expect(stderr).toContain("finishing this step and saving");
    const checkpoint = /saved (\S+checkpoint-\d+)/.exec(stderr)?.[1];
    expect(checkpoint && existsSync(checkpoint), stderr).toBe(true);
    expect(existsSync(work.path("stopped/adapter_model.safetensors"))).toBe(true);
    expect(ranksOf(work.path("stopped")).filter(Boolean)).toEqual([]);
  });

  test("a stop before the first step trains nothing, as in one process", async () => {
    let asked = false;
    // Texts that take seconds to tokenise: what is printed first arrives long before a step.
    const train_file = work.path("many.jsonl");
    const rows = Array.from({ length: 100_000 }, (_, i) => JSON.stringify({ text: `${i} words, `.repeat(8) }));
    writeFileSync(train_file, rows.join("\n"));
    const { code, stderr } = await lowrank(train("early", { train_file, max_steps: 1_000_000 }), {
      onOutput: (child) => {
        if (!asked) asked = child.kill("SIGTERM");
      },
    });
    expect(code, stderr).toBe(143);
    expect(stderr).not.toMatch(/step 1\/|error/);
    expect(existsSync(work.path("early/adapter_model.safetensors"))).toBe(false);
  });

  test("an error of all ranks is one message", async () => {
    const { code, stderr } = await lowrank(train("none", { train_file: work.path("none.jsonl"), max_restarts: 2 }));
    expect(code).toBe(1);
    expect(stderr.match(/none\.jsonl/g), stderr).toHaveLength(1);
    expect(stderr).toMatch(/^error E_FILE_MISSING: rank \d on \S+: /m);
    expect(stderr).not.toContain("starting again");
  });
});
