import type { Block } from "./block.js";
import { type Content, type Provenance } from "./contents.js";
/** Whether a name is that of a file which a process that is no more was writing. */
export declare function isLeftover(name: string): boolean;
/** A name that `isLeftover` knows once this process is no more. */
export declare function temporaryName(folder: string): string;
export declare class CacheWriter {
    #private;
    private constructor();
    /** @throws LowrankError E_WRITE naming the folder or file */
    static create(folder: string, about: Provenance): Promise<CacheWriter>;
    /** @throws LowrankError E_WRITE, E_DATA_SIZE */
    write(block: Block): Promise<void>;
    /**
     * Puts the file in its place.
     * @param sha256 of the texts
     * @throws LowrankError E_WRITE; then nothing is left of it
     */
    finish(target: string, sha256: string): Promise<Content>;
    discard(): Promise<void>;
}
