import { LowrankError } from "../base/errors.js";
import type { FileTensor } from "./bitsandbytes.js";
/** Weight files of a folder and, in shards, which of them holds each tensor by the index. */
export interface WeightFiles {
    /** Names within the folder of those that are there. */
    files: string[];
    /** Name of the index, null where there is one file. */
    index: string | null;
    /** Shard of each tensor, null where there is one file. */
    weightMap: Map<string, string> | null;
}
/** @throws LowrankError E_FILE_MISSING, E_JSON, E_INDEX */
export declare function findWeightFiles(folder: string): WeightFiles;
/** Tensors of every file. Of one that several shards hold, that of the index counts, else the last, as in transformers. */
export declare function readTensors(folder: string, { files, weightMap }: WeightFiles): FileTensor[];
/** Shards that an index names and the folder lacks. */
export declare function absentShards({ files, weightMap }: WeightFiles): string[];
/**
 * Why no shard holds a tensor, where the index knows; undefined where it does not.
 * @param stored names that the tensor may have
 */
export declare function whyMissing(folder: string, found: WeightFiles, stored: string[]): LowrankError | undefined;
