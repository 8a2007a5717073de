import { type Steps } from "../../trainer/index.js";
import type { RunOptions } from "./options.js";
import type { Prepared } from "./train.js";
export interface Estimate {
    steps: Steps;
    warmup: number;
    /** Training and evaluating, without loading, saving and samples. */
    seconds: number;
}
export declare function estimate(o: RunOptions, prepared: Prepared): Promise<Estimate>;
