import { countSteps, type Steps } from "../../trainer/index.js";
import type { RunOptions } from "./options.js";

/** The optimizer steps of a run by its options. @param rows examples, or packs of them */
export function stepsOf(o: RunOptions, rows: number): Steps {
  const { per_device_train_batch_size: batchSize, gradient_accumulation_steps: accumulation } = o;
  return countSteps({ rows, batchSize, accumulation, epochs: o.num_train_epochs, maxSteps: o.max_steps });
}
