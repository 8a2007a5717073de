// What two runs must agree in for one to go on from the other's checkpoint, bit for bit.
import { createHash } from "node:crypto";
import { closeSync, readSync } from "node:fs";
import { openRegular, readError } from "../../base/system-errors.js";
import type { RunSettings } from "../../checkpoint/index.js";
import { HEAD, OUTLIER_THRESHOLD } from "../../model/index.js";
import type { AdapterSpec, ModelSource, Precision } from "../../native/index.js";
import type { TrainingTexts } from "../texts.js";
import type { RunOptions } from "./options.js";

/** Enough of a tensor to know a model that was trained further from the one before. */
const SAMPLE_BYTES = 4096;

/** Options of which the content counts, not the name: their settings are hashes. */
const HASHED: Record<string, string> = {
  base_model: "the base model is not that",
  tokenizer_name: "the tokenizer is not that",
  train_file: "the training texts are not those",
  validation_file: "the validation texts are not those",
};

/** Of configuration, layout and the first bytes of every tensor: a large model is not read whole for this. */
function modelHash({ config, tensors }: ModelSource): string {
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

/** As what the linears were quantised while they were loaded, and how they are computed; nothing where there is nothing to say. */
function quantization({ tensors }: ModelSource): RunSettings {
  const threshold = tensors.find(({ outlierThreshold }) => outlierThreshold)?.outlierThreshold;
  const rounds = threshold === OUTLIER_THRESHOLD ? "llm_int8" : `llm_int8 with a threshold of ${threshold}`;
  const eight: RunSettings = threshold === undefined ? {} : { quant_type: rounds };
  const quantized = tensors.filter(({ quantize }) => quantize !== undefined);
  const [first] = quantized;
  if (!first) return eight;
  const { format, doubleQuant } = first.quantize!;
  // Of all linears, so that those that were left out count.
  const names = quantized
    .map(({ name }) => name)
    .filter((name) => name !== HEAD)
    .sort()
    .join();
  const modules = createHash("sha256").update(names).digest("hex").slice(0, 12);
  return {
    [format === "i8" ? "use_8bit" : "use_4bit"]: true,
    double_quant: doubleQuant,
    quantize_skip: modules,
    ...(format === "fp4" ? { quant_type: format } : eight),
    ...(quantized.some(({ name }) => name === HEAD) ? { quantize_head: true } : {}),
  };
}

export interface RunParts {
  model: ModelSource;
  spec: AdapterSpec;
  precision: Precision;
  texts: TrainingTexts;
}

/**
 * Options of `lowrank train` that change no bit of the training: another value is no other run. The number of steps decides
 * the schedule alone, and the trainer says so. Every other option is a setting, or decides one.
 */
export const CHANGES_NO_BIT: ReadonlySet<string> = new Set([
  ...["num_train_epochs", "max_steps"],
  ...["logging_steps", "eval_strategy", "eval_steps", "per_device_eval_batch_size", "metric_for_best_model"],
  ...["save_strategy", "save_steps", "save_total_limit", "load_best_model_at_end"],
  ...["early_stopping_patience", "early_stopping_threshold"],
  ...["output_dir", "overwrite_output_dir", "resume", "merge", "num_samples", "sample_max_new_tokens"],
  ...["cache_dir", "cache_limit_gb", "share_weights", "gradient_checkpointing"],
  ...["memory_limit", "threads", "config", "profile", "dry_run", "json"],
]);

/** By option. What another option overrides is left out, and so is what changes no bit: threads, folders, limits. */
export function runSettings(o: RunOptions, { model, spec, precision, texts }: RunParts): RunSettings {
  return {
    base_model: modelHash(model),
    ...quantization(model),
    tokenizer_name: texts.tokenizer.sha256,
    train_file: texts.hashes.training,
    validation_file: texts.hashes.validation,
    text_by: o.text_by ?? null,
    precision,
    loss_scale: precision === "fp16" ? o.loss_scale : null,
    loss_scale_window: precision === "fp16" ? o.loss_scale_window : null,
    lora_r: spec.rank,
    lora_alpha: spec.alpha,
    lora_dropout: spec.dropout,
    use_rslora: spec.useRslora,
    target_modules: [...spec.targets].sort().join(),
    max_seq_length: o.max_seq_length,
    long_text: o.long_text,
    add_eos: o.add_eos ? true : null,
    packing: o.packing,
    group_by_length: o.group_by_length,
    pad_to_max_length: o.pad_to_max_length,
    shuffle: o.shuffle,
    per_device_train_batch_size: o.per_device_train_batch_size,
    gradient_accumulation_steps: o.gradient_accumulation_steps,
    optim: o.optim === "adamw" ? null : o.optim,
    learning_rate: o.learning_rate,
    lr_scheduler: o.lr_scheduler,
    warmup_ratio: o.warmup_steps === undefined ? o.warmup_ratio : null,
    warmup_steps: o.warmup_steps ?? null,
    weight_decay: o.weight_decay,
    max_grad_norm: o.max_grad_norm,
    seed: o.seed,
  };
}

/** Module names without what they share, as they are too many to be read. */
function shown(name: string, value: RunSettings[string] | undefined): string {
  if (value === null || value === undefined) return "not given";
  if (name !== "target_modules") return String(value);
  const modules = String(value).split(",");
  const kinds = [...new Set(modules.map((module) => module.slice(module.lastIndexOf(".") + 1)))];
  return `${kinds.join(",")} (${modules.length} modules)`;
}

/** A line for each setting in which a run and a checkpoint differ, with both values. */
export function differences(run: RunSettings, checkpoint: RunSettings): string[] {
  const names = [...new Set([...Object.keys(run), ...Object.keys(checkpoint)])];
  return (
    names
      // Checkpoints of earlier versions hold more of them.
      .filter((name) => !CHANGES_NO_BIT.has(name))
      .filter((name) => (run[name] ?? null) !== (checkpoint[name] ?? null))
      .map((name) => {
        const [here, there] = [run[name], checkpoint[name]];
        if (!(name in HASHED)) return `--${name} is ${shown(name, here)}, in the checkpoint ${shown(name, there)}`;
        const short = (hash: typeof here) => String(hash).slice(0, 12);
        return `--${name}: ${HASHED[name]} of the checkpoint (sha256 ${short(here)}, in the checkpoint ${short(there)})`;
      })
  );
}
