import { count } from "../../base/text.js";
import { trainRows } from "../../config/index.js";
import { PLAIN } from "../../model/index.js";
import {
  type AdapterSpec,
  adapterTensors,
  CPU,
  type EngineOptions,
  type MemoryItem,
  type MemoryPlan,
  type ModelSource,
  type Optimizer,
  planMemory,
} from "../../native/index.js";
import { SAMPLE } from "../../trainer/index.js";
import { quantizedSource } from "../base.js";
import { type MemoryLimit, memoryLimits } from "./limits.js";
import { processItems } from "./process.js";
import { type MemorySettings, proposals } from "./proposals.js";
import { fitsAll, planOf, refusal } from "./room.js";

/**
 * Bytes that saving needs: copies of adapter and moments in C++ and JavaScript, and the memory that malloc retains. Fitted to the table in
 * docs/memory.md. @param adapters bytes of the adapter
 */
function savingBytes(adapters: number, optimizer: Optimizer): number {
  // The copies decide for a large adapter; 8-bit moments make them a little more than half as large as f32 moments do. The allocator's share
  // decides for a small one.
  const copies = 5 * (optimizer === "adamw" ? adapters : 0.55 * adapters);
  return Math.min(7 * adapters, copies + 10 * 2 ** 20);
}

/**
 * Memory of the report's threads after the last step: a JavaScript heap and the drawn pixels. Measured with examples/tiny-base over the table of
 * docs/memory.md.
 */
const REPORT_BYTES = 72 * 2 ** 20;

/** What drawing the report needs beyond the memory that the engine has given back by then. */
function reportBytes(items: readonly MemoryItem[]): number {
  const idle = items.reduce((sum, item) => sum + (item.idle ? item.bytes : 0), 0);
  // Given back in whole large pages.
  return Math.max(0, REPORT_BYTES - Math.max(0, idle - 4 * 2 ** 20));
}

export interface Plan {
  adapter: AdapterSpec;
  engine: EngineOptions;
  memory: MemoryPlan;
}

/** Options of a base that is quantised without more words. */
const AS_PROPOSED = { quant_type: undefined, double_quant: true, quantize_skip: undefined };

/** Whether a base may be quantised while it is loaded. */
function isPlain({ tensors }: ModelSource): boolean {
  return tensors.every(({ dtype, quantize }) => quantize === undefined && PLAIN.includes(dtype));
}

/** What a run does beside training. */
export interface Besides {
  /** The longest sample, with its prompt; 0 where there is none. */
  sampleTokens: number;
  /** Whether nothing else is generated. */
  samplesOnly: boolean;
  /** Whether a report is drawn at the end. */
  report: boolean;
}

const { num_samples, sample_max_new_tokens, output_dir } = trainRows;
/** Of a run that asks for nothing else. */
const USUAL: BesidesOptions = {
  num_samples: num_samples.defaultValue!,
  sample_max_new_tokens: sample_max_new_tokens.defaultValue!,
  output_dir: output_dir.defaultValue!,
};

interface BesidesOptions {
  num_samples: number;
  sample_max_new_tokens: number;
  output_dir: string | undefined;
}

export function besidesOf(o: BesidesOptions, samplesOnly: boolean): Besides {
  const sampleTokens = o.num_samples === 0 ? 0 : SAMPLE.promptTokens + o.sample_max_new_tokens;
  return { sampleTokens, samplesOnly, report: o.output_dir !== undefined };
}

type Machine = Pick<EngineOptions, "threads" | "device" | "offloadEmbedding" | "offloadCheckpoints">;

export class Planner {
  readonly #model: ModelSource;
  readonly #adapter: AdapterSpec;
  readonly #machine: Machine;
  readonly #process: MemoryItem[];
  readonly #quantized = new Map<string, ModelSource>();
  readonly #besides: Besides;
  readonly #beside: readonly AdapterSpec[];

  /**
   * @param adapter whose rank the settings decide
   * @param tokenizer folder or file of the tokenizer that is still to be loaded; null where it has been
   * @param beside further adapters on the same base, trained in turn with it
   */
  constructor(
    model: ModelSource,
    adapter: AdapterSpec,
    machine: Machine,
    tokenizer: string | null,
    besides = besidesOf(USUAL, false),
    beside: readonly AdapterSpec[] = [],
  ) {
    this.#beside = beside;
    this.#besides = besides;
    this.#process = processItems("training", model, tokenizer);
    this.#model = model;
    this.#adapter = adapter;
    this.#machine = machine;
  }

  /**
   * @param limits that the plan may fill. A device's memory is nobody else's: gradient checkpointing computes as few blocks again as make the
   * plan fit. On the processor the weights are copied if the plan keeps within the limits with them.
   */
  plan(settings: MemorySettings, limits?: MemoryLimit[]): Plan {
    if (limits === undefined) return this.#plan(settings);
    const { device = CPU } = this.#machine;
    if (device !== CPU) return settings.checkpointing ? this.#filling(settings, limits) : this.#plan(settings);
    const copying = this.#plan(settings, { copyWeights: true });
    return fitsAll(copying.memory, limits) ? copying : this.#plan(settings);
  }

