import type { TrainOptions } from "../../config/index.js";
import type { BaseOptions } from "../base.js";

/** What decides a run, besides its texts. */
export type RunOptions = Omit<
  TrainOptions,
  "output_dir" | "train_file" | "validation_file" | keyof BaseOptions | "share_weights" | "tokenizer_name" | "profile"
> & {
  /** Without it nothing is written. */
  output_dir: string | undefined;
};
