// The built command as a user runs it.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cliFile, jsonLines, lowrank, someTexts, tinyBase, validationFile, workFolder } from "../support/tiny.js";

const work = workFolder("cli");
let texts = "";
let held = "";
const output = work.path("run");

const model = ["--base_model", tinyBase];
const lora = ["--target-modules", "q_proj,v_proj", "--lora_r=4", "--lora_alpha", "8"];
const fast = ["--max_seq_length", "48", "--per_device_train_batch_size", "4", "--learning_rate", "1e-2"];
const data = () => ["--train_file", texts, "--validation_file", held];

async function succeeds(args: string[], options = {}) {
  const finished = await lowrank(args, options);
  expect(finished.code, finished.stderr).toBe(0);
  return finished;
}

beforeAll(async () => {
  if (!existsSync(cliFile)) throw new Error(`${cliFile} is not there: npm run build`);
  texts = someTexts(work.path("texts.jsonl"), 40);
  held = work.path("held.jsonl");
  writeFileSync(held, readFileSync(validationFile, "utf8").split("\n").slice(0, 6).join("\n"));
});
afterAll(work.remove);

describe("train", () => {
  let finished: Awaited<ReturnType<typeof succeeds>>;
  beforeAll(async () => {
    const steps = ["--num_train_epochs", "2", "--logging_steps", "5", "--eval_steps", "7", "--save_steps", "10"];
    finished = await succeeds([
      "train",
      ...model,
      ...data(),
      ...lora,
      ...fast,
      ...steps,
      "--output_dir",
      output,
      "--merge",
    ]);
  });

  test("prints peft's line, the memory plan and three samples", () => {
    // 2 modules of 4 layers, rank 4: 4 * 4 * (128 + 128 + 128 + 64).
    expect(finished.stdout).toMatch(/^trainable params: 7,168 \|\| all params: 1,007,744 \|\| trainable%: 0\.7113$/m);
    expect(finished.stdout).toMatch(/^Memory plan:\n {2}weights +1\.9 MiB$/m);
    expect(finished.stdout.match(/^Sample \d$/gm)).toEqual(["Sample 1", "Sample 2", "Sample 3"]);
    expect(finished.stderr).toContain("precision bf16, chosen for weights in bf16");
    // eslint-disable-next-line no-control-regex
    expect(finished.stdout + finished.stderr).not.toContain("\x1b");
  });

  test("metrics.jsonl", () => {
    const rows = jsonLines(`${output}/metrics.jsonl`);
    const steps = rows.filter((row) => row.loss !== undefined);
    const evals = rows.filter((row) => row.eval_loss !== undefined);
    expect(steps.map(({ step }) => step)).toEqual([5, 10, 15, 20]);
    for (const row of steps)
      expect(Object.keys(row)).toEqual(["step", "epoch", "loss", "grad_norm", "learning_rate", "tokens_per_s", "mfu"]);
    expect(evals.map(({ step }) => step)).toEqual([7, 10, 14, 20]);
    for (const row of evals) expect(Object.keys(row)).toEqual(["step", "epoch", "eval_loss", "eval_perplexity"]);
    const best = evals.toSorted((a, b) => a.eval_loss! - b.eval_loss!)[0]!;
    const last = rows.at(-1)!;
    expect(last).toMatchObject({ step: 20, best_step: best.step, best_eval_loss: best.eval_loss });
    const times = ["train_runtime", "train_samples_per_second", "train_steps_per_second", "train_tokens_per_second"];
    for (const name of [...times, "train_tokens", "total_flos", "peak_memory_bytes", "planned_memory_bytes"])
      expect(last[name], name).toBeGreaterThan(0);
    expect(last.train_loss).toBeCloseTo(steps.reduce((sum, { loss }) => sum + loss!, 0) / steps.length, 10);
    expect(last.train_samples_per_second! * last.train_runtime!).toBeCloseTo(
      last.train_steps_per_second! * last.train_runtime! * 4,
      -1,
    );
    // 20 steps, ceil(0.6) of warmup; step 5 is the fifth of 19 falling ones, counted from the peak at step 2.
    expect(steps[0]!.learning_rate).toBeCloseTo(1e-2 * (16 / 19), 12);
    expect(evals.at(-1)!.eval_loss).toBeLessThan(evals[0]!.eval_loss!);
  });

  test("writes adapter, tokenizer, checkpoints, log and the merged model", () => {
    const names = readdirSync(output);
    for (const name of ["adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "tokenizer_config.json"])
      expect(names).toContain(name);
    expect(names.filter((name) => name.startsWith("checkpoint-")).sort()).toEqual(["checkpoint-10", "checkpoint-20"]);
    const merged = readdirSync(`${output}_merged`);
    for (const name of ["config.json", "model.safetensors", "tokenizer.json"]) expect(merged).toContain(name);
    const log = readFileSync(`${output}/train.log`, "utf8");
    for (const part of [
      "trainable params: 7,168",
      "Memory plan:",
      "step 5/20",
      "eval_loss",
      "writing 3 samples",
      "Sample 3",
    ])
      expect(log).toContain(part);
    const summary = / 20 steps in .* tokens\/s .* best step \d+ .* peak memory .* \(planned .*\)$/;
    expect(log.trim().split("\n").at(-1)).toMatch(summary);
    expect(finished.stderr.trim().split("\n").at(-1)).toMatch(/^20 steps in .*\(planned .*\)$/);
  });

  test("the adapter, the merged model and eval agree", async () => {
    const shape = ["--validation_file", held, "--max_seq_length", "48", "--precision", "fp32", "--json"];
    const loss = async (args: string[]) => JSON.parse((await succeeds(["eval", ...args, ...shape])).stdout).eval_loss;
    const [base, adapted, merged] = await Promise.all([
      loss(model),
      loss([...model, "--adapter", output]),
      loss(["--base_model", `${output}_merged`]),
    ]);
    expect(adapted).toBeLessThan(base - 0.1);
    expect(Math.abs(merged - adapted)).toBeLessThan(0.02);
    const { stdout } = await succeeds(["merge", ...model, "--adapter", output, "--output_dir", work.path("merged")]);
    expect(stdout).toBe("");
    const again = readFileSync(work.path("merged", "model.safetensors"));
    expect(again.equals(readFileSync(`${output}_merged/model.safetensors`))).toBe(true);
  });

  test("going on from an adapter takes its shape, and refuses another", async () => {
    const args = ["train", ...model, ...data(), ...fast, "--init_adapter", output, "--max_steps", "1"];
    const { stdout } = await succeeds([...args, "--output_dir", work.path("on")]);
    expect(stdout).toContain("trainable params: 7,168");
    const { code, stderr } = await lowrank([...args, "--output_dir", work.path("on2"), "--lora_r", "8"]);
    expect(code).toBe(1);
    expect(stderr).toContain("--lora_r is 8, but the adapter has 4");
  });
});

describe("train, in other ways", () => {
  test("--dry_run prints the plan and writes nothing", async () => {
    const folder = work.path("dry");
    const { stdout } = await succeeds(["train", ...model, ...data(), "--output_dir", folder, "--dry-run"]);
    expect(stdout).toContain("Memory plan:");
    expect(existsSync(folder)).toBe(false);
  });

  test("--dry_run says how many texts and steps, and about how long, also for a used folder", async () => {
    const used = work.path("used");
    mkdirSync(used);
    writeFileSync(`${used}/notes.txt`, "");
    const args = ["train", ...model, ...data(), ...fast, "--num_train_epochs", "2", "--output_dir", used, "--dry-run"];
    const { stdout, stderr } = await succeeds([...args, "--json"]);
    expect(stderr).toMatch(/^warning: .* is not empty/m);
    expect(stderr).toMatch(/^40 texts to train on, 6 to evaluate on$/m);
    expect(stderr).toMatch(/^\d+ steps, \d+ an epoch, \d+ of warmup$/m);
    expect(stderr).toMatch(/^about \d.*: by (a step|\d+ steps) timed here and now, without/m);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.at(-1)).toMatchObject({ type: "dry_run" });
    expect(events.at(-1).steps).toBe(2 * events.at(-1).steps_per_epoch);
    expect(events.at(-1).seconds).toBeGreaterThan(0);
    expect(readdirSync(used)).toEqual(["notes.txt"]);
    // Quantising a base takes longer than an estimate may.
    const quantized = await succeeds([...args, "--use_4bit"]);
    expect(quantized.stderr).toMatch(/^at least about \d.*: at 80 % of the speed of a matrix product/m);
  });

  test("--dry_run of a run that goes on tells the time of the steps that are left", async () => {
    const folder = work.path("dry-on");
    const args = ["train", ...model, ...data(), "--max_seq_length", "32", "--output_dir", folder, "--no-merge"];
    await succeeds([...args, "--max_steps", "4", "--save_steps", "2"]);
    const { stdout } = await succeeds([...args, "--max_steps", "4", "--resume", "--dry-run", "--json"]);
    const told = JSON.parse(stdout.trim().split("\n").at(-1)!);
    expect(told).toMatchObject({ type: "dry_run", steps: 4, seconds: 0 });
  });

  test("a YAML file and the environment", async () => {
    const config = work.path("run.yaml");
    const folder = work.path("yaml");
    writeFileSync(config, `base_model: ${tinyBase}\ntrain_file: ${texts}\nmax_steps: 9\nmax_seq_length: 32\n`);
    const env = { LOWRANK_MAX_STEPS: "2", LOWRANK_OUTPUT_DIR: folder };
    await succeeds(["train", "--config", config, "--no-merge"], { env });
    expect(jsonLines(`${folder}/metrics.jsonl`).at(-1)).toMatchObject({ step: 2 });
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s finishes the step and saves", async (signal, exitCode) => {
    const folder = work.path(signal);
    let sent = false;
    const steps = ["--max_steps", "100000", "--logging_steps", "1", "--eval_steps", "100000"];
    const { code, stderr } = await lowrank(["train", ...model, ...data(), ...fast, ...steps, "--output_dir", folder], {
      onOutput: (child, text) => {
        if (!sent && text.includes("step 3/")) sent = child.kill(signal);
      },
    });
    expect(code, stderr).toBe(exitCode);
    const { step } = jsonLines(`${folder}/metrics.jsonl`).at(-1)!;
    expect(readdirSync(folder)).toContain(`checkpoint-${step}`);
    expect(readdirSync(folder)).toContain("adapter_model.safetensors");
  });
});

describe("generate", () => {
  const greedy = ["generate", ...model, "--prompt", "The people of", "--max_new_tokens", "12", "--temperature", "0"];

  test("standard output is the continuation alone; the prompt may come from standard input", async () => {
    const { stdout, stderr } = await succeeds(greedy);
    expect(stdout.length).toBeGreaterThan(10);
    expect(stdout).not.toContain("The people of");
    expect(stderr).toBe("");
    const piped = await succeeds(greedy.with(4, "-"), { input: "The people of" });
    expect(piped.stdout).toBe(stdout);
  });

  test("a seed decides the text", async () => {
    const hot = (seed: string) => succeeds([...greedy.slice(0, 7), "--temperature", "1", "--seed", seed]);
    const [a, b, c] = await Promise.all([hot("1"), hot("1"), hot("2")]);
    expect(a.stdout).toBe(b.stdout);
    expect(a.stdout).not.toBe(c.stdout);
  });

  test("the end of the model's context", async () => {
    const long = Array.from({ length: 505 }, () => "the").join(" ");
    const cut = await succeeds(greedy.with(4, long));
    expect(cut.stderr).toMatch(/context of 512 tokens leaves room for \d new tokens/);
    const { code, stderr } = await lowrank(greedy.with(4, `${long} ${long}`));
    expect(code).toBe(1);
    expect(stderr).toMatch(/E_CONTEXT.*512/);
  });

  test("a reader that leaves ends it quietly", async () => {
    const { execFileSync } = await import("node:child_process");
    const command = `"${process.execPath}" "${cliFile}" generate --base_model "${tinyBase}" --prompt The --max_new_tokens 400 | head -c 5`;
    expect(execFileSync("sh", ["-c", command], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })).toHaveLength(
      5,
    );
  });
});

