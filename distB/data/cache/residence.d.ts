/** Keeps what is resident of a mapped file small, whatever is read of it and in which order. */
export declare class Residence {
    #private;
    constructor(buffer: ArrayBuffer);
    /** Tells that these bytes of the file were read, or will be at once. */
    touch({ byteOffset, byteLength }: ArrayBufferView): void;
}
