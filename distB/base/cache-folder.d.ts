/** $XDG_CACHE_HOME/lowrank, or ~/.cache/lowrank. */
export declare function defaultCacheFolder(): string;
