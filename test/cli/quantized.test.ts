// Quantised bases and GGUF files from the command line, as a user would.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ggufTokenizer } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import { type BaseOptions, openBase, type QuantType } from "../../src/setup/base.js";
import { temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { goldensFolder } from "../support/golden.js";
import { lowrank } from "../support/tiny.js";

const folder = temporaryFolders();
const examples = new URL("../../examples/", import.meta.url).pathname;
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
    const losses = async (run: string, base: string, ...more: string[]) => {
      const output = join(work, run);
      const { code, stderr } = await train(output, "--base_model", base, "--precision", "fp32", ...more);
      expect(code, stderr).toBe(0);
      const lines = readFileSync(join(output, "metrics.jsonl"), "utf8").trim().split("\n");
      return lines.map((line) => JSON.parse(line).loss).filter((loss) => loss !== undefined);
    };
    const ours = await losses("stored", saved);
    expect(ours.length).toBe(3);
    expect(await losses("quantised", tinyBase, "--use_4bit")).toEqual(ours);
    expect(await losses("plain", tinyBase)).not.toEqual(ours);
    const evaluated = await lowrank([
      "eval",
      "--base_model",
      saved,
      "--adapter",
      join(work, "stored"),
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

  test.each([
    ["fp4 and the head", ["--use_4bit", "--quant_type", "fp4", "--quantize_head"], []],
    ["int8 as LLM.int8", ["--use_8bit", "--quant_type", "llm_int8"], ["--quant_type", "llm_int8"]],
  ])("the same, of %s", async (_, wanted, onTop) => {
    const work = folder();
    const base = join(goldensFolder, "gqa-untied");
    const saved = join(work, "saved");
    const tokenizer = ["--tokenizer_name", tinyBase];
    const written = await lowrank(["quantize", "--base_model", base, "--output_dir", saved, ...tokenizer, ...wanted]);
    expect(written.code, written.stderr).toBe(0);
    // A vocabulary of its own, too small for the tokenizer: only the folders' logits are compared.
    const prompt = Int32Array.from({ length: 9 }, (_, i) => (i * 29) % 110);
    const logits = async (model: string, options: Partial<BaseOptions>) => {
      const asIs = { use_4bit: false, use_8bit: false, double_quant: true, quantize_skip: undefined };
      const source = openBase({ ...asIs, ...options, base_model: model }, () => {});
      const engine = { precision: "fp32", threads: 2, maxTokens: 16, maxSequence: 16, training: false } as const;
      await using open = await Engine.create(source, null, engine);
      return open.logits({ sequences: [{ inputIds: prompt }] });
    };
    const type = (options: string[]) => ({ quant_type: options[options.indexOf("--quant_type") + 1] as QuantType });
    const while_ = {
      ...type(wanted),
      use_4bit: wanted.includes("--use_4bit"),
      use_8bit: wanted.includes("--use_8bit"),
      quantize_head: wanted.includes("--quantize_head"),
    };
    const ours = await logits(saved, onTop.length > 0 ? type(onTop) : {});
    expect(ours).toEqual(await logits(base, while_));
    expect(ours).not.toEqual(await logits(base, { ...while_, quant_type: undefined }));
  });

  test("fp4 and LLM.int8 train and generate; another type is another run", async () => {
    const base = ["--base_model", tinyBase, "--save_steps", "1"];
    for (const type of [
      ["--use_4bit", "--quant_type", "fp4"],
      ["--use_8bit", "--quant_type", "llm_int8"],
    ]) {
      const output = join(folder(), "run");
      const first = await train(output, ...base, ...type);
      expect(first.code, first.stderr).toBe(0);
      const other = await train(output, ...base, type[0]!, "--resume");
      expect([other.code, other.stderr]).toEqual([
        1,
        expect.stringContaining(`--quant_type is not given, in the checkpoint ${type[2]}`),
      ]);
      const prompt = ["--prompt", "Mix the", "--max_new_tokens", "4", "--temperature", "0"];
      const generated = await lowrank(["generate", "--base_model", tinyBase, "--adapter", output, ...type, ...prompt]);
      expect([generated.code, generated.stderr, generated.stdout.length > 0]).toEqual([0, "", true]);
    }
  });

  test("a type that does not fit, and one that is none", async () => {
    const run = (...options: string[]) => train(join(folder(), "run"), "--base_model", tinyBase, ...options);
    const wrong = await run("--use_8bit", "--quant_type", "fp4");
    expect([wrong.code, wrong.stderr]).toEqual([
      1,
      expect.stringContaining("quant_type is fp4, with use_8bit it is int8 or llm_int8."),
    ]);
    const none = await run("--use_4bit", "--quant_type", "nf5");
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("expected nf4 or fp4 or int8 or llm_int8")]);
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

  test("merging onto stored weights needs plain ones; what was quantised while loading is merged as its file has it", async () => {
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
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("is quantised (--merge_onto trained decodes it)"),
    ]);
    expect(existsSync(join(work, "no"))).toBe(false);
  });
});

