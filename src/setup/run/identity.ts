// Settings that two runs must agree in, for one to go on from the other's checkpoint, bit for bit.
import { createHash } from "node:crypto";
import { closeSync, readSync } from "node:fs";
import { openRegular, readError } from "../../base/system-errors.js";
import type { Identity } from "../../checkpoint/index.js";
import { modelRows, type OptionRow, terminalRows, trainRows } from "../../config/index.js";
import { type ChatSpec, templatesHash } from "../../data/index.js";
import { dropoutsShown, OUTLIER_THRESHOLD, tokenIndices } from "../../model/index.js";
import type { AdapterSpec, ModelSource, Precision } from "../../native/index.js";
import type { TrainingTexts } from "../texts.js";
import type { RunOptions } from "./options.js";

/** Enough of a tensor to know a model that was trained further from the one before. */
const SAMPLE_BYTES = 4096;

/** Options whose content counts, not the name: their settings are hashes. */
const HASHED: Record<string, string> = {
  base_model: "the base model differs",
  tokenizer_name: "the tokenizer differs",
  train_file: "the training texts differ",
  validation_file: "the validation texts differ",
  label_column: "the labels differ",
  chat_template: "the chat template differs",
};

/** Hash of configuration, layout and the first bytes of every tensor: a large model is not read whole for it. */
function modelHash({ config: { dropouts: _, ...config }, tensors }: ModelSource): string {
  const hash = createHash("sha256").update(JSON.stringify(config));
  const buffer = Buffer.alloc(SAMPLE_BYTES);
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, dtype, shape, file, offset, bytes } of sorted) {
    hash.update(JSON.stringify([name, dtype, shape]));
    let descriptor: number | undefined;
    try {
      descriptor = openRegular(file, "Weights");
      hash.update(buffer.subarray(0, readSync(descriptor, buffer, 0, Math.min(bytes, SAMPLE_BYTES), offset)));
    } catch (error) {
      throw readError(error, file, "Weights");
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
    }
  }
  return hash.digest("hex");
}

/** The format to which the linears were quantised while they were loaded, and their arithmetic; nothing where they are plain. */
function quantization({ spec, tensors }: ModelSource): Identity {
  const threshold = tensors.find(({ outlierThreshold }) => outlierThreshold)?.outlierThreshold;
  const rounds = threshold === OUTLIER_THRESHOLD ? "llm_int8" : `llm_int8 with a threshold of ${threshold}`;
  const eight: Identity = threshold === undefined ? {} : { quant_type: rounds };
  const quantized = tensors.filter(({ quantize }) => quantize !== undefined);
  const [first] = quantized;
  if (!first) return eight;
  const { format, doubleQuant } = first.quantize!;
  // Names of all linears, so that the linears that were left out count.
  const names = quantized
    .map(({ name }) => name)
    .filter((name) => name !== spec.head)
    .sort()
    .join();
  const modules = createHash("sha256").update(names).digest("hex").slice(0, 12);
  return {
    [format === "i8" ? "use_8bit" : "use_4bit"]: true,
    double_quant: doubleQuant,
    quantize_skip: modules,
    ...(format === "fp4" ? { quant_type: format } : eight),
    ...(quantized.some(({ name }) => name === spec.head) ? { quantize_head: true } : {}),
  };
}

export interface RunParts {
  model: ModelSource;
  spec: AdapterSpec;
  precision: Precision;
  texts: TrainingTexts;
}

/** Every option of a training run. */
const runRows = { ...modelRows, ...trainRows, ...terminalRows };
type Name = keyof typeof runRows;
const names = (decides: OptionRow["decides"]) =>
  (Object.keys(runRows) as Name[]).filter((name) => runRows[name].decides === decides);
const DECIDE_BITS = names("bits");
/**
 * Options whose value makes no other run. The number of steps decides the schedule alone, and the trainer tells so.
 */
const DECIDE_NOTHING: ReadonlySet<string> = new Set(names("nothing"));

type Setting = Identity[string] | undefined;
/** Undefined where the option decides nothing of this run, or another option's setting shows its effect. */
type SettingOf = (o: RunOptions, parts: RunParts) => Setting;

const inOther: SettingOf = () => undefined;
const ofFp16 = (name: "loss_scale" | "loss_scale_window"): SettingOf => {
  return (o, { precision }) => (precision === "fp16" ? o[name] : null);
};
const ofQuantization = Object.fromEntries(
  ["use_4bit", "use_8bit", "quant_type", "double_quant", "quantize_skip", "quantize_head"].map((name) => {
    return [name, (_, { model }) => quantization(model)[name]] satisfies [string, SettingOf];
  }),
);

/**
 * The values of the training and the validation rows, once where they are the same; undefined where all are plain texts, as in the first
 * checkpoints.
 */
function ofChats({ renders }: TrainingTexts, of: (spec: ChatSpec) => string | null): string | undefined {
  const found = renders.flatMap((render) => (render.kind === "chat" ? [of(render)] : []));
  const values = [...new Set(found.filter((value) => value !== null))];
  return values.length > 0 ? values.join() : undefined;
}

/** Numbers of single modules in one order; undefined where there are none, as in the first checkpoints. */
const singles = (numbers: Record<string, number> | undefined) =>
  numbers && JSON.stringify(Object.entries(numbers).sort());

