import { type Contents } from "./contents.js";
import { TokenTable } from "./table.js";
export declare function cacheFile(folder: string, key: string): string;
/**
 * Opens a cache file and reads it once, to see whether it is what was written; a damaged one is removed.
 * @param onDamage told the file's name before that
 * @returns null where there is no file that can be used
 */
export declare function openCache(folder: string, key: string, onDamage: (file: string) => void): TokenTable | null;
/** Opens a cache file that was just written, and notes what it holds. */
export declare function adoptCache(folder: string, key: string, about: Omit<Contents, "blocks">): TokenTable;
export interface CacheEntry {
    file: string;
    bytes: number;
    lastUse: Date;
}
/** The cache's files, the one that was used last first. */
export declare function listCache(folder: string): CacheEntry[];
/** Removes everything that is the cache's. @returns the cache files removed */
export declare function clearCache(folder: string): CacheEntry[];
/** Removes the files that were used longest ago until no more than `limit` bytes are left, but not `kept`. */
export declare function evict(folder: string, limit: number, kept: string): CacheEntry[];
/** Key of the cache file that was made from sources in this state, as `rememberSources` has noted it. */
export declare function recallSources(folder: string, stamp: string): string | null;