describe("a GGUF file as the base", () => {
  const base = new URL("../fuzz/seeds/base.gguf", import.meta.url).pathname;
  const words = () => writeIn(folder(), "words.txt", "abcd bca\ndcba abab\ncdab dd\n");
  // Its tokenizer is made in the cache.
  const env = { XDG_CACHE_HOME: folder() };
  const common = ["--base_model", base, "--max_seq_length", "16"];
  const run = (output: string, ...more: string[]) => {
    const steps = ["--max_steps", "2", "--save_steps", "1", "--per_device_train_batch_size", "1", "--seed", "7"];
    const data = ["--train_file", words(), "--output_dir", output];
    return lowrank(["train", ...common, ...data, ...steps, ...more], { env });
  };

  test("adapter and checkpoints hold its tokenizer; a run goes on; eval and generate read both", async () => {
    const output = join(folder(), "run");
    const first = await run(output);
    expect(first.code, first.stderr).toBe(0);
    const made = new Map(Object.entries(ggufTokenizer(base)));
    for (const where of [output, join(output, "checkpoint-1")]) {
      for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
        const written = JSON.parse(readFileSync(join(where, name), "utf8"));
        expect(written, name).toEqual(JSON.parse(JSON.stringify(made.get(name))));
      }
    }
    const weights = () => readFileSync(join(output, "adapter_model.safetensors"));
    const whole = weights();
    rmSync(join(output, "checkpoint-2"), { recursive: true });
    // As on another machine: the cache is empty.
    rmSync(env.XDG_CACHE_HOME, { recursive: true });
    const again = await run(output, "--resume");
    expect([again.code, again.stderr], again.stderr).toEqual([0, expect.stringContaining("checkpoint-1")]);
    expect(weights().equals(whole)).toBe(true);

    const evaluated = await lowrank(["eval", ...common, "--adapter", output, "--validation_file", words()], { env });
    expect([evaluated.code, evaluated.stdout], evaluated.stderr).toEqual([0, expect.stringMatching(/loss/)]);
    const prompt = ["--prompt", "ab", "--max_new_tokens", "3", "--temperature", "0"];
    const generated = await lowrank(["generate", "--base_model", base, "--adapter", output, ...prompt], { env });
    expect(generated.code, generated.stderr).toBe(0);
    const merged = ["merge", "--base_model", base, "--adapter", output, "--output_dir", join(folder(), "merged")];
    const refused = await lowrank(merged, { env });
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("is a GGUF file: an adapter is merged into a folder"),
    ]);
  });
});

test("--profile prints where the time went and writes a trace", async () => {
  const output = join(folder(), "run");
  const { code, stdout, stderr } = await train(output, "--base_model", tinyBase, "--profile");
  expect(code, stderr).toBe(0);
  const rows = [...(stdout + stderr).matchAll(/^ +(\S.*?) {2,}(\d+) +([\d.]+) s +([\d.]+) %/gm)];
  expect(rows.map(([, name]) => name)).toEqual(
    expect.arrayContaining([
      "attention_fwd",
      "attention_bwd",
      "linear_fwd q_proj",
      "linear_bwd q_proj, k_proj, v_proj",
      "head",
      "adamw",
    ]),
  );
  expect(rows.reduce((sum, row) => sum + Number(row[4]), 0)).toBeGreaterThan(98);
  const { traceEvents } = JSON.parse(readFileSync(join(output, "profile.json"), "utf8"));
  expect(traceEvents.length).toBe(rows.reduce((sum, row) => sum + Number(row[2]), 0));
  for (const [i, { ts, dur, ph }] of traceEvents.entries()) {
    expect([ph, dur >= 0, i === 0 || ts >= traceEvents[i - 1].ts]).toEqual(["X", true, true]);
  }
});