describe("inspect and eval", () => {
  test("inspect prints architecture, parameters, modules and memory", async () => {
    const { stdout } = await succeeds(["inspect", tinyBase, "--per-device-train-batch-size", "2"]);
    for (const part of [
      "model_type",
      "llama",
      "hidden_size",
      "num_key_value_heads",
      "128",
      "bf16",
      "q_proj, k_proj, v_proj",
      "Memory plan:",
    ])
      expect(stdout).toContain(part);
    const found = JSON.parse((await succeeds(["inspect", tinyBase, "--json"])).stdout);
    expect(found).toMatchObject({ dtype: "bf16", precision: "bf16", config: { layers: 4 } });
    expect(found.memory.totalBytes).toBeGreaterThan(2e6);
    expect(found.memory.items[0].name).toBe("weights");
  });

  test("weights that are shared with other processes stay mapped, and so do those of a text", async () => {
    expect((await succeeds(["inspect", tinyBase, "--share_weights"])).stdout).toMatch(/^ {2}weights \(mapped\) /m);
    const planned = async (...args: string[]) => (await lowrank(args, { env: { LOWRANK_DEBUG: "1" } })).stderr;
    const evaluating = ["eval", ...model, "--validation_file", held, "--max_seq_length", "32"];
    expect(await planned(...evaluating)).toMatch(/^ {2}weights +\d/m);
    expect(await planned(...evaluating, "--share_weights")).toMatch(/^ {2}weights \(mapped\) /m);
    const generating = ["generate", ...model, "--prompt", "a", "--max_new_tokens", "1"];
    expect(await planned(...generating)).toMatch(/^ {2}weights \(mapped\) /m);
  });

  test("eval prints loss and perplexity", async () => {
    const { stdout } = await succeeds(["eval", ...model, "--validation_file", held, "--max_seq_length", "32"]);
    const found = /^eval_loss: ([\d.]+)\neval_perplexity: ([\d.]+)\n$/.exec(stdout);
    expect(Math.exp(Number(found?.[1]))).toBeCloseTo(Number(found?.[2]), 6);
  });
});

test("--version is the package's", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  expect((await succeeds(["--version"])).stdout).toBe(`${version}\n`);
  const { code, stderr } = await lowrank([]);
  expect(code).toBe(1);
  expect(stderr).toContain("A command is missing");
});

test("a fault of the program is one line, and LOWRANK_DEBUG shows the stack", async () => {
  const folder = work.path("fault");
  cpSync(tinyBase, folder, { recursive: true });
  const args = ["generate", "--base_model", work.path("none"), "--prompt", "x"];
  expect((await lowrank(args)).stderr).not.toMatch(/\n\s+at /);
  expect((await lowrank(args, { env: { LOWRANK_DEBUG: "1" } })).stderr).toMatch(/\n\s+at /);
});
