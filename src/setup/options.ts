import type { TrainOptions } from "../config/index.js";

/** What decides a run, besides its texts. */
export type RunOptions = Omit<TrainOptions, "output_dir" | "train_file" | "validation_file"> & {
  /** Without it nothing is written. */
  output_dir: string | undefined;
};
