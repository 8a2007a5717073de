// Settings in which a run may differ from the checkpoint that it goes on from.
import { expect, test } from "vitest";
import { commands } from "../../src/config/index.js";
import type { RenderSpec } from "../../src/data/index.js";
import { Model, type RunEvent, Trainer, type TrainerOptions } from "../../src/index.js";
import type { AdapterSpec, Precision } from "../../src/native/index.js";
import { differences, identityOf } from "../../src/setup/run/identity.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";

const newFolder = temporaryFolders();

const CHAT: RenderSpec = {
  kind: "chat",
  form: "messages",
  loss: "assistant",
  templates: { default: "{{ messages }}", specialTokens: {}, date: "2026-01-31" },
};

const CLASSIFIED: RenderSpec = { kind: "classified", column: "text" };

/** Settings of a run with every option at its default, on a base in one of several forms. */
function settingsOf(
  form: "plain" | "nf4" | "llm_int8",
  precision: Precision,
  given: Record<string, unknown> = {},
  render: RenderSpec = { kind: "text", column: "text" },
  own: Partial<AdapterSpec> = {},
) {
  const defaults = Object.fromEntries(
    Object.entries(commands.train.rows).map(([name, row]) => [name, row.defaultValue]),
  );
  const spec = {
    rank: 8,
    alpha: 16,
    dropout: 0.05,
    useRslora: false,
    targets: ["b.q_proj", "a.q_proj"],
    seed: 42,
    ...own,
  };
  const classified = render.kind === "classified";
  const texts = {
    ...{ tokenizer: { sha256: "t" }, renders: [render], hashes: { training: "a", validation: null } },
    ...(classified ? { labels: "l" } : {}),
  };
  const stored = { dtype: "f32", shape: [1], file: import.meta.filename, offset: 0, bytes: 1 };
  const quantize = form === "nf4" ? { format: "nf4", doubleQuant: true } : { format: "i8", doubleQuant: false };
  const rounding = form === "llm_int8" ? { outlierThreshold: 6, gradientCodes: "nearest" } : {};
  const names = ["a.q_proj.weight", ...(form === "nf4" ? ["lm_head.weight"] : [])];
  const tensors = names.map((name) => ({ name, ...stored, ...(form === "plain" ? {} : { quantize, ...rounding }) }));
  const parts = {
    model: {
      config: classified ? { classifier: { problem: "regression" }, dropouts: DROPOUTS } : {},
      spec: { head: "lm_head.weight" },
      tensors,
    },
    spec,
    precision,
    texts,
  };
  return identityOf({ ...defaults, ...given } as never, parts as never);
}

/** Settings as checkpoints of 0.1.0 hold them: a run must go on from these. */
const STORED = {
  tokenizer_name: "t",
  train_file: "a",
  validation_file: null,
  text_by: null,
  precision: "bf16",
  loss_scale: null,
  loss_scale_window: null,
  lora_r: 8,
  lora_alpha: 16,
  lora_dropout: 0.05,
  use_rslora: false,
  target_modules: "a.q_proj,b.q_proj",
  max_seq_length: 512,
  long_text: "truncate",
  add_eos: true,
  packing: false,
  group_by_length: false,
  pad_to_max_length: false,
  shuffle: true,
  per_device_train_batch_size: 8,
  gradient_accumulation_steps: 1,
  optim: null,
  learning_rate: 3e-4,
  lr_scheduler: "linear",
  warmup_ratio: 0.03,
  warmup_steps: null,
  weight_decay: 0,
  max_grad_norm: 1,
  seed: 42,
};

test("the settings of a run are stored as ever", () => {
  const stored = { ...STORED, base_model: expect.stringMatching(/^[0-9a-f]{64}$/) };
  expect(settingsOf("plain", "bf16")).toEqual({ ...stored });
  const scaling = { precision: "fp16", loss_scale: 65536, loss_scale_window: 2000 };
  expect(differences(settingsOf("plain", "fp16"), { ...settingsOf("plain", "bf16"), ...scaling })).toEqual([]);
  const quantize_skip = expect.stringMatching(/^[0-9a-f]{12}$/);
  const four = { use_4bit: true, double_quant: true, quantize_skip, quantize_head: true };
  expect(settingsOf("nf4", "bf16")).toEqual({ ...stored, ...four });
  const eight = {
    use_8bit: true,
    double_quant: false,
    quantize_skip,
    quant_type: "llm_int8",
    int8_backward: "nearest",
  };
  expect(settingsOf("llm_int8", "bf16")).toEqual({ ...stored, ...eight });
  const others = { warmup_steps: 7, optim: "adamw_8bit", add_eos: false, text_by: "line" };
  expect(settingsOf("plain", "bf16", others)).toEqual({
    ...stored,
    ...others,
    add_eos: null,
    warmup_ratio: null,
  });
});

