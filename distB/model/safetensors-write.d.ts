export interface TensorToWrite {
    name: string;
    /** As the file spells it: "F32", "BF16", "F16", ... */
    dtype: string;
    shape: number[];
    bytes: number;
    /** Row-major, little-endian; a function is called when its turn comes, so that one tensor at a time is in memory. */
    data: Uint8Array | (() => Promise<Uint8Array>);
}
/**
 * Writes the file under its final name and flushes it to the disk. What an error leaves behind is the caller's to remove.
 * @throws LowrankError E_WRITE naming file and cause
 */
export declare function writeSafetensors(file: string, tensors: TensorToWrite[], metadata: Record<string, string>): Promise<void>;
