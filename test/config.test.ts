import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { commands, type Flags, loadOptions, optionsDocument, trainCommand } from "../src/config/index.js";
import { nearest } from "../src/nearest.js";
import { errorOf } from "./support/folders.js";

const folder = mkdtempSync(join(tmpdir(), "lowrank-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

const REQUIRED = { base_model: "m", train_file: "t.jsonl" };

function flags(values: Record<string, string | string[]>, strays: string[] = []): Flags {
  const entries = Object.entries({ ...REQUIRED, ...values });
  return { values: new Map(entries.map(([key, value]) => [key, [value].flat()])), strays };
}

function yaml(text: string): string {
  const file = join(folder, "run.yaml");
  writeFileSync(file, text);
  return file;
}

const load = (f: Flags, environment: NodeJS.ProcessEnv = {}) => loadOptions(trainCommand, f, environment);

async function refusal(f: Flags, environment: NodeJS.ProcessEnv = {}): Promise<string> {
  const error = await load(f, environment).then(
    () => undefined,
    (e: Error & { code: string }) => e,
  );
  expect(error?.code).toMatch(/^E_/);
  return error!.message;
}

/** Every option and default that the command promises. */
const DEFAULTS = {
  tokenizer_name: undefined,
  lora_r: 8,
  lora_alpha: 16,
  lora_dropout: 0.05,
  target_modules: undefined,
  validation_file: undefined,
  text_column: "text",
  max_seq_length: 512,
  pad_to_max_length: false,
  output_dir: "./lora_model",
  num_train_epochs: 3,
  per_device_train_batch_size: 8,
  per_device_eval_batch_size: 8,
  gradient_accumulation_steps: 1,
  optim: "adamw",
  learning_rate: 3e-4,
  weight_decay: 0,
  warmup_ratio: 0.03,
  logging_steps: 10,
  eval_steps: 100,
  save_steps: 1000,
  save_total_limit: 3,
  seed: 42,
  warmup_steps: undefined,
  precision: "auto",
  threads: undefined,
  max_steps: undefined,
  max_grad_norm: 1,
  loss_scale: 65536,
  loss_scale_window: 2000,
  lr_scheduler: "linear",
  shuffle: true,
  long_text: "truncate",
  packing: false,
  group_by_length: false,
  cache_dir: undefined,
  cache_limit_gb: 20,
  gradient_checkpointing: false,
  memory_limit: undefined,
  eval_strategy: "steps",
  save_strategy: "steps",
  load_best_model_at_end: undefined,
  metric_for_best_model: "eval_loss",
  early_stopping_patience: undefined,
  early_stopping_threshold: 0,
  use_4bit: false,
  use_8bit: false,
  double_quant: true,
  quant_type: undefined,
  quantize_skip: undefined,
  share_weights: false,
  quantize_head: false,
  use_rslora: false,
  init_adapter: undefined,
  overwrite_output_dir: false,
  merge: undefined,
  config: undefined,
  profile: false,
  dry_run: false,
  json: false,
};

describe("sizes", () => {
  test.each([
    ["6GB", 6e9],
    ["6GiB", 6 * 2 ** 30],
    ["6g", 6 * 2 ** 30],
    ["512MiB", 512 * 2 ** 20],
    ["1.5 kb", 1500],
    ["1000", 1000],
  ])("%s", async (text, bytes) => {
    const { options } = await load(flags({ memory_limit: text }));
    expect(options.memory_limit).toBe(bytes);
  });

  test.each(["-1", "0", "GB", "6 parsecs", "1e3"])("%s is none", async (text) => {
    const error = await errorOf(() => load(flags({ memory_limit: text })));
    expect(error.message).toContain("--memory_limit: expected a size such as 6GB or 512MiB");
  });
});

describe("values", () => {
  test("the defaults are those of the description", async () => {
    const { options, given } = await load(flags({}));
    expect(options).toEqual({ ...REQUIRED, train_file: ["t.jsonl"], ...DEFAULTS });
    expect([...given].sort()).toEqual(Object.keys(REQUIRED).sort());
  });

  test("defaults < file < environment < flags", async () => {
    const file = yaml("lora_r: 1\nlora_alpha: 2\nseed: 3\nshuffle: false\nlearning_rate: 2e-4\n");
    const environment = { LOWRANK_LORA_ALPHA: "20", LOWRANK_SEED: "30" };
    const { options, given } = await load(flags({ config: file, seed: "300" }), environment);
    expect(options).toMatchObject({ lora_r: 1, lora_alpha: 20, seed: 300, shuffle: false, learning_rate: 2e-4 });
    expect(options.eval_steps).toBe(100);
    expect(given.has("lora_r") && given.has("lora_alpha") && !given.has("eval_steps")).toBe(true);
  });

  test("several files: a comma list anywhere, a list in YAML", async () => {
    const { options } = await load(flags({ train_file: "a.jsonl, b/*.csv" }));
    expect(options.train_file).toEqual(["a.jsonl", "b/*.csv"]);
    for (const list of ["[a, b.txt]", "a,b.txt", "\n  - a\n  - b.txt"]) {
      const config = yaml(`validation_file: ${list}\n`);
      expect((await load(flags({ config }))).options.validation_file).toEqual(["a", "b.txt"]);
    }
    const config = yaml('validation_file: ["x,y.txt"]\n');
    expect((await load(flags({ config }))).options.validation_file).toEqual(["x,y.txt"]);
    for (const wrong of ["[]", "[a, 7]", "7", "{a: b}"]) {
      expect(await refusal(flags({ config: yaml(`validation_file: ${wrong}\n`) }))).toMatch(
        /:1: validation_file: expected files, folders or patterns, found /,
      );
    }
    expect(await refusal(flags({ train_file: "a,,b" }))).toMatch(/--train_file: expected files/);
  });

  test("the file may come from the environment, and an empty variable is none", async () => {
    const file = yaml("max_steps: 7\nvalidation_file:\n");
    const { options } = await load(flags({}), { LOWRANK_CONFIG: file, LOWRANK_SEED: "" });
    expect(options).toMatchObject({ max_steps: 7, seed: 42, validation_file: undefined });
  });

  test.each([
    ["lora_r", "8", 8],
    ["learning_rate", "3e-4", 3e-4],
    ["learning_rate", ".5", 0.5],
    ["num_train_epochs", "0.5", 0.5],
    ["merge", "true", true],
    ["merge", "no", false],
    ["text_column", "8", "8"],
    ["max_grad_norm", "0", 0],
  ])("--%s %s", async (key, text, value) => {
    const { options } = await load(flags({ [key]: text }));
    expect(options[key as keyof typeof options]).toBe(value);
  });
});

describe("refusals", () => {
  test.each([
    ["lora_r", "0", "a whole number from 1"],
    ["lora_r", "8.5", "a whole number"],
    ["lora_r", "eight", "a whole number"],
    ["learning_rate", "NaN", "a number"],
    ["learning_rate", "Infinity", "a number"],
    ["learning_rate", "-1", "a number of at least 0"],
    ["lora_dropout", "1", "below 1"],
    ["warmup_ratio", "1.1", "from 0 to 1"],
    ["precision", "fp8", "auto or fp32 or bf16 or fp16"],
    ["merge", "maybe", "true or false"],
    ["max_seq_length", "1", "from 2"],
    ["text_column", "", "a column"],
  ])("--%s %j", async (key, text, expected) => {
    const message = await refusal(flags({ [key]: text }));
    expect(message).toContain(`--${key}: expected `);
    expect(message).toContain(expected);
    expect(message).toContain(text === "" ? "found nothing" : `${text.replace(/NaN|Infinity/, '"$&"')}`);
  });

  test("everything wrong is in one message", async () => {
    const file = yaml("lora_r: 8\nlearning_rte: 1e-4\nseed: [1]\n");
    const f = {
      values: new Map([
        ["config", [file]],
        ["lora_alpha", ["x"]],
        ["eval_steps", ["1", "2"]],
      ]),
      strays: ["--lora_rr", "4", "word"],
    };
    const message = await refusal(f, {
      LOWRANK_SAVE_STEP: "3",
      LOWRANK_PEER_PYTHON: "/usr/bin/python3",
      LOWRANK_CPU: "avx2",
    });
    for (const part of [
      "--base_model: missing",
      "--train_file: missing",
      "run.yaml:2: learning_rte: unknown option (did you mean learning_rate?)",
      "run.yaml:3: seed: expected a whole number",
      '--lora_alpha: expected a number above 0, found "x"',
      "--eval_steps: given 2 times (1, 2), expected once",
      "--lora_rr: unknown option (did you mean --lora_r?)",
      '"word": expected an option',
      "LOWRANK_SAVE_STEP: unknown option (did you mean LOWRANK_SAVE_STEPS?)",
    ])
      expect(message).toContain(part);
    expect(message).toMatch(/^9 problems/);
  });

  test.each(["dataset_name", "dataset_config_name", "push_to_hub", "hub_model_id", "use_wandb", "wandb_project"])(
    "%s is known and not there yet, however it is given",
    async (name) => {
      const ways = [
        flags({}, [`--${name}`]),
        flags({}, [`--${name.replaceAll("_", "-")}=x`]),
        flags({ config: yaml(`${name}: x\n`) }),
      ];
      for (const way of ways) {
        const message = await refusal(way);
        expect(message).toContain("not in this version yet");
        expect(message).not.toContain("did you mean");
      }
      expect(await refusal(flags({}), { [`LOWRANK_${name.toUpperCase()}`]: "x" })).toContain("not in this version yet");
    },
  );

  test("an option of another command is said to be one", async () => {
    expect(await refusal(flags({}, ["--prompt", "hello"]))).toContain("--prompt: not an option of lowrank train");
  });

  test("a broken, missing or unsuitable file names itself", async () => {
    expect(await refusal(flags({ config: join(folder, "none.yaml") }))).toContain("none.yaml: cannot be read");
    expect(await refusal(flags({ config: yaml("lora_r: [1\n") }))).toMatch(/run\.yaml.*line \d/s);
    expect(await refusal(flags({ config: yaml("- lora_r\n") }))).toContain("run.yaml: expected options");
    expect(await refusal(flags({ config: yaml("config: other.yaml\n") }))).toContain("config");
    expect(await refusal(flags({ config: yaml("lora_r: '8'\n") }))).toContain("lora_r: expected a whole number");
  });
});

test.each([
  ["learning_rte", "learning_rate"],
  ["lora_rank", "lora_r"],
  ["seeed", "seed"],
  ["batch_size", "per_device_train_batch_size"],
  ["epochs", "num_train_epochs"],
  ["zzzzzz", undefined],
])("the name nearest to %s is %s", (written, expected) => {
  expect(nearest(written, Object.keys(trainCommand.rows))).toBe(expected);
});

test("docs/options.md is what the table says", () => {
  const page = readFileSync(new URL("../docs/options.md", import.meta.url), "utf8");
  expect(page).toBe(optionsDocument());
  for (const { rows } of commands) for (const name of Object.keys(rows)) expect(page).toContain(`\`${name}\``);
});
