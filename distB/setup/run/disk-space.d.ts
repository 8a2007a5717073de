import { type SavedSizes } from "../../checkpoint/index.js";
import type { RunOptions } from "./options.js";
import type { Prepared } from "./train.js";
export interface DiskNeed extends SavedSizes {
    /** Checkpoints that are there at once, with the one that is being written. */
    checkpoints: number;
    /** Those with the lowest limit. */
    fewest: number;
}
export declare function diskNeed(o: RunOptions, prepared: Pick<Prepared, "model" | "plan" | "texts" | "resumption">): DiskNeed;
/** What there is room for in an output folder: what is free, and what earlier checkpoints take that this run removes or keeps. */
export declare function roomFor(folder: string): number | undefined;
/** @param room bytes; undefined where it is not known */
export declare function diskWarning(folder: string, need: DiskNeed, room: number | undefined): string | undefined;