  #filling(settings: MemorySettings, limits: MemoryLimit[]): Plan {
    const fits = (checkpointedBlocks: number) => fitsAll(this.#plan(settings, { checkpointedBlocks }).memory, limits);
    if (fits(0)) return this.#plan(settings, { checkpointedBlocks: 0 });
    // The highest of them has buffers that it shares with the others: one alone saves nothing, each further one does.
    const { layers } = this.#model.config;
    let [least, most] = [Math.min(2, layers), layers];
    while (least < most) {
      const blocks = Math.floor((least + most) / 2);
      if (fits(blocks)) most = blocks;
      else least = blocks + 1;
    }
    return this.#plan(settings, { checkpointedBlocks: least });
  }

  /** The base as settings want it. */
  #source(base: MemorySettings["base"]): ModelSource {
    if (base === undefined) return this.#model;
    const options = { ...AS_PROPOSED, use_4bit: base === "use_4bit", use_8bit: base === "use_8bit" };
    const source = this.#quantized.get(base) ?? quantizedSource(this.#model, options, () => {});
    this.#quantized.set(base, source);
    return source;
  }

  #plan(settings: MemorySettings, changes: Partial<EngineOptions> = {}): Plan {
    const { precision, batchSize, sequence, rank, checkpointing, optimizer } = settings;
    const model = this.#source(settings.base);
    // Samples are written with the same engine after training.
    const sample = Math.min(this.#besides.sampleTokens, this.#model.config.maxPositions);
    const maxSequence = Math.max(sequence, sample);
    const engine: EngineOptions = {
      precision,
      ...this.#machine,
      maxTokens: batchSize * sequence,
      maxSequence,
      cacheTokens: this.#besides.samplesOnly ? sample : maxSequence,
      training: true,
      optimizer,
      checkpointedBlocks: checkpointing ? this.#model.config.layers : 0,
      copyWeights: false,
      ...changes,
    };
    const adapter = { ...this.#adapter, rank };
    const adapters = [adapter, ...this.#beside];
    const { items } = planMemory(model, adapters, engine);
    // One of them is saved at a time.
    const largest = Math.max(...adapters.map((each) => parameterCounts(model, each).adapter));
    const saving = savingBytes(4 * largest, optimizer);
    const after = [
      { name: "saving", bytes: saving, place: "host" },
      { name: "report", bytes: this.#besides.report ? reportBytes(items) : 0, place: "host" },
    ] as const;
    const memory = planOf([...items, ...after, ...this.#process]);
    return { adapter, engine, memory };
  }

  /**
   * @param fixedRank whether another rank is no way out
   * @throws LowrankError E_MEMORY with the plan and the settings that would fit
   */
  check(plan: Plan, settings: MemorySettings, fixedRank: boolean, limits: MemoryLimit[] = memoryLimits()): void {
    if (fitsAll(plan.memory, limits)) return;
    const several = this.#beside.length + 1;
    const fixed = { rank: fixedRank || several > 1, base: !isPlain(this.#model) };
    const ways = proposals(settings, fixed, (s) => fitsAll(this.plan(s).memory, limits));
    const advice =
      ways.length > 0
        ? `What would fit:\n${ways.map((line) => `  ${line}`).join("\n")}`
        : "No smaller setting would fit: use a smaller model.";
    if (several === 1) throw refusal("Training with these settings", plan.memory, limits, advice);
    const fewer = `${advice}\nEach adapter needs its own parameters, gradients and moments: a sweep of fewer, or smaller ones needs less.`;
    throw refusal(`Training ${several} adapters side by side`, plan.memory, limits, fewer);
  }
}

export interface ParameterCounts {
  /** All that the adapter holds. */
  adapter: number;
  trainable: number;
  all: number;
}

export function parameterCounts(model: ModelSource, adapter: AdapterSpec | null): ParameterCounts {
  const elements = (shape: number[]) => shape.reduce((product, n) => product * n, 1);
  const stored = model.tensors.reduce((sum, { shape }) => sum + elements(shape), 0);
  let held = 0;
  let frozen = 0;
  let halves = 0;
  for (const { shape, role } of adapter ? adapterTensors(model, adapter).values() : []) {
    held += elements(shape);
    const isA = role === "lora_a";
    const half = adapter?.freezesHalf && (isA || role === "lora_b") ? elements(shape) / 2 : 0;
    halves += half;
    if (adapter?.freezeA && isA) frozen += elements(shape) - half;
  }
  // PEFT counts no frozen halves: they are a part of its base.
  return { adapter: held, trainable: held - halves - frozen, all: stored + missingHead(model) + held - halves };
}

/** Parameters of a classifier's layers that the files do not have; the base has them in PEFT's count. */
function missingHead({ spec, tensors }: ModelSource): number {
  const stored = new Set(tensors.map(({ name }) => name));
  const missing = (spec.classifier?.layers ?? []).filter(({ linear }) => !stored.has(`${linear.module}.weight`));
  return missing.reduce((sum, { linear }) => sum + linear.out * (linear.in + Number(linear.bias ?? false)), 0);
}

/** The line of peft's `print_trainable_parameters`. */
export function trainableLine({ trainable, all }: ParameterCounts): string {
  const share = ((100 * trainable) / all).toFixed(4);
  return `trainable params: ${count(trainable)} || all params: ${count(all)} || trainable%: ${share}`;
}