test("every option of a run is a setting, or decides nothing", () => {
  const known = new Set<string>(IN_OTHERS);
  for (const form of ["plain", "nf4", "llm_int8"] as const)
    for (const name of Object.keys(settingsOf(form, "fp16", OPTIMIZER, CHAT, { ...PATTERNS, ...VARIANTS })))
      known.add(name);
  for (const name of Object.keys(settingsOf("plain", "bf16", { task: "seq-cls", truncation_side: "left" }, CLASSIFIED)))
    known.add(name);
  for (const [name, row] of Object.entries(commands.train.rows))
    expect(known.has(name), `${name} decides ${row.decides}`).toBe(row.decides === "bits");
});

test("what is learned of conversations, and by which template they are rendered, are settings of a run with conversations", () => {
  const chat = settingsOf("plain", "bf16", {}, CHAT);
  expect(chat).toMatchObject({ data_format: "messages", loss_on: "assistant" });
  const other = { ...CHAT, loss: "all", templates: { ...CHAT.templates, default: "{{ messages }} " } } as RenderSpec;
  expect(differences(settingsOf("plain", "bf16", {}, other), chat)).toEqual([
    expect.stringMatching(/^--chat_template: the chat template differs from the checkpoint's \(sha256 [0-9a-f]{12}, /),
    "--loss_on is all, in the checkpoint assistant",
  ]);
  expect(
    differences(settingsOf("plain", "bf16"), chat)
      .map((line) => line.split(/[ :]/)[0])
      .sort(),
  ).toEqual(["--chat_template", "--data_format", "--loss_on", "--template_date"]);
});

const DROPOUTS = { embedding: 0.1, attention: 0.2, attentionOutput: 0, mlpOutput: 0.1 };

/** Options whose effect is in a setting of another name, or in the hash of the named file. */
const IN_OTHERS = [
  ...["init_adapter", "text_column", "text_pair_column", "json_field", "csv_separator", "csv_quoting"],
  ...["exclude_modules", "layers_to_transform", "layers_pattern"],
];

const OPTIMIZER = { loraplus_lr_ratio: 16, neftune_noise_alpha: 5 };
const VARIANTS = {
  ...{ useDora: true, bias: true, freezeA: true, initialFactors: "pissa", whole: ["lm_head"] },
  tokens: [{ module: "model.embed_tokens", ids: [5] }],
};
const PATTERNS = { ranks: { "b.q_proj": 2 }, alphas: { "b.q_proj": 3 } };

test("dropouts of the base are a setting; the first checkpoints were made without them", () => {
  const own = { task: "seq-cls" };
  const run = settingsOf("plain", "bf16", own, CLASSIFIED);
  const { base_dropout: rates, ...before } = run;
  expect(rates).toBe("0.1 of embeddings, 0.2 of attention's probabilities, 0.1 of the MLP's output");
  expect(differences(run, before)).toEqual([`--base_dropout is ${rates}, in the checkpoint not given`]);
  expect(settingsOf("plain", "bf16", { ...own, base_dropout: false }, CLASSIFIED)).toEqual(before);
});

test("ranks and alphas of single modules are settings", () => {
  const wanted = settingsOf("plain", "bf16", {}, undefined, PATTERNS);
  const plain = settingsOf("plain", "bf16");
  expect(differences(plain, wanted)).toEqual([
    '--rank_pattern is not given, in the checkpoint [["b.q_proj",2]]',
    '--alpha_pattern is not given, in the checkpoint [["b.q_proj",3]]',
  ]);
  expect(differences(wanted, plain).length).toBe(2);
});

test("a checkpoint of an earlier version, which held more of them, agrees", () => {
  const now = { seed: 1 };
  expect(differences(now, { seed: 1, logging_steps: 10, max_steps: 3, save_strategy: "steps" })).toEqual([]);
  expect(differences(now, { seed: 2, logging_steps: 10 })).toEqual(["--seed is 1, in the checkpoint 2"]);
});

test("a checkpoint of before an option was there agrees with the option's default alone", () => {
  const before = { seed: 1 };
  expect(differences({ seed: 1, packing: false, text_by: null }, before)).toEqual([]);
  expect(differences({ seed: 1, packing: true }, before)).toEqual(["--packing is true, in the checkpoint not given"]);
  // Texts had no end token then, which is the default now.
  expect(differences({ seed: 1, add_eos: true }, before)).toHaveLength(1);
});

const TEXTS = Array.from({ length: 20 }, (_, i) => `Take ${i} eggs and a pound of flour, and stir.`);

async function run(model: Model, options: TrainerOptions): Promise<RunEvent[]> {
  const fixed = { train: TEXTS, lora_r: 2, max_seq_length: 16, per_device_train_batch_size: 2, learning_rate: 1e-2 };
  await using trainer = await Trainer.create(model, { ...fixed, resume: "auto", save_steps: 2, ...options });
  const events: RunEvent[] = [];
  for await (const event of trainer.run()) events.push(event);
  return events;
}

/** All warnings except the warning of a speed that the other work on this machine has made uncertain. */
const warnings = (events: RunEvent[]) =>
  events.flatMap((event) => (event.type === "warning" && !event.message.startsWith("mfu") ? [event.message] : []));
const metrics = (events: RunEvent[]) =>
  events.flatMap((event) => (event.type === "step" && event.metrics ? [event.metrics] : []));
const lossesOf = (events: RunEvent[]) => events.flatMap((event) => (event.type === "step" ? [event.loss] : []));

test("a longer run goes on, with other lines, evaluations and saves, and says that its schedule is new", async () => {
  await using model = await Model.open(tinyBase, { threads: 1 });
  const constant = { lr_scheduler: "constant", warmup_steps: 0, load_best_model_at_end: false } as const;
  const whole = await run(model, { ...constant, output_dir: newFolder(), max_steps: 8, logging_steps: 1 });
  const output_dir = newFolder();
  await run(model, { ...constant, output_dir, max_steps: 4, logging_steps: 3 });
  const others = { logging_steps: 1, eval_steps: 3, save_total_limit: 1, early_stopping_patience: 9, save_steps: 3 };
  const rest = await run(model, { ...constant, output_dir, max_steps: 8, ...others });
  expect(warnings(rest)).toEqual([
    expect.stringContaining("The run has 8 steps, in the checkpoint 4: it goes on after step 4"),
  ]);
  // With a constant learning rate the schedule is the same: the bits equal a run's that was longer from the start.
  expect(lossesOf(rest)).toEqual(lossesOf(whole).slice(4));
  expect(metrics(rest).map(({ step }) => step)).toEqual([5, 6, 7, 8]);
  const done = await run(model, { ...constant, output_dir, max_steps: 8 });
  expect(warnings(done)).toEqual([
    expect.stringContaining("The run is finished: 8 steps are done, and no step is left."),
  ]);
  const shorter = await run(model, { ...constant, output_dir, max_steps: 3 });
  expect(warnings(shorter)).toEqual([expect.stringContaining("8 steps are done, and 3 are asked for")]);
  expect(shorter.at(-1)).toMatchObject({ type: "end", steps: 8, aborted: false });
});

test("the learning rate of a longer run is that of the new schedule, at its step", async () => {
  await using model = await Model.open(tinyBase, { threads: 1 });
  const output_dir = newFolder();
  const linear = { output_dir, lr_scheduler: "linear", warmup_steps: 0, logging_steps: 1 } as const;
  await run(model, { ...linear, max_steps: 2 });
  const rest = await run(model, { ...linear, max_steps: 4 });
  expect(metrics(rest).map(({ learning_rate }) => learning_rate)).toEqual([1e-2 * (2 / 4), 1e-2 * (1 / 4)]);
});
