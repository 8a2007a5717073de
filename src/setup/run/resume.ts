import { existsSync, realpathSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { LowrankError } from "../../base/errors.js";
import {
  checkpointFolder,
  checkpointProblem,
  holdsFinishedRun,
  type Identity,
  listCheckpoints,
  type RunState,
  readAdapter,
  readDevicePlans,
  readOptimizerState,
  readRunState,
  recoverCheckpoints,
} from "../../checkpoint/index.js";
import type { AdapterEngine, ModelSource } from "../../native/index.js";
import type { Resumed } from "../../trainer/index.js";
import { differences } from "./identity.js";

/** `--resume` without a folder. */
const LATEST = "latest";
/** Like that, or from the beginning where there is no checkpoint yet. */
export const AUTO = "auto";

/** A whole checkpoint that a run goes on from. */
export interface Resumption extends Resumed {
  state: RunState;
  /** Whether it lies in the run's own output folder. */
  inPlace: boolean;
  /** Whether it is the result of a run that kept no checkpoint: there is nothing to go on with. */
  isResult: boolean;
}

function real(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path);
}

/** Whether `--resume` means a checkpoint in this output folder, so that the run goes on there. */
export function liesIn(wanted: string, outputDir: string): boolean {
  return wanted === LATEST || wanted === AUTO || real(dirname(resolve(wanted))) === real(outputDir);
}

type Warn = (message: string) => void;

/** The newest whole checkpoint of a folder; damaged ones are told of. */
async function newestWhole(folder: string, skip: string | null, warn: Warn): Promise<string | null> {
  for (const checkpoint of (await listCheckpoints(folder)).reverse()) {
    if (skip !== null && resolve(checkpoint) === resolve(skip)) continue;
    const problem = await checkpointProblem(checkpoint);
    if (problem === null) return checkpoint;
    warn(`${checkpoint} is damaged and passed over: ${problem}`);
  }
  return null;
}

/** Where a run without checkpoints is finished, its output folder. */
const finishedRun = (outputDir: string) => (holdsFinishedRun(outputDir) ? outputDir : null);

async function chosen(wanted: string, outputDir: string, warn: Warn): Promise<string | null> {
  if (wanted === LATEST || wanted === AUTO) {
    const damaged: string[] = [];
    const found = await newestWhole(outputDir, null, (message) => {
      damaged.push(message);
      warn(message);
    });
    if (found !== null) return found;
    const finished = damaged.length === 0 ? finishedRun(outputDir) : null;
    if (finished !== null || (wanted === AUTO && damaged.length === 0)) return finished;
    const why = damaged.length === 0 ? "there is no checkpoint in it" : "no checkpoint in it is whole";
    const message = `--resume: ${outputDir} cannot be resumed, ${why}. Start again without --resume.`;
    throw new LowrankError("E_CHECKPOINT", message, outputDir);
  }
  if (!existsSync(wanted)) {
    const newest = await newestWhole(dirname(resolve(wanted)), wanted, () => {});
    throw new LowrankError("E_FILE_MISSING", `--resume ${wanted}: there is no such folder.${offer(newest)}`, wanted);
  }
  const problem = await checkpointProblem(wanted);
  if (problem === null) return wanted;
  const inside = await newestWhole(wanted, null, () => {});
  const other = inside ?? (await newestWhole(dirname(resolve(wanted)), wanted, () => {}));
  const what = inside === null ? "is damaged or no checkpoint" : "is no checkpoint";
  throw new LowrankError("E_CHECKPOINT", `--resume ${wanted} ${what}: ${problem}.${offer(other)}`, wanted);
}

function offer(checkpoint: string | null): string {
  if (checkpoint === null) return " There is no whole checkpoint beside it.";
  const short = relative(process.cwd(), checkpoint);
  return ` The newest whole one is --resume ${short.startsWith("..") ? checkpoint : short}.`;
}

/**
 * Finds the checkpoint that `--resume` means and reads its small files.
 * @param looksOnly whether nothing may be changed, not even put back
 * @returns null where `auto` finds none
 * @throws LowrankError E_CHECKPOINT, E_FILE_MISSING
 */
export async function findCheckpoint(
  wanted: string,
  outputDir: string,
  warn: Warn,
  looksOnly = false,
): Promise<Resumption | null> {
  const inPlace = liesIn(wanted, outputDir);
  if (inPlace && !looksOnly) await recoverCheckpoints(outputDir);
  const folder = await chosen(wanted, outputDir, warn);
  if (folder === null) return null;
  const { state, history } = readRunState(folder);
  const within = inPlace ? outputDir : dirname(resolve(folder));
  const isResult = folder === outputDir;
  const best = isResult ? null : await findBest(state, within, folder, warn);
  return { folder, state, history, inPlace, isResult, best };
}

async function findBest(state: RunState, within: string, own: string, warn: Warn): Promise<Resumed["best"]> {
  const metrics = state.best_eval;
  if (metrics === null) return null;
  if (metrics.step === state.step) return { metrics, folder: own };
  const folder = checkpointFolder(within, metrics.step);
  const problem = await checkpointProblem(folder);
  if (problem === null) return { metrics, folder };
  // Beside a later checkpoint that is better yet it was removed, and that one will be made again.
  warn(`the best checkpoint so far, ${folder}, is gone (${problem}): the best of the steps to come is kept`);
  return null;
}

/** @throws LowrankError E_RESUME naming every setting that is not the checkpoint's, with both values */
export function checkAgreement({ folder, state }: Resumption, settings: Identity, kernels: string, warn: Warn): void {
  const found = differences(settings, state.settings);
  if (found.length > 0) {
    const lines = found.map((line) => `\n  ${line}`).join("");
    const advice = `Give the options of the run that wrote it, or begin another run with --init_adapter ${folder}.`;
    throw new LowrankError(
      "E_RESUME",
      `--resume ${folder}: this would not be the same run:${lines}\n${advice}`,
      folder,
    );
  }
  if (kernels !== state.cpu) {
    warn(
      `the checkpoint was made with ${state.cpu} kernels, this is ${kernels}: the run goes on, but its last bits differ`,
    );
  }
}

/** @throws LowrankError E_CHECKPOINT where steps are asked for and there is no checkpoint to make them from */
export function checkFinished({ folder, state, isResult }: Resumption, total: number, patience = Infinity): void {
  const stoppedEarly = (state.early_stopping?.waited ?? 0) >= patience;
  if (!isResult || state.step >= total || stoppedEarly) return;
  const found = `${folder} holds a finished run of ${state.step} steps and no checkpoint, from which it could go on to ${total}`;
  const advice = `Choose another --output_dir, with --init_adapter ${folder} to train its adapter further.`;
  throw new LowrankError("E_CHECKPOINT", `--resume: ${found}. ${advice}`, folder);
}

/** Puts the adapter and the optimizer's state of the checkpoint into the engine, and how its products were computed. */
export async function restore(
  { folder, isResult }: Resumption,
  engine: AdapterEngine,
  model: ModelSource,
  warn: Warn,
): Promise<void> {
  await engine.setAdapter(readAdapter(folder, model).tensors);
  if (isResult) return;
  await engine.setOptimizerState(readOptimizerState(folder));
  const plans = readDevicePlans(folder);
  const why = plans === null ? null : await engine.takeDevicePlans(plans);
  if (why !== null) {
    warn(`the checkpoint's algorithms of products cannot be taken, ${why}: the run goes on, but its last bits differ`);
  }
}
