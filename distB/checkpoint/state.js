import { join } from "node:path";
import { sortedJson, writeTextFile } from "./files.js";
export const TRAINER_STATE = "trainer_state.json";
/** trainer_state.json with the keys of the Hugging Face Trainer. */
export function trainerState(progress) {
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
export async function writeTrainerState(folder, state) {
    await writeTextFile(join(folder, TRAINER_STATE), sortedJson(state));
}
