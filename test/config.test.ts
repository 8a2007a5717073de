import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { nearest } from "../src/base/nearest.js";
import { aliases, findRow, HINTS, hintFor } from "../src/config/aliases.js";
import {
  type Command,
  commandList,
  commands,
  type Flags,
  loadOptions,
  optionsDocument,
  optionsFrom,
} from "../src/config/index.js";
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

const load = (f: Flags, environment: NodeJS.ProcessEnv = {}) => loadOptions(commands.train, f, environment);

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
  task: "causal-lm",
  tokenizer_name: undefined,
  lora_r: 8,
  lora_alpha: 16,
  lora_dropout: 0.05,
  target_modules: undefined,
  validation_file: undefined,
  data_format: "auto",
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
  report_to: ["none"],
  use_wandb: false,
  wandb_project: undefined,
  wandb_entity: undefined,
  run_name: undefined,
  eval_steps: 100,
  save_steps: 1000,
  save_total_limit: 3,
  num_samples: 3,
  sample_base: false,
  sample_max_new_tokens: 100,
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
  add_eos: true,
  packing: false,
  group_by_length: false,
  cache_dir: undefined,
  cache_limit_gb: 20,
  gradient_checkpointing: false,
  activation_offloading: false,
  offload_embedding: false,
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
  device: "auto",
  quantize_head: false,
  int8_backward: "none",
  use_rslora: false,
  use_dora: false,
  lora_bias: false,
  use_lora_fa: false,
  base_dropout: true,
  init_adapter: undefined,
  overwrite_output_dir: false,
  merge: undefined,
  config: undefined,
  profile: false,
  max_restarts: 0,
  ddp_timeout: 1800,
  dashboard: false,
  dry_run: false,
  json: false,
  push_to_hub: false,
  hub_model_id: undefined,
  hub_private_repo: undefined,
  hub_token: undefined,
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
    // A timer of more milliseconds than 31 bits hold is over at once.
    ["ddp_timeout", "2147484", "from 1 to 2147483"],
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

  test("an option of another command is said to be one", async () => {
    expect(await refusal(flags({}, ["--prompt", "hello"]))).toContain("--prompt: not an option of lowrank train");
  });

  test("train_file or dataset_name is needed, and not both", async () => {
    const given = (values: Record<string, string>) => ({
      values: new Map(Object.entries({ base_model: "m", ...values }).map(([key, value]) => [key, [value]])),
      strays: [],
    });
    const { options } = await load(given({ dataset_name: "a/b" }));
    expect([options.dataset_name, options.train_file]).toEqual(["a/b", undefined]);
    // As the file that `lowrank init` writes has it.
    expect((await load(given({ config: yaml("train_file:\ndataset_name: a/b\n") }))).options.dataset_name).toBe("a/b");
    expect(await refusal(given({}))).toMatch(
      /^--train_file: missing; expected files, folders or patterns, or --dataset_name \(/,
    );
    expect(await refusal(given({ config: yaml("dataset_name: a/b\n"), train_file: "x" }))).toMatch(
      /^--train_file: given beside .*run.yaml:1: dataset_name, expected one of them/,
    );
    expect(await refusal(given({ config: yaml("train_file:\n") }))).toMatch(
      /train_file: expected files.*, found nothing/,
    );
  });

  test("a broken, missing or unsuitable file names itself", async () => {
    expect(await refusal(flags({ config: join(folder, "none.yaml") }))).toContain("none.yaml cannot be read");
    expect(await refusal(flags({ config: yaml("lora_r: [1\n") }))).toMatch(/run\.yaml.*line \d/s);
    expect(await refusal(flags({ config: yaml("- lora_r\n") }))).toContain("run.yaml: expected options");
    expect(await refusal(flags({ config: yaml("config: other.yaml\n") }))).toContain("config");
    expect(await refusal(flags({ config: yaml("lora_r: '8'\n") }))).toContain("lora_r: expected a whole number");
  });
});

const REFUSED_EVERYWHERE = ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf", "__defineGetter__"];

describe("names that every object has", () => {
  test.each(REFUSED_EVERYWHERE)("%s is no option", async (name) => {
    expect(await refusal(flags({}, [`--${name}=1`]))).toContain(`--${name}: unknown option`);
    expect(await refusal(flags({ config: yaml(`${name}: 1\n`) }))).toContain(`${name}: unknown option`);
    const object = JSON.parse(`{"base_model": "m", "train_file": ["t"], "${name}": 1}`);
    const error = await errorOf(async () => optionsFrom(commands.train, object));
    expect(error.message).toContain(`${name}: unknown option`);
    const { options } = await load(flags({}), { [`LOWRANK_${name.toUpperCase()}`]: "1" });
    expect(options.lora_r).toBe(8);
    expect(await refusal(flags({ shuffle: name }))).toContain(`--shuffle: expected true or false, found "${name}"`);
    expect(await refusal(flags({ optim: name }))).toContain("--optim: expected adamw or adamw_8bit");
  });
});

