// Checkpoints that a run goes on from, with the built command.
import { execFile, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cliFile, lowrank, type RunOptions, someTexts, steadyMetrics, tinyBase, workFolder } from "../support/tiny.js";

const work = workFolder("resume");
let texts = "";
const whole = work.path("whole");

const OPTIONS = {
  base_model: tinyBase,
  max_seq_length: 32,
  lora_r: 4,
  lora_dropout: 0.1,
  per_device_train_batch_size: 2,
  gradient_accumulation_steps: 2,
  learning_rate: 1e-2,
  max_steps: 10,
  logging_steps: 4,
  eval_steps: 3,
  save_steps: 2,
  save_total_limit: 3,
  merge: false,
  threads: 1,
};

/** Trains with OPTIONS, some of them changed. */
function run(output_dir: string, more: Record<string, unknown> = {}, flags: string[] = [], options: RunOptions = {}) {
  const all = Object.entries({ ...OPTIONS, train_file: texts, output_dir, ...more });
  return lowrank(["train", ...all.map(([name, value]) => `--${name}=${value}`), ...flags], options);
}

async function resumes(output: string, more = {}, flags = ["--resume"]) {
  const finished = await run(output, more, flags);
  expect(finished.code, finished.stderr).toBe(0);
  return finished;
}

function expectSame(output: string) {
  const adapter = (folder: string) => readFileSync(`${folder}/adapter_model.safetensors`);
  expect(adapter(output).equals(adapter(whole))).toBe(true);
  expect(steadyMetrics(output)).toEqual(steadyMetrics(whole));
}

/** The whole run's folder as it was when a checkpoint was the last, with the later files left behind. */
function stoppedAfter(step: number, name: string): string {
  const output = work.path(name);
  cpSync(whole, output, { recursive: true });
  for (const entry of readdirSync(output)) {
    const later = Number(/^checkpoint-(\d+)$/.exec(entry)?.[1] ?? 0) > step;
    if (later || entry.startsWith("adapter_")) rmSync(`${output}/${entry}`, { recursive: true });
  }
  return output;
}

const damage = (output: string, step: number, file: string) =>
  truncateSync(`${output}/checkpoint-${step}/${file}`, 100);

beforeAll(async () => {
  texts = someTexts(work.path("texts.jsonl"), 30);
  const { code, stderr } = await run(whole, { save_total_limit: 0 });
  expect(code, stderr).toBe(0);
});
afterAll(work.remove);

test("runs killed at random instants end with the bits of one that was not", async () => {
  const script = new URL("../../scripts/crash-test.mjs", import.meta.url).pathname;
  const args = ["--runs", "3", "--loops", "1", "--kills", "5", "--seed", `${Date.now()}`];
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args]);
  expect(stdout).toMatch(
    /^3 runs, .*: every one ended with the same bits\n1 loops .*: every one ended with the same bits\n$/,
  );
});

test("a folder of texts that holds the run's output is read as before it did", async () => {
  const folder = work.path("around");
  mkdirSync(folder);
  someTexts(`${folder}/texts.jsonl`, 10);
  const train = async (max_steps: number, ...flags: string[]) => {
    const all = { ...OPTIONS, train_file: ".", eval_strategy: "no", num_samples: 0, max_steps };
    const words = Object.entries(all).map(([name, value]) => `--${name}=${value}`);
    const finished = await lowrank(["train", ...words, ...flags], { cwd: folder });
    expect(finished.code, finished.stderr).toBe(0);
    return /\d+ texts to train on/.exec(finished.stderr)?.[0];
  };
  const counted = await train(2);
  expect(readdirSync(folder)).toEqual(["lora_model", "texts.jsonl"]);
  expect(await train(4, "--resume")).toBe(counted);
  expect(await train(2, "--output_dir=other")).toBe(counted);
  expect(await train(2, "--overwrite_output_dir")).toBe(counted);
});

