// What the ranks of a run must agree in, and what rank 0 tells the others.
import { hostname } from "node:os";
import { LowrankError } from "../../base/errors.js";
import { packageVersion } from "../../base/version.js";
import type { Identity, RunState } from "../../checkpoint/index.js";
import { type Engine, kernelsOf, type Ranks, ranksOf } from "../../native/index.js";
import { differences } from "./identity.js";
import type { RunOptions } from "./options.js";
import { beginWith } from "./prepare.js";
import type { Prepared } from "./train.js";

/** Of one rank. */
interface Told {
  host: string;
  version: string;
  /** Kernels of other instruction sets round otherwise: the ranks' adapters would drift apart. */
  kernels: string;
  settings: Identity;
  /** Options that decide when ranks wait for each other. */
  cadence: Record<string, unknown>;
  /** Whether it was asked to stop. */
  isStopping: boolean;
}

const CADENCE = [
  "max_steps",
  "num_train_epochs",
  "logging_steps",
  "eval_strategy",
  "eval_steps",
  "save_strategy",
  "save_steps",
  "per_device_eval_batch_size",
  "load_best_model_at_end",
  "metric_for_best_model",
  "early_stopping_patience",
  "early_stopping_threshold",
] as const satisfies readonly (keyof RunOptions)[];

/** Of an engine that trains with others. */
export const asRank = (o: { ddp_timeout?: number }) => ({
  group: "mpi" as const,
  rereadWeights: true,
  ...(o.ddp_timeout === undefined ? {} : { groupTimeout: o.ddp_timeout }),
});

/** `gradient_accumulation_steps` is each rank's number, as in transformers. @returns the options with the number of all ranks */
export function withAllMicroBatches<O extends Pick<RunOptions, "gradient_accumulation_steps">>(o: O, size: number): O {
  return { ...o, gradient_accumulation_steps: o.gradient_accumulation_steps * size };
}

/** @throws LowrankError E_RANKS naming the first rank that differs from rank 0, and in what */
function checkAgreement(all: readonly Told[]): void {
  const [first] = all;
  for (const [rank, told] of all.entries()) {
    const problem = differenceOf(told, first!);
    if (problem === null) continue;
    const message = `Rank ${rank} on ${told.host} differs from rank 0 on ${first!.host}: ${problem}`;
    throw new LowrankError("E_RANKS", message, `rank ${rank}`);
  }
}

function differenceOf(told: Told, first: Told): string | null {
  if (told.version !== first.version)
    return `it runs lowrank ${told.version}, rank 0 ${first.version}. Install the same version on all machines.`;
  if (told.kernels !== first.kernels)
    return `it computes with ${told.kernels} kernels, rank 0 with ${first.kernels}. Set LOWRANK_CPU to a set that all machines have.`;
  const lines = differences(told.settings, first.settings, { where: "on rank 0", whose: "rank 0's" });
  for (const name of CADENCE) {
    const [here, there] = [told.cadence[name], first.cadence[name]];
    if (here !== there) lines.push(`--${name} is ${here ?? "not given"}, on rank 0 ${there ?? "not given"}`);
  }
  return lines.length === 0 ? null : `${lines.join("; ")}. Start all ranks with the same options, base and data.`;
}

/** The beginning of a run that rank 0 found, for all. */
interface Beginning {
  state: RunState | null;
  isResult: boolean;
}

/**
 * Puts the beginning of the run into the engines of all ranks: rank 0's. Before that, they compare what decides the run.
 * @param prepared of a rank beside the first one without a checkpoint: rank 0 alone reads it
 * @param signal asks for a stop
 * @returns the run as this rank makes it; null where one of the ranks was asked to stop before
 * @throws LowrankError E_RANKS, on every rank
 */
export async function beginTogether(
  engine: Engine,
  o: RunOptions,
  prepared: Prepared,
  signal: AbortSignal,
  warn: (message: string) => void,
): Promise<{ ranks: Ranks; prepared: Prepared } | null> {
  const ranks = await ranksOf(engine);
  const cadence = Object.fromEntries(CADENCE.map((name) => [name, o[name] ?? null]));
  const { settings, plan, resumption } = prepared;
  const told: Told = {
    host: hostname(),
    version: packageVersion(),
    kernels: kernelsOf(plan.engine.device),
    settings,
    cadence,
    isStopping: signal.aborted,
  };
  const all = (await engine.gatherTexts(JSON.stringify(told))).map((text) => JSON.parse(text) as Told);
  checkAgreement(all);
  if (all.some(({ isStopping }) => isStopping)) return null;
  const own: Beginning = { state: resumption?.state ?? null, isResult: resumption?.isResult ?? false };
  const [first] = await engine.gatherTexts(ranks.rank === 0 ? JSON.stringify(own) : "");
  const { state, isResult } = JSON.parse(first!) as Beginning;
  if (ranks.rank === 0) await beginWith(engine, prepared, warn);
  await engine.shareAdapter();
  const none = { folder: "", history: [], best: null, inPlace: false };
  const followed = state && { ...none, state, isResult };
  return { ranks, prepared: ranks.rank === 0 ? prepared : { ...prepared, resumption: followed } };
}