describe("names of other trainers", () => {
  const names = Object.keys(aliases) as (keyof typeof aliases)[];
  const own = new Set(commandList.flatMap(({ rows }) => Object.keys(rows)));

  test("each stands for one option, and none hides an option", () => {
    for (const name of names) {
      expect(own.has(aliases[name]), name).toBe(true);
      expect(own.has(name), name).toBe(false);
    }
    for (const name of Object.keys(HINTS)) {
      expect(own.has(name) || Object.hasOwn(aliases, name), name).toBe(false);
      hintFor(name, (option) => {
        expect(own.has(option), `${name}: ${option}`).toBe(true);
        return option;
      });
    }
  });

  test.each(names.filter((name) => findRow(commands.train.rows, name)))("%s is accepted everywhere", async (name) => {
    const option = aliases[name] as keyof typeof commands.train.rows;
    const row = commands.train.rows[option];
    const text = { number: "3", flag: "true", text: "x" }[row.kind];
    const sample = row.expects.includes(" or ") && row.kind === "text" ? row.expects.split(" or ")[0]! : text;
    const without = Object.fromEntries(Object.entries(REQUIRED).filter(([key]) => key !== option));
    const byName = await load({
      values: new Map([...Object.entries({ ...without, [option]: sample })].map(([k, v]) => [k, [v]])),
      strays: [],
    });
    const by = (values: Record<string, string>) => ({
      values: new Map(Object.entries(values).map(([k, v]) => [k, [v]])),
      strays: [],
    });
    const ways = [
      load(by({ ...without, [name]: sample })),
      load(by({ ...without, config: yaml(`${name}: ${sample}\n`) })),
      load(by(without), { [`LOWRANK_${name.toUpperCase()}`]: sample }),
      optionsFrom(commands.train, {
        ...without,
        [name]: row.kind === "number" ? 3 : row.kind === "flag" ? true : sample,
      }),
    ];
    for (const { options, given } of await Promise.all(ways)) {
      expect({ ...options, config: undefined }).toEqual({ ...byName.options });
      expect(given.has(option)).toBe(true);
    }
  });

  test("both names in one place are one too many; of two places the stronger wins", async () => {
    expect(await refusal(flags({ lr: "1e-4", learning_rate: "2e-4" }))).toContain("given beside --lr");
    expect(await refusal(flags({ config: yaml("lora_rank: 4\nr: 4\n") }))).toMatch(
      /run\.yaml:2: r: given beside .*run\.yaml:1: lora_rank/,
    );
    expect(await refusal(flags({}), { LOWRANK_EPOCHS: "1", LOWRANK_NUM_EPOCHS: "2" })).toContain("given beside");
    const error = await errorOf(async () => optionsFrom(commands.train, { ...REQUIRED, lr: 1, learning_rate: 1 }));
    expect(error.message).toContain("learning_rate: given beside lr");
    const { options } = await load(flags({ lr: "3e-4", config: yaml("learning_rate: 1e-4\n") }), {
      LOWRANK_LR: "2e-4",
    });
    expect(options.learning_rate).toBe(3e-4);
  });

  test("what means something near is named with what to use", async () => {
    expect(await refusal(flags({}, ["--bf16"]))).toContain("--bf16: unknown option; use --precision bf16");
    expect(await refusal(flags({ config: yaml("fp16: true\n") }))).toContain(
      "fp16: unknown option; use precision: fp16",
    );
    expect(await refusal(flags({}), { LOWRANK_BF16: "1" })).toContain("use LOWRANK_PRECISION=bf16");
    for (const name of ["-r", "-lora_r"])
      expect(await refusal(flags({}, [name, "8"]))).toContain(`${name}: unknown option (did you mean --lora_r?)`);
    expect(await refusal(flags({}, ["--load-in-8bit"]))).toContain("use --use_8bit, with --quant_type llm_int8");
    expect(await refusal(flags({}, ["--batch_size", "4"]))).toContain("use --per_device_train_batch_size");
    expect(await refusal(flags({ lr: "x" }))).toContain('--lr: expected a number of at least 0, found "x"');
    expect(await refusal(flags({}, ["--max_new_tokes", "1"]))).not.toContain("undefined");
  });

  test("values of other trainers", async () => {
    for (const [name, meant] of [
      ["adamw_torch", "adamw"],
      ["adamw_8bit", "adamw_8bit"],
      ["paged_adamw_8bit", "adamw_8bit"],
    ]) {
      expect((await load(flags({ optim: name! }))).options.optim).toBe(meant);
    }
    expect((await load(flags({ lr_scheduler_type: "constant_with_warmup" }))).options.lr_scheduler).toBe("constant");
    expect(await refusal(flags({ optim: "sgd" }))).toContain('--optim: expected adamw or adamw_8bit, found "sgd"');
    for (const list of ["[q_proj, v_proj]", "q_proj,v_proj", "\n- q_proj\n- v_proj"]) {
      const config = yaml(`lora_target_modules: ${list}\n`);
      expect((await load(flags({ config }))).options.target_modules).toBe("q_proj,v_proj");
    }
    for (const wrong of ["[]", "[q_proj, 7]", "7"]) {
      expect(await refusal(flags({ config: yaml(`target_modules: ${wrong}\n`) }))).toContain(
        "target_modules: expected names",
      );
    }
  });

  test("ranks by name, and layers", async () => {
    const rank_pattern = { q_proj: 4, ".*k_proj": 2 };
    const config = yaml(
      "rank_pattern:\n  q_proj: 4\n  .*k_proj: 2\nlayers_to_transform: [0, 2]\nlayers_pattern: layers\n",
    );
    const { options } = await load(flags({ config }));
    expect(options).toMatchObject({ rank_pattern, layers_to_transform: [0, 2], layers_pattern: ["layers"] });
    const byFlags = flags({ rank_pattern: JSON.stringify(rank_pattern), layers_to_transform: "0,2" });
    expect((await load(byFlags)).options).toMatchObject({ rank_pattern, layers_to_transform: [0, 2] });
    expect((await load(flags({ config: yaml("layers_to_transform: 3\n") }))).options.layers_to_transform).toEqual([3]);
    for (const wrong of ["q_proj", "{}", '{"q_proj": 0}', '{"q_proj": 1.5}', "[4]"]) {
      expect(await refusal(flags({ rank_pattern: wrong }))).toContain("--rank_pattern: expected numbers by name");
    }
    for (const wrong of ["a", "1,,2", "-1", "1.5"]) {
      expect(await refusal(flags({ layers_to_transform: wrong }))).toContain("--layers_to_transform: expected whole");
    }
  });
});

