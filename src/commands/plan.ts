import {
  type AdapterSpec,
  type EngineOptions,
  listLinears,
  type MemoryPlan,
  type ModelSource,
  planMemory,
} from "../engine.js";
import { LowrankError } from "../errors.js";
import { SAMPLE } from "../trainer/index.js";
import { type AvailableMemory, availableMemory } from "./available-memory.js";
import { bytes, count, table } from "./text.js";

export type Precision = EngineOptions["precision"];

/** Settings that decide how much memory a training run needs. */
export interface Settings {
  precision: Precision;
  batchSize: number;
  accumulation: number;
  sequence: number;
}

/**
 * The plan's item that is mapped from files. It is page cache: given back to the system when something else needs the
 * memory, and read again from disk when the next step needs the weights. So the rest of the plan must fit, and weights
 * that do not fit beside it are slow, not impossible.
 */
const MAPPED = "weights (mapped)";

export interface Plan {
  adapter: AdapterSpec;
  engine: EngineOptions;
  memory: MemoryPlan;
}

export class Planner {
  readonly #model: ModelSource;
  readonly #adapter: AdapterSpec;
  readonly #threads: number;

  constructor(model: ModelSource, adapter: AdapterSpec, threads: number) {
    this.#model = model;
    this.#adapter = adapter;
    this.#threads = threads;
  }

  plan({ precision, batchSize, sequence }: Settings): Plan {
    // Samples are written with the same engine after training.
    const sample = Math.min(SAMPLE.promptTokens + SAMPLE.newTokens, this.#model.config.maxPositions);
    const engine: EngineOptions = {
      precision,
      threads: this.#threads,
      maxTokens: batchSize * sequence,
      maxSequence: Math.max(sequence, sample),
      training: true,
    };
    return { adapter: this.#adapter, engine, memory: planMemory(this.#model, this.#adapter, engine) };
  }

  /** @throws LowrankError E_MEMORY with the plan and what would fit */
  check(plan: Plan, settings: Settings, available: AvailableMemory = availableMemory()): void {
    const needed = unmapped(plan.memory);
    if (needed <= available.bytes) return;
    const fits = (changed: Partial<Settings>) =>
      unmapped(this.plan({ ...settings, ...changed }).memory) <= available.bytes;
    const proposals = nearest(settings, fits);
    throw new LowrankError(
      "E_MEMORY",
      `Training with these settings needs ${bytes(needed)} besides the mapped weights, but ${bytes(available.bytes)} are ` +
        `free ${available.of}.\n${memoryTable(plan.memory)}\n` +
        (proposals.length > 0
          ? `What would fit:\n${proposals.map((line) => `  ${line}`).join("\n")}`
          : "No shorter sequence or smaller batch would fit: use a smaller model or --lora_r."),
    );
  }
}

function unmapped({ items }: MemoryPlan): number {
  return items.reduce((sum, { name, bytes }) => sum + (name === MAPPED ? 0 : bytes), 0);
}

/** A warning where the weights do not fit into memory beside the rest of the plan. */
export function mappedWarning({ totalBytes }: MemoryPlan, available = availableMemory()): string | undefined {
  if (totalBytes <= available.bytes) return undefined;
  return `The weights do not fit into memory beside the rest (${bytes(available.bytes)} are free ${available.of}): every step will read them from disk.`;
}

const SHORTEST = 32;

function halves(from: number, least: number): number[] {
  const list: number[] = [];
  for (let n = Math.floor(from / 2); n >= least; n = Math.floor(n / 2)) list.push(n);
  return list;
}

/** The smallest changes that fit, as flags: one setting alone where that is enough, else all together. */
function nearest(settings: Settings, fits: (changed: Partial<Settings>) => boolean): string[] {
  const { batchSize, accumulation, sequence, precision } = settings;
  const proposals: string[] = [];
  const batch = halves(batchSize, 1).find((n) => fits({ batchSize: n }));
  if (batch !== undefined) {
    const more = accumulation * Math.ceil(batchSize / batch);
    proposals.push(`--per_device_train_batch_size ${batch} --gradient_accumulation_steps ${more}`);
  }
  const shorter = halves(sequence, SHORTEST).find((n) => fits({ sequence: n }));
  if (shorter !== undefined) proposals.push(`--max_seq_length ${shorter}`);
  if (precision === "fp32") {
    if (fits({ precision: "bf16" })) proposals.push("--precision bf16");
    else if (shorter === undefined) {
      const both = halves(sequence, SHORTEST).find((n) => fits({ precision: "bf16", sequence: n, batchSize: 1 }));
      if (both !== undefined) {
        const more = accumulation * batchSize;
        proposals.push(
          `--precision bf16 --max_seq_length ${both} --per_device_train_batch_size 1 --gradient_accumulation_steps ${more}`,
        );
      }
    }
  }
  return proposals;
}

export function memoryTable({ items, totalBytes }: MemoryPlan): string {
  const rows = items.map(({ name, bytes: n }): [string, string] => [name, bytes(n)]);
  return `Memory plan:\n${table([...rows, ["total", bytes(totalBytes)]])}`;
}

export interface ParameterCounts {
  trainable: number;
  all: number;
}

export function parameterCounts(model: ModelSource, adapter: AdapterSpec | null): ParameterCounts {
  const base = model.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const targets = new Set(adapter?.targets);
  const sizes = listLinears(model).filter(({ name }) => targets.has(name));
  const trainable = sizes.reduce((sum, l) => sum + (adapter?.rank ?? 0) * (l.inFeatures + l.outFeatures), 0);
  return { trainable, all: base + trainable };
}

/** The line of peft's `print_trainable_parameters`. */
export function trainableLine({ trainable, all }: ParameterCounts): string {
  const share = ((100 * trainable) / all).toFixed(4);
  return `trainable params: ${count(trainable)} || all params: ${count(all)} || trainable%: ${share}`;
}
