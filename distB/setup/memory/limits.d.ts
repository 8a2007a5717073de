/** One of the things that bound the memory of this process. */
export interface MemoryLimit {
    /** That this process may hold in all; what it holds already is part of it. */
    bytes: number;
    /** What says so; goes on from "3.0 GiB are". */
    of: string;
    /**
     * Whether pages of mapped files count. Those are page cache, which is given back to the system when something else
     * needs it; but a limit that the user names is of all that the process shows as resident.
     */
    countsMapped: boolean;
}
/**
 * Everything that bounds the memory of this process: the machine, its control groups and `--memory_limit`. Page cache
 * counts as free, for it is given back; that includes the pages of a mapped base model.
 * @param own `--memory_limit` in bytes
 * @param root where /proc and /sys are, for tests
 * @returns at least one; the machine's is infinite where it does not say
 */
export declare function memoryLimits(own?: number, root?: string): MemoryLimit[];
/**
 * Bytes that this process holds, without the pages of some mapped files.
 * @param root where /proc is, for tests
 */
export declare function heldBesides(files: ReadonlySet<string>, root?: string): number;