test("a token stands in no message", async () => {
  const twice = await refusal(flags({ hub_token: ["hf_secret", "hf_secret"] }));
  const wrong = await refusal(flags({ config: yaml("hub_token: [hf_secret]\n") }));
  expect([twice, wrong].map((message) => message.split("\n")[0])).toEqual([
    "--hub_token: given 2 times, expected once",
    expect.stringMatching(/run.yaml:1: hub_token: expected a token, found another value$/),
  ]);
});

describe("one file for all commands", () => {
  const file = () =>
    yaml(
      "base_model: b\ntrain_file: t\nvalidation_file: v\nlr: 1e-4\noutput_dir: o\nadapter: a\nprompt: p\nmax_steps: 3\nnum_rows: 1\nhub_model_id: h/n\noutput_file: f\n",
    );

  test.each(commandList.filter(({ rows }) => "config" in rows).map((command) => [command.name, command] as const))(
    "%s takes what is its own",
    async (name, command) => {
      const { options, ignored } = await loadOptions(
        command,
        { values: new Map([["config", [file()]]]), strays: [] },
        {},
      );
      const found: Record<string, unknown> = options;
      expect(found.base_model).toBe("b");
      for (const [key, value] of [
        ["adapter", "a"],
        ["prompt", "p"],
        ["num_rows", 1],
        ["max_steps", 3],
        ["learning_rate", 1e-4],
      ] as const) {
        expect(found[key], key).toBe(key in command.rows ? value : undefined);
      }
      const others = ["adapter", "prompt", "num_rows", "output_file"].filter((key) => !(key in command.rows));
      expect(ignored.map((where) => where.split(": ")[1])).toEqual(others);
      expect(
        ignored.every((where) => /run\.yaml:\d+: /.test(where)),
        name,
      ).toBe(true);
    },
  );

  test.each<[Command, string, string, Record<string, string>]>([
    [commands.generate, "input_file", "prompt", { base_model: "b" }],
    [commands.classify, "text", "input_file", { adapter: "a" }],
  ])("$name: %s or %s, the command line's before the file's", async (command, one, other, more) => {
    const values = (words: Record<string, string>) =>
      new Map(Object.entries({ ...more, ...words }).map(([key, value]) => [key, [value]]));
    const found = async (words: Record<string, string>) => {
      const { options } = await loadOptions(command, { values: values(words), strays: [] }, {});
      return [options[one], options[other]].map((value) => value !== undefined);
    };
    await expect(found({ [one]: "x", [other]: "y" })).rejects.toThrow(
      `--${one}: given beside --${other}, expected one of them`,
    );
    expect(await found({ [other]: "y", config: yaml(`${one}: x\n`) })).toEqual([false, true]);
    expect((await found({ [one]: "x", config: yaml(`${other}: y\n`) }))[0]).toBe(true);
    // One file may serve both commands.
    expect((await found({ config: yaml(`${one}: x\n${other}: y\n`) }))[0]).toBe(true);
    expect(await found({})).toEqual([false, false]);
  });

  test.each([
    ["early_stopping_threshold", "0.1", "early_stopping_patience", "2"],
    ["dashboard_runs", "a,b", "dashboard", "true"],
    ["max_restarts", "2", "nproc_per_node", "2"],
    ["max_restarts", "2", "hosts", "a:1"],
  ] as const)(
    "%s is refused without what uses it, unless a file or the environment has it",
    async (name, value, by, of) => {
      expect(await refusal(flags({ [name]: value }))).toMatch(
        new RegExp(`^--${name}: needs --(${by}|nproc_per_node or --hosts)\n`),
      );
      if (by === "dashboard")
        expect(await refusal(flags({ [name]: value, [by]: "false" }))).toContain("needs --dashboard");
      for (const given of [
        load(flags({ [name]: value, [by]: of })),
        load(flags({ config: yaml(`${name}: ${value}\n`) })),
      ])
        expect((await given).given).toContain(name);
      expect((await load(flags({}), { [`LOWRANK_${name.toUpperCase()}`]: value })).given).toContain(name);
      expect((await load(flags(name === "dashboard_runs" ? {} : { [name]: "0" }))).options.lora_r).toBe(8);
    },
  );

  test.each([commands.analyze, commands.compress] as const)(
    "$name without texts refuses what only texts need, unless a file has it",
    async (command) => {
      const own = { adapter: "a", ...(command === commands.compress && { output_dir: "o" }) };
      const given = (words: Record<string, string>) => {
        const values = new Map(Object.entries({ ...own, ...words }).map(([key, value]) => [key, [value]]));
        return loadOptions(command as Command, { values, strays: [] }, {});
      };
      const only = { chat_template: "t.jinja", text_column: "prose", use_4bit: "true", tokenizer_name: "t" };
      for (const [name, value] of Object.entries(only)) {
        await expect(given({ [name]: value })).rejects.toThrow(`--${name}: needs --validation_file or --dataset_name`);
        const { options } = await given({ [name]: value, base_model: "b", dataset_name: "d/d" });
        expect(options[name]).toBeTruthy();
        expect((await given({ config: yaml(`${name}: ${value}\n`) })).given).toContain(name);
      }
    },
  );

  test.each([
    [
      commands.generate,
      { adapter: "a", prompt: "p" },
      { text_column: "c", csv_separator: "tab", per_device_eval_batch_size: "2" },
    ],
    [commands.classify, { adapter: "a" }, { text_column: "c", text_pair_column: "d", text_by: "line" }],
  ] as const)("$name without input_file refuses what only files need", async (command, own, only) => {
    for (const [name, value] of Object.entries(only)) {
      const values = new Map(Object.entries({ ...own, [name]: value }).map(([key, text]) => [key, [text]]));
      await expect(loadOptions(command as Command, { values, strays: [] }, {})).rejects.toThrow(
        `--${name}: needs --input_file`,
      );
    }
  });

  test("classify: the second text of a pair needs the first", async () => {
    const values = new Map(Object.entries({ adapter: "a", text_pair: "b" }).map(([key, text]) => [key, [text]]));
    await expect(loadOptions(commands.classify, { values, strays: [] }, {})).rejects.toThrow(
      "--text_pair: needs --text",
    );
  });

  describe.each([commands.eval, commands.analyze, commands.compress] as const)(
    "of a training run, $name",
    (command) => {
      const measured = async (file: string, values: Record<string, string> = {}) => {
        const own = "adapter: a\noutput_dir: o\nbase_model: b\ntrain_file:\n";
        const all = { config: yaml(own + file), ...values };
        const words = new Map(Object.entries(all).map(([key, value]) => [key, [value]]));
        const { options } = await loadOptions(command as typeof commands.eval, { values: words, strays: [] }, {});
        return [options.validation_file, options.dataset_name, options.dataset_split];
      };
      const split = "dataset_name: d/d\ndataset_split: train[:90%]\n";

      test("measures the split that the run evaluates on", async () => {
        const held = await measured(`${split}dataset_validation_split: test[:5]\n`);
        expect(held).toEqual([undefined, "d/d", "test[:5]"]);
        expect(await measured(split)).toEqual([undefined, "d/d", undefined]);
        expect(await measured(split, { dataset_split: "all" })).toEqual([undefined, "d/d", "all"]);
      });

      test("measures the files that the run evaluates on; the command line counts before the file", async () => {
        const both = `${split}validation_file: v\n`;
        expect((await measured(both))[0]).toEqual(["v"]);
        expect((await measured(split, { validation_file: "w" }))[0]).toEqual(["w"]);
        expect(await measured(both, { dataset_name: "e/e" })).toEqual([undefined, "e/e", undefined]);
        await expect(measured("", { validation_file: "w", dataset_name: "e/e" })).rejects.toThrow(
          "--validation_file: given beside --dataset_name, expected one of them",
        );
      });
    },
  );

  test("what no command knows is an error of each", async () => {
    const config = yaml("base_model: b\nlearning_rte: 1\nbf16: true\nprompt: x\n");
    for (const command of commandList.filter(({ rows }) => "config" in rows)) {
      const error = await errorOf(() =>
        loadOptions(command, { values: new Map([["config", [config]]]), strays: [] }, {}),
      );
      expect(error.message, command.name).toContain(
        "run.yaml:2: learning_rte: unknown option (did you mean learning_rate?)",
      );
      expect(error.message, command.name).toContain("run.yaml:3: bf16: unknown option; use precision: bf16");
    }
  });
});

