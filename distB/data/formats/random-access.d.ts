import { type FileHandle } from "node:fs/promises";
export declare class RandomAccess {
    readonly file: string;
    readonly size: number;
    readonly handle: FileHandle;
    private constructor();
    /** @throws LowrankError E_FILE_MISSING, E_FILE */
    static open(file: string): Promise<RandomAccess>;
    /** Bytes from `start` to before `end`. @throws Damage where they are not all within the file */
    read(start: number, end: number): Promise<Buffer>;
    close(): Promise<void>;
}
