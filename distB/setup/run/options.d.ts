import type { OptionsOf, trainRows } from "../../config/index.js";
/** The options of a run, besides its base and its texts. */
export type RunOptions = Omit<OptionsOf<typeof trainRows>, "output_dir" | "train_file" | "validation_file"> & {
    /** Without it nothing is written. */
    output_dir: string | undefined;
};