describe("objects of options", () => {
  const trap = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error("no keys");
      },
    },
  );
  const getter = Object.defineProperty({}, "lora_r", {
    enumerable: true,
    get: () => {
      throw new Error("not now");
    },
  });
  test.each([
    ["a long string", "x".repeat(1 << 20)],
    ["a list", [1, 2]],
    ["a map", new Map([["lora_r", 4]])],
    ["a date", new Date(0)],
    ["null", null],
    ["a number", 3],
    ["a function", () => 3],
    [
      "an object of a class",
      new (class {
        lora_r = 4;
      })(),
    ],
    ["a hundred thousand keys", Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [`k${i}`, 1]))],
    ["a proxy that throws", trap],
    ["a getter that throws", getter],
  ])("%s is refused at once", async (_, value) => {
    const start = performance.now();
    const error = await errorOf(async () => optionsFrom(commands.train, value));
    expect(performance.now() - start).toBeLessThan(1000);
    expect(error.code).toBe("E_ARGUMENT");
    expect(error.message).toContain("expected an object of options, found ");
    expect(error.message.length).toBeLessThan(300);
  });

  test("long names and values are cut, many problems counted", async () => {
    const many = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`key_${i}`, 1]));
    const { message } = await errorOf(async () =>
      optionsFrom(commands.train, { ...REQUIRED, ...many, ["y".repeat(1 << 20)]: 1 }),
    );
    expect(message).toContain("901 problems");
    expect(message).toContain("and 871 more");
    expect(message.length).toBeLessThan(10_000);
    const long = await errorOf(async () =>
      optionsFrom(commands.train, { ...REQUIRED, lora_r: "z".repeat(1 << 20), seed: 1n }),
    );
    expect(long.message.length).toBeLessThan(600);
    expect(long.message).toContain("seed: expected a whole number from 0 to 9007199254740991, found 1n");
    expect(long.where).toBe("lora_r");
  });

  test("of another realm is as good", async () => {
    const { runInNewContext } = await import("node:vm");
    const { options } = optionsFrom(
      commands.train,
      runInNewContext("({ base_model: 'm', train_file: ['t'], lora_r: 3 })"),
    );
    expect(options.lora_r).toBe(3);
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
  expect(nearest(written, Object.keys(commands.train.rows))).toBe(expected);
});

test("docs/options.md is what the table says", () => {
  const page = readFileSync(new URL("../docs/options.md", import.meta.url), "utf8");
  expect(page).toBe(optionsDocument());
  for (const { rows } of commandList) for (const name of Object.keys(rows)) expect(page).toContain(`\`${name}\``);
});

test("a command is its entry in the registry, and the file of its name", () => {
  const folder = new URL("../src/commands/", import.meta.url);
  const runs = readdirSync(folder).filter((file) =>
    /^export async function run\(/m.test(readFileSync(new URL(file, folder), "utf8")),
  );
  expect(runs).toEqual(commandList.map(({ name }) => `${name}.ts`).sort());
});