/** Options that decide bits otherwise than by the value that was given; every other one's setting is its value. */
const SETTINGS: Readonly<Partial<Record<Name, SettingOf>>> = {
  base_model: (_, { model }) => modelHash(model),
  tokenizer_name: (_, { texts }) => texts.tokenizer.sha256,
  precision: (_, parts) => parts.precision,
  ...ofQuantization,
  int8_backward: (_, { model }) => model.tensors.find(({ gradientCodes }) => gradientCodes)?.gradientCodes,
  lora_r: (_, { spec }) => spec.rank,
  lora_alpha: (_, { spec }) => spec.alpha,
  lora_dropout: (_, { spec }) => spec.dropout,
  use_rslora: (_, { spec }) => spec.useRslora,
  target_modules: (_, { spec }) => [...spec.targets].sort().join(),
  use_dora: (_, { spec }) => spec.useDora || undefined,
  lora_bias: (_, { spec }) => spec.bias || undefined,
  modules_to_save: (_, { spec }) => spec.whole?.join() || undefined,
  trainable_token_indices: (_, { spec }) =>
    spec.tokens?.length ? JSON.stringify(tokenIndices(spec.tokens)) : undefined,
  use_lora_fa: (_, { spec }) => spec.freezeA || undefined,
  init_lora_weights: (_, { spec }) => spec.initialFactors,
  loraplus_lr_ratio: (o) => o.loraplus_lr_ratio,
  neftune_noise_alpha: (o) => o.neftune_noise_alpha,
  // The first checkpoints were made without dropouts of the base.
  base_dropout: (o, { model }) => (o.base_dropout ? dropoutsShown(model) : undefined),
  exclude_modules: inOther,
  layers_to_transform: inOther,
  layers_pattern: inOther,
  rank_pattern: (_, { spec }) => singles(spec.ranks),
  alpha_pattern: (_, { spec }) => singles(spec.alphas),
  init_adapter: inOther,
  train_file: (_, { texts }) => texts.hashes.training,
  validation_file: (_, { texts }) => texts.hashes.validation,
  text_column: inOther,
  data_format: (_, { texts }) => ofChats(texts, ({ form }) => form),
  chat_template: (_, { texts }) => ofChats(texts, ({ templates }) => templates && templatesHash(templates)),
  template_date: (_, { texts }) => ofChats(texts, ({ templates }) => templates?.date ?? null),
  loss_on: (_, { texts }) => ofChats(texts, ({ loss }) => loss),
  task: (o) => (o.task === "causal-lm" ? undefined : o.task),
  text_pair_column: inOther,
  label_column: (_, { texts }) => texts.labels,
  problem_type: (_, { model }) => model.config.classifier?.problem,
  truncation_side: (o) => o.truncation_side,
  json_field: inOther,
  csv_separator: inOther,
  csv_quoting: inOther,
  // The first checkpoints were made without an end, and name none.
  add_eos: (o) => (o.add_eos ? true : null),
  optim: (o) => (o.optim === "adamw" ? null : o.optim),
  loss_scale: ofFp16("loss_scale"),
  loss_scale_window: ofFp16("loss_scale_window"),
  warmup_ratio: (o) => (o.warmup_steps === undefined ? o.warmup_ratio : null),
};

/** The value itself, in a form that a file of JSON holds. */
function plain(value: unknown): Identity[string] {
  return Array.isArray(value) ? value.join() : ((value ?? null) as Identity[string]);
}

/** The settings that a run must agree in, by option: derived from the rows that decide bits. */
export function identityOf(o: RunOptions, parts: RunParts): Identity {
  const given: Partial<Record<Name, unknown>> = o;
  const found: Identity = {};
  for (const name of DECIDE_BITS) {
    const setting = SETTINGS[name] ? SETTINGS[name](o, parts) : plain(given[name]);
    if (setting !== undefined) found[name] = setting;
  }
  return found;
}

/** The last parts of module names: the whole names are too many to be read. */
function shown(name: string, value: Identity[string] | undefined): string {
  if (value === null || value === undefined) return "not given";
  if (name !== "target_modules") return String(value);
  const modules = String(value).split(",");
  const kinds = [...new Set(modules.map((module) => module.slice(module.lastIndexOf(".") + 1)))];
  return `${kinds.join(",")} (${modules.length} modules)`;
}

/** The value in a run whose checkpoint does not hold the setting: the default of an option that came later. */
function before(name: string): Identity[string] {
  const isPlain = name in runRows && !(name in SETTINGS);
  return isPlain ? plain(runRows[name as Name].defaultValue) : null;
}

/** The other side of a comparison, in words. */
const CHECKPOINT = { where: "in the checkpoint", whose: "the checkpoint's" };

/** A line for each setting in which a run and a checkpoint, or another rank's run, differ, with both values. */
export function differences(run: Identity, checkpoint: Identity, { where, whose } = CHECKPOINT): string[] {
  const names = [...new Set([...Object.keys(run), ...Object.keys(checkpoint)])];
  return (
    names
      // Checkpoints of earlier versions hold some of them.
      .filter((name) => !DECIDE_NOTHING.has(name))
      .filter((name) => (run[name] ?? null) !== (checkpoint[name] ?? before(name)))
      .map((name) => {
        const [here, there] = [run[name], checkpoint[name]];
        if (!(name in HASHED)) return `--${name} is ${shown(name, here)}, ${where} ${shown(name, there)}`;
        const short = (hash: typeof here) => String(hash).slice(0, 12);
        return `--${name}: ${HASHED[name]} from ${whose} (sha256 ${short(here)}, ${where} ${short(there)})`;
      })
  );
}