describe("going on", () => {
  test("a checkpoint is vouched for, and holds the optimizer's state", () => {
    const folder = `${whole}/checkpoint-4`;
    const { files } = JSON.parse(readFileSync(`${folder}/manifest.json`, "utf8"));
    const others = readdirSync(folder).filter((name) => name !== "manifest.json");
    expect(Object.keys(files)).toEqual(others.sort());
    expect(others).toContain("optimizer.safetensors");
    expect(JSON.parse(readFileSync(`${folder}/lowrank_state.json`, "utf8"))).toMatchObject({
      step: 4,
      total_steps: 10,
      next_micro_batch: 8,
      // Four steps; the last one wrote a line.
      interval: { losses: 0, steps: 0, tokens: 0 },
    });
  });

  test("with another number of threads; metrics are cut back, the log goes on", async () => {
    const output = stoppedAfter(6, "threads");
    const before = readFileSync(`${output}/train.log`, "utf8");
    writeFileSync(`${output}/metrics.jsonl`, `${steadyMetrics(whole).join("\n")}\n{"step": 1`);
    const { stderr } = await resumes(output, { threads: 2 });
    expect(stderr).toContain(`going on after step 6 of ${output}/checkpoint-6`);
    expectSame(output);
    const log = readFileSync(`${output}/train.log`, "utf8");
    expect(log.startsWith(before)).toBe(true);
    expect(log.slice(before.length)).toContain("step 8/10");
    // The limit holds across the runs.
    expect(readdirSync(output).filter((name) => name.startsWith("checkpoint-")).length).toBeLessThanOrEqual(4);
    expect(existsSync(`${output}/.lowrank.lock`)).toBe(false);
  });

  test("from a path into another folder", async () => {
    const output = work.path("other");
    await resumes(output, { save_total_limit: 0 }, ["--resume", `${whole}/checkpoint-8`]);
    expectSame(output);
    expect(readdirSync(`${whole}`)).toContain("checkpoint-8");
  });

  test("after Ctrl-C, at a step that writes no checkpoint of its own", async () => {
    const output = work.path("stopped");
    let sent = false;
    // A line each step, to know when: the bits of the metrics are compared with a run that logs alike.
    const each = { logging_steps: 1, save_steps: 100, max_steps: 10 };
    const stopped = await run(output, each, [], {
      onOutput: (child, stderr) => {
        if (!sent && stderr.includes("step 3/")) sent = child.kill("SIGINT");
      },
    });
    expect(stopped.code, stopped.stderr).toBe(130);
    const [last] = readdirSync(output).filter((name) => name.startsWith("checkpoint-"));
    expect(last).toBeDefined();
    await resumes(output, each);
    const adapter = readFileSync(`${output}/checkpoint-10/adapter_model.safetensors`);
    expect(adapter.equals(readFileSync(`${whole}/checkpoint-10/adapter_model.safetensors`))).toBe(true);
    const evaluations = steadyMetrics(output).filter((row) => row.includes('"eval_loss'));
    expect(evaluations.map((row) => JSON.parse(row).step)).toEqual([3, 6, 9, 10]);
    const wanted = steadyMetrics(whole).filter((row) => /"step":(3|6|9|10),.*"eval_loss/.test(row));
    expect(evaluations).toEqual(wanted);
  });
});

test("--resume auto: begins, goes on, and says of a finished run that it is", async () => {
  const output = work.path("auto");
  const begun = await resumes(output, {}, ["--resume", "auto"]);
  expect(begun.stderr).not.toContain("going on");
  expectSame(output);
  const after = stoppedAfter(6, "auto-after");
  const goneOn = await resumes(after, { merge: true }, ["--resume=auto"]);
  expect(goneOn.stderr).toContain(`going on after step 6 of ${after}/checkpoint-6`);
  expectSame(after);
  const finished = await resumes(after, { merge: true }, ["--resume=auto"]);
  expect(finished.stderr).toContain("The run is finished: 10 steps are done, and no step is left.");
  expectSame(after);
  const disagreeing = await run(after, { seed: 7 }, ["--resume=auto"]);
  expect([disagreeing.code, disagreeing.stderr]).toEqual([1, expect.stringContaining("E_RESUME")]);
});

test("--resume auto of a finished run without checkpoints: it says so, and makes no more steps", async () => {
  const output = work.path("no-checkpoints");
  const [none, auto] = [{ save_strategy: "no" }, ["--resume=auto"]];
  const names = () => readdirSync(output).filter((name) => !name.startsWith("."));
  await resumes(output, none, auto);
  const adapter = readFileSync(`${output}/adapter_model.safetensors`);
  const [metrics, files] = [steadyMetrics(output), names()];
  expect(files.filter((name) => name.startsWith("checkpoint-"))).toEqual([]);
  const finished = await resumes(output, none, auto);
  expect(finished.stderr).toContain("The run is finished: 10 steps are done, and no step is left.");
  expect(readFileSync(`${output}/adapter_model.safetensors`).equals(adapter)).toBe(true);
  expect([steadyMetrics(output), names()]).toEqual([metrics, files]);
  const longer = await run(output, { ...none, max_steps: 12 }, auto);
  expect(longer.stderr).toContain(
    "holds a finished run of 10 steps and no checkpoint, from which it could go on to 12",
  );
  const other = await run(output, { ...none, seed: 7 }, auto);
  expect([longer.code, other.code, other.stderr]).toEqual([1, 1, expect.stringContaining("E_RESUME")]);
});

test("killed after its last checkpoint, before older ones were removed: they are removed", async () => {
  const output = work.path("unpruned");
  cpSync(whole, output, { recursive: true });
  const checkpoints = () => readdirSync(output).filter((name) => name.startsWith("checkpoint-"));
  expect(checkpoints().length).toBeGreaterThan(OPTIONS.save_total_limit);
  await resumes(output);
  expect(checkpoints().length).toBe(OPTIONS.save_total_limit);
  expect(checkpoints()).toContain("checkpoint-10");
  expectSame(output);
});

test("the line of metrics that Ctrl-C brings is not of the run that goes on", async () => {
  const output = work.path("early-line");
  let sent = false;
  await run(output, {}, [], {
    onOutput: (child, stderr) => {
      if (!sent && stderr.includes("checkpoint-4")) sent = child.kill("SIGINT");
    },
  });
  expect(sent).toBe(true);
  await resumes(output);
  expectSame(output);
});

describe("what is damaged", () => {
  test("bare --resume warns and takes the newest whole one", async () => {
    const output = stoppedAfter(8, "damaged");
    damage(output, 8, "optimizer.safetensors");
    rmSync(`${output}/checkpoint-6/adapter_model.safetensors`);
    const { stderr } = await resumes(output, { save_total_limit: 0 });
    expect(stderr).toMatch(
      /checkpoint-8 is damaged and passed over: optimizer.safetensors has 100 bytes, expected \d+/,
    );
    expect(stderr).toMatch(/checkpoint-6 is damaged and passed over: adapter_model.safetensors is missing/);
    expect(stderr).toContain("going on after step 4");
    expectSame(output);
  });

  test("a path to it is refused, and the newest whole one offered", async () => {
    const output = stoppedAfter(4, "offered");
    const file = `${output}/checkpoint-4/lowrank_state.json`;
    writeFileSync(file, readFileSync(file, "utf8").replace('"step": 4', '"step": 2'));
    const { code, stderr } = await run(output, {}, ["--resume", `${output}/checkpoint-4`]);
    expect(code).toBe(1);
    expect(stderr).toContain("E_CHECKPOINT");
    expect(stderr).toContain("lowrank_state.json does not hold the bytes that were written");
    expect(stderr).toContain(`--resume ${output}/checkpoint-2`);
  });

  test("nothing to go on from", async () => {
    const { code, stderr } = await run(work.path("nothing"), {}, ["--resume"]);
    expect(code).toBe(1);
    expect(stderr).toContain("there is no checkpoint in it");
    expect(existsSync(work.path("nothing"))).toBe(false);
  });
});

test("what would be another run is refused, with every option and both values", async () => {
  const output = stoppedAfter(4, "disagree");
  const others = {
    learning_rate: 0.02,
    seed: 7,
    lora_r: 8,
    per_device_train_batch_size: 4,
    shuffle: false,
    text_by: "file",
  };
  const file = someTexts(work.path("changed.jsonl"), 29);
  const { code, stderr } = await run(output, { ...others, train_file: file }, ["--resume"]);
  expect(code).toBe(1);
  for (const part of [
    "E_RESUME",
    "--learning_rate is 0.02, in the checkpoint 0.01",
    "--seed is 7, in the checkpoint 42",
    "--lora_r is 8, in the checkpoint 4",
    "--per_device_train_batch_size is 4, in the checkpoint 2",
    "--shuffle is false, in the checkpoint true",
    "--text_by is file, in the checkpoint not given",
    "--train_file: the training texts differ from the checkpoint's",
  ])
    expect(stderr).toContain(part);
  expect(stderr).not.toContain("--max_steps");
  expect(readdirSync(output)).toContain("checkpoint-4");
});

describe("two runs and one folder", () => {
  test("the second is refused while the first goes on", async () => {
    const output = work.path("both");
    const all = { ...OPTIONS, train_file: texts, output_dir: output, max_steps: 100000, eval_steps: 100000 };
    const args = Object.entries(all).map(([name, value]) => `--${name}=${value}`);
    const first = spawn(process.execPath, [cliFile, "train", ...args], { stdio: ["ignore", "ignore", "pipe"] });
    try {
      await new Promise<void>((resolve) => {
        let stderr = "";
        first.stderr.on("data", (data) => {
          stderr += data;
          if (stderr.includes("saved ")) resolve();
        });
      });
      for (const flag of ["--resume", "--overwrite_output_dir"]) {
        const { code, stderr } = await run(output, {}, [flag]);
        expect(code).toBe(1);
        expect(stderr).toContain(`E_OUTPUT_LOCKED: Another run (process ${first.pid}) is writing to ${output}`);
      }
    } finally {
      first.kill("SIGKILL");
    }
  });
});
