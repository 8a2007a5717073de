// lowrank_state.json: the state that a run needs to go on, besides adapter, optimizer and the history in
// trainer_state.json.
import { join } from "node:path";
import { z } from "zod";
import { LowrankError } from "../base/errors.js";
import { readJsonObject } from "../base/json.js";
import { LARGEST_LIST_BYTES } from "../base/system-errors.js";
import { sortedJson, writeTextFile } from "./files.js";
import { TRAINER_STATE } from "./state.js";

export const RUN_STATE = "lowrank_state.json";

const count = z.int().min(0);
/** JSON has no infinity and says null. */
const large = z.number().or(z.null().transform(() => Number.POSITIVE_INFINITY));
const metric = z.number().optional();
const evaluation = z.object({
  step: count,
  epoch: z.number(),
  eval_loss: z.number(),
  eval_perplexity: large.optional(),
  // Of a classifier:
  eval_accuracy: metric,
  eval_f1: metric,
  eval_precision: metric,
  eval_recall: metric,
  eval_f1_binary: metric,
  eval_precision_binary: metric,
  eval_recall_binary: metric,
  eval_confusion_matrix: z.array(z.array(count)).optional(),
  eval_mse: metric,
  eval_mae: metric,
});

const schema = z.object({
  version: z.literal(1),
  /** Optimizer steps made, and of the whole run. */
  step: count,
  total_steps: count,
  /** Number of the next micro-batch within the run: the cursor in the data and the dropout generator's. */
  next_micro_batch: count,
  epoch: z.number(),
  /** Since the last line of metrics. */
  interval: z.object({
    losses: z.number(),
    steps: count,
    tokens: count,
    flop: z.number().default(0),
    milliseconds: z.number(),
  }),
  /** Totals of the whole run so far. */
  totals: z
    .object({
      milliseconds: z.number(),
      losses: z.number(),
      steps: count,
      tokens: count,
      samples: count,
      flop: z.number(),
    })
    .default({ milliseconds: 0, losses: 0, steps: 0, tokens: 0, samples: 0, flop: 0 }),
  last_eval: evaluation.nullable(),
  best_eval: evaluation.nullable(),
  /** The best metric so far, and evaluations since; null where the run does not stop early. */
  early_stopping: z.object({ best: z.number().nullable(), waited: count }).nullable(),
  /** For fp16: the scale, steps since it changed, and steps skipped so far; else null. */
  loss_scale: z.object({ scale: z.number().positive(), good_steps: count, skipped: count }).nullable().default(null),
  /** Settings that must agree when a run goes on from here: option names with their values or hashes of the content. */
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  /** Instruction set of the kernels, which decides the last bits. */
  cpu: z.string(),
});

export type RunState = Omit<z.infer<typeof schema>, "version">;
export type Identity = RunState["settings"];

/** @throws LowrankError E_WRITE */
export async function writeRunState(folder: string, state: RunState): Promise<void> {
  await writeTextFile(join(folder, RUN_STATE), sortedJson({ version: 1, ...state }));
}

/** @returns the state, and the lines of metrics so far @throws LowrankError E_FILE_MISSING, E_CHECKPOINT */
export function readRunState(folder: string): { state: RunState; history: object[] } {
  const file = join(folder, RUN_STATE);
  const parsed = schema.safeParse(readJsonObject(file, "State of the run"));
  const first = parsed.error?.issues[0];
  if (first) throw new LowrankError("E_CHECKPOINT", `${file}: ${first.path.join(".")}: ${first.message}.`, file);
  const historyFile = join(folder, TRAINER_STATE);
  const { log_history: history } = readJsonObject(historyFile, "State of the run", LARGEST_LIST_BYTES);
  if (!Array.isArray(history)) {
    throw new LowrankError("E_CHECKPOINT", `${historyFile}: log_history is not a list.`, historyFile);
  }
  const { version: _, ...state } = parsed.data!;
  return { state, history };
}
