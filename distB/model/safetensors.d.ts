export interface SafetensorsTensor {
    name: string;
    /** As the file spells it: "F32", "BF16", "F16", ... */
    dtype: string;
    shape: number[];
    /** Absolute byte offsets in the file. */
    begin: number;
    end: number;
}
export interface SafetensorsHeader {
    /** In the order of their bytes, which follow each other without gaps from `dataBegin` to the file's end. */
    tensors: SafetensorsTensor[];
    metadata: Record<string, string>;
    dataBegin: number;
    fileBytes: number;
}
/** Bytes of one element of a dtype as the file spells it, undefined for an unknown one. */
export declare function elementBytes(dtype: string): number | undefined;
/** @throws LowrankError E_FILE_MISSING, E_FILE, E_SAFETENSORS */
export declare function readSafetensorsHeader(file: string): SafetensorsHeader;
