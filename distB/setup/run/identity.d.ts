import type { Identity } from "../../checkpoint/index.js";
import type { AdapterSpec, ModelSource, Precision } from "../../native/index.js";
import type { TrainingTexts } from "../texts.js";
import type { RunOptions } from "./options.js";
export interface RunParts {
    model: ModelSource;
    spec: AdapterSpec;
    precision: Precision;
    texts: TrainingTexts;
}
/** What a run must agree in, by option: derived from the rows that decide bits. */
export declare function identityOf(o: RunOptions, parts: RunParts): Identity;
/** A line for each setting in which a run and a checkpoint differ, with both values. */
export declare function differences(run: Identity, checkpoint: Identity): string[];
