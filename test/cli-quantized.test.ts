// Quantised bases and GGUF files from the command line, as a user would.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryFolders, tinyBase } from "./support/folders.js";
import { lowrank } from "./support/tiny.js";

const folder = temporaryFolders();
const examples = new URL("../examples/", import.meta.url).pathname;
const texts = join(examples, "data/train.jsonl");
const small = [
  "--max_seq_length",
  "48",
  "--per_device_train_batch_size",
  "2",
  "--max_steps",
  "3",
  "--logging_steps",
  "1",
];

function train(output: string, ...more: string[]) {
  const data = ["--train_file", texts, "--cache_dir", folder(), "--output_dir", output];
  return lowrank(["train", ...data, ...small, ...more]);
}

describe("quantize, train, evaluate, generate", () => {
  test("a folder that lowrank quantised gives the losses of quantising while loading", async () => {
    const work = folder();
    const saved = join(work, "nf4");
    const written = await lowrank(["quantize", "--base_model", tinyBase, "--output_dir", saved]);
    expect([written.code, written.stderr]).toEqual([0, expect.stringContaining("saved the quantised model")]);
    const losses = async (base: string, ...more: string[]) => {
      const output = join(work, `run${more.length}${base.length}`);
      const { code, stderr } = await train(output, "--base_model", base, "--precision", "fp32", ...more);
      expect(code, stderr).toBe(0);
      const lines = readFileSync(join(output, "metrics.jsonl"), "utf8").trim().split("\n");
      return lines.map((line) => JSON.parse(line).loss).filter((loss) => loss !== undefined);
    };
    const ours = await losses(saved);
    expect(ours.length).toBe(3);
    expect(await losses(tinyBase, "--use_4bit")).toEqual(ours);
    expect(await losses(tinyBase)).not.toEqual(ours);
    const evaluated = await lowrank([
      "eval",
      "--base_model",
      saved,
      "--adapter",
      join(work, `run0${saved.length}`),
      "--validation_file",
      texts,
      "--cache_dir",
      folder(),
      "--json",
    ]);
    expect(JSON.parse(evaluated.stdout).eval_loss).toBeGreaterThan(0);
    const generated = await lowrank([
      "generate",
      "--base_model",
      saved,
      "--prompt",
      "Mix the",
      "--max_new_tokens",
      "5",
      "--temperature",
      "0",
    ]);
    expect([generated.code, generated.stdout.length > 0]).toEqual([0, true]);
  });

  test("a run is resumed on the same quantised base only", async () => {
    const output = join(folder(), "run");
    const base = ["--base_model", tinyBase, "--save_steps", "1"];
    expect((await train(output, ...base, "--use_8bit")).code).toBe(0);
    const other = await train(output, ...base, "--resume");
    expect([other.code, other.stderr]).toEqual([
      1,
      expect.stringContaining("--use_8bit is not given, in the checkpoint true"),
    ]);
    expect((await train(output, ...base, "--use_8bit", "--resume")).code).toBe(0);
  });

  test("merging needs weights that are not quantised; what was quantised while loading is merged as its file has it", async () => {
    const work = folder();
    const saved = join(work, "nf4");
    await lowrank(["quantize", "--base_model", tinyBase, "--output_dir", saved]);
    const output = join(work, "run");
    const run = await train(output, "--base_model", tinyBase, "--use_4bit", "--merge");
    expect(run.code, run.stderr).toBe(0);
    const merged = await lowrank([
      "merge",
      "--base_model",
      tinyBase,
      "--adapter",
      output,
      "--output_dir",
      join(work, "merged"),
    ]);
    expect(merged.code, merged.stderr).toBe(0);
    const bytes = (name: string) => readFileSync(join(work, name, "model.safetensors"));
    expect(bytes("run_merged").equals(bytes("merged"))).toBe(true);
    const refused = await lowrank([
      "merge",
      "--base_model",
      saved,
      "--adapter",
      output,
      "--output_dir",
      join(work, "no"),
    ]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("is quantised or a GGUF file")]);
    expect(existsSync(join(work, "no"))).toBe(false);
  });
});

test("--profile prints where the time went and writes a trace", async () => {
  const output = join(folder(), "run");
  const { code, stdout, stderr } = await train(output, "--base_model", tinyBase, "--profile");
  expect(code, stderr).toBe(0);
  const rows = [...(stdout + stderr).matchAll(/^ +(\S.*?) {2,}(\d+) +([\d.]+) s +([\d.]+) %/gm)];
  expect(rows.map(([, name]) => name)).toEqual(
    expect.arrayContaining(["attention_fwd", "attention_bwd", "linear_fwd q", "linear_bwd q, k, v", "head", "adamw"]),
  );
  expect(rows.reduce((sum, row) => sum + Number(row[4]), 0)).toBeGreaterThan(98);
  const { traceEvents } = JSON.parse(readFileSync(join(output, "profile.json"), "utf8"));
  expect(traceEvents.length).toBe(rows.reduce((sum, row) => sum + Number(row[2]), 0));
  for (const [i, { ts, dur, ph }] of traceEvents.entries()) {
    expect([ph, dur >= 0, i === 0 || ts >= traceEvents[i - 1].ts]).toEqual(["X", true, true]);
  }
});
