import { join } from "node:path";
import { sortedJson, writeTextFile } from "./files.js";

export const TRAINER_STATE = "trainer_state.json";

export interface TrainerProgress {
  /** Optimizer steps made, and of the whole run. */
  step: number;
  maxSteps: number;
  /** Times through the training texts so far, and of the whole run. */
  epoch: number;
  epochs: number;
  batchSize: number;
  loggingSteps: number;
  evalSteps: number;
  saveSteps: number;
  /** Lines of metrics so far, each with its `step`. */
  history: object[];
  best: { step: number; metric: number; folder: string } | null;
}

/** trainer_state.json with the keys of the Hugging Face Trainer. */
export function trainerState(progress: TrainerProgress): Record<string, unknown> {
  const { best } = progress;
  return {
    best_global_step: best?.step ?? null,
    best_metric: best?.metric ?? null,
    best_model_checkpoint: best?.folder ?? null,
    epoch: progress.epoch,
    eval_steps: progress.evalSteps,
    global_step: progress.step,
    is_hyper_param_search: false,
    is_local_process_zero: true,
    is_world_process_zero: true,
    log_history: progress.history,
    logging_steps: progress.loggingSteps,
    max_steps: progress.maxSteps,
    num_input_tokens_seen: 0,
    num_train_epochs: progress.epochs,
    save_steps: progress.saveSteps,
    stateful_callbacks: {},
    total_flos: 0,
    train_batch_size: progress.batchSize,
    trial_name: null,
    trial_params: null,
  };
}

/** @throws LowrankError E_WRITE */
export async function writeTrainerState(folder: string, state: Record<string, unknown>): Promise<void> {
  await writeTextFile(join(folder, TRAINER_STATE), sortedJson(state));
}
