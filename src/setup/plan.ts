import { statSync } from "node:fs";
import { join } from "node:path";
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
import { proposals, type Settings } from "./fitting.js";
import { bytes, count, table } from "./text.js";

/**
 * The plan's item that is mapped from files. It is page cache: given back to the system when something else needs the
 * memory, and read again from disk when the next step needs the weights. So the rest of the plan must fit, and weights
 * that do not fit beside it are slow, not impossible.
 */
const MAPPED = "weights (mapped)";

/** What the process holds already: it is no longer free, and needs not be. */
const PROCESS = "process so far";

/**
 * What the program comes to hold besides: compiled code, the JavaScript heap, the mapped texts' resident part. Measured over
 * the table of docs/memory.md.
 */
const GROWTH_BYTES = 50 * 2 ** 20;

/** What a tokenizer takes, in sizes of its tokenizer.json; measured for vocabularies of 2,000 to 49,000 tokens. */
const TOKENIZER_SIZES = 24;

/**
 * Copies of the adapter that saving makes: of adapter and both moments, out of the engine and as bytes of a file; the
 * engine's own are items of their own. Measured over the same table.
 */
const SAVING_COPIES = 6;

export interface Plan {
  adapter: AdapterSpec;
  engine: EngineOptions;
  memory: MemoryPlan;
}

export class Planner {
  readonly #model: ModelSource;
  readonly #adapter: AdapterSpec;
  readonly #threads: number;
  readonly #tokenizerBytes: number;
  readonly #processBytes = process.memoryUsage.rss();

  /**
   * @param adapter whose rank the settings decide
   * @param tokenizer folder or file of the tokenizer that is still to be loaded; null where it has been
   */
  constructor(model: ModelSource, adapter: AdapterSpec, threads: number, tokenizer: string | null) {
    this.#tokenizerBytes = tokenizer === null ? 0 : TOKENIZER_SIZES * sizeOf(tokenizer);
    this.#model = model;
    this.#adapter = adapter;
    this.#threads = threads;
  }

  plan({ precision, batchSize, sequence, rank, checkpointing }: Settings): Plan {
    // Samples are written with the same engine after training.
    const sample = Math.min(SAMPLE.promptTokens + SAMPLE.newTokens, this.#model.config.maxPositions);
    const engine: EngineOptions = {
      precision,
      threads: this.#threads,
      maxTokens: batchSize * sequence,
      maxSequence: Math.max(sequence, sample),
      training: true,
      checkpointedBlocks: checkpointing ? this.#model.config.layers : 0,
    };
    const adapter = { ...this.#adapter, rank };
    const { items } = planMemory(this.#model, adapter, engine);
    const saving = SAVING_COPIES * (items.find(({ name }) => name === "adapters")?.bytes ?? 0);
    const all = [
      ...items,
      { name: "saving", bytes: saving },
      { name: "tokenizer", bytes: this.#tokenizerBytes },
      { name: "program", bytes: GROWTH_BYTES },
      { name: PROCESS, bytes: this.#processBytes },
    ];
    return { adapter, engine, memory: { items: all, totalBytes: all.reduce((sum, item) => sum + item.bytes, 0) } };
  }

  /**
   * @param fixedRank whether another rank is no way out
   * @throws LowrankError E_MEMORY with the plan and what would fit
   */
  check(plan: Plan, settings: Settings, fixedRank: boolean, available: AvailableMemory = availableMemory()): void {
    const needed = unmapped(plan.memory);
    if (needed <= available.bytes) return;
    const ways = proposals(settings, fixedRank, (s) => unmapped(this.plan(s).memory) <= available.bytes);
    throw new LowrankError(
      "E_MEMORY",
      `Training with these settings needs ${bytes(needed)} besides the mapped weights, but ${bytes(available.bytes)} are ` +
        `free ${available.of}.\n${memoryTable(plan.memory)}\n` +
        (ways.length > 0
          ? `What would fit:\n${ways.map((line) => `  ${line}`).join("\n")}`
          : "No smaller setting would fit: use a smaller model."),
    );
  }
}

/** Of a tokenizer's file; what is wrong with it is told when it is opened. */
function sizeOf(path: string): number {
  const size = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? size(join(path, "tokenizer.json")) : size(path);
}

function unmapped({ items }: MemoryPlan): number {
  return items.reduce((sum, { name, bytes }) => sum + (name === MAPPED || name === PROCESS ? 0 : bytes), 0);
}

/** A warning where the weights do not fit into memory beside the rest of the plan. */
export function mappedWarning(memory: MemoryPlan, available = availableMemory()): string | undefined {
  const mapped = memory.items.find(({ name }) => name === MAPPED)?.bytes ?? 0;
  if (unmapped(memory) + mapped <= available.bytes) return undefined;
  return `The weights do not fit into memory beside the rest (${bytes(available.bytes)} are free ${available.of}): every step will read them from disk.`;
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
