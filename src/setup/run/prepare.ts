// The preparation before the first step, shared by the command and the library.
import {
  type AdapterEngine,
  type AdapterSpec,
  CPU,
  kernelsOf,
  type ModelSource,
  type Precision,
} from "../../native/index.js";
import { type InitialAdapter, initialAdapter } from "../adapter.js";
import { limitsOn, type MemoryLimit } from "../memory/limits.js";
import { besidesOf, type Plan, Planner } from "../memory/plan.js";
import type { MemorySettings } from "../memory/proposals.js";
import { mappedWarning } from "../memory/room.js";
import type { TrainingTexts } from "../texts.js";
import { diskNeed, diskWarning, roomFor } from "./disk-space.js";
import { identityOf } from "./identity.js";
import type { RunOptions } from "./options.js";
import { checkAgreement, checkFinished, type Resumption, restore } from "./resume.js";
import { stepsOf } from "./steps.js";
import { memorySettings, type Prepared } from "./train.js";

type Warn = (message: string) => void;

/** The base that a run is planned with. */
export interface PlannedBase {
  model: ModelSource;
  precision: Precision;
  threads: number;
  device: string;
  /** Folder or file of the tokenizer that is still to be loaded; null where it has been. */
  tokenizer: string | null;
  /** Whether the weights stay in the page cache. */
  sharesWeights: boolean;
  /** Whether the engine generates nothing but samples. */
  samplesOnly: boolean;
  /** Ranks of the run on this machine, which share its memory; 1 where none is named. */
  ranks?: number;
}

/** The needs of a run, known before any large file is read. */
export interface RunPlan {
  model: ModelSource;
  adapter: InitialAdapter;
  settings: MemorySettings;
  plan: Plan;
  /** What bounds it at the moment. */
  limits(): MemoryLimit[];
  /** @throws LowrankError E_MEMORY */
  checkMemory(): void;
}

/**
 * @param given options that the user named
 * @param beside adapters that are trained in turn with it on the same base
 */
export function planRun(
  o: RunOptions,
  given: ReadonlySet<string>,
  base: PlannedBase,
  beside: readonly AdapterSpec[] = [],
): RunPlan {
  const { model, precision, threads, device, tokenizer } = base;
  const limits = () => limitsOn(device, o.memory_limit, base.ranks);
  const adapter = initialAdapter(o, given, model);
  const planner = new Planner(
    model,
    adapter.spec,
    { threads, device, offloadEmbedding: o.offload_embedding, offloadCheckpoints: o.activation_offloading },
    tokenizer,
    besidesOf(o, base.samplesOnly),
    beside,
  );
  const settings = memorySettings(o, precision, adapter);
  const plan = planner.plan(settings, base.sharesWeights && device === CPU ? undefined : limits());
  const checkMemory = () =>
    planner.check(plan, settings, adapter.tensors !== null || adapter.spec.freezesHalf === true, limits());
  return { model, adapter, settings, plan, limits, checkMemory };
}

/** Warns of slow settings, and of settings beyond the base's limits. */
export function warnOf(o: RunOptions, { model, plan, limits }: RunPlan, warn: Warn): void {
  const mapped = mappedWarning(plan.memory, limits());
  if (mapped) warn(mapped);
  const { maxPositions } = model.config;
  if (o.max_seq_length > maxPositions) {
    warn(`max_seq_length ${o.max_seq_length} is more than the ${maxPositions} tokens that the base model was made for`);
  }
}

/** @throws LowrankError E_RESUME where the checkpoint is of another run, E_CHECKPOINT where steps are asked for and there is none to go on from */
export function prepareRun(
  o: RunOptions,
  { model, adapter, settings: { precision }, plan }: RunPlan,
  texts: TrainingTexts,
  resumption: Resumption | null,
  warn: Warn,
): Prepared {
  const settings = identityOf(o, { model, spec: adapter.spec, precision, texts });
  if (resumption) {
    checkAgreement(resumption, settings, kernelsOf(plan.engine.device), warn);
    checkFinished(resumption, stepsOf(o, texts.training.length).total, o.early_stopping_patience);
  }
  const prepared = { model, adapter, plan, texts, resumption, settings };
  const full = o.output_dir && diskWarning(o.output_dir, diskNeed(o, prepared), roomFor(o.output_dir));
  if (full) warn(full);
  return prepared;
}

/** Puts the beginning of the run into the engine: the checkpoint's state, or the initial adapter. */
export async function beginWith(
  engine: AdapterEngine,
  { model, adapter, resumption }: Prepared,
  warn: Warn,
): Promise<void> {
  if (resumption) await restore(resumption, engine, model, warn);
  else if (adapter.tensors) await engine.setAdapter(adapter.tensors);
}
