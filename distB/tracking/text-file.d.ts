/** A text file that only grows. What is written is in the file when the call returns, so that no exit loses it. */
export declare class TextFile {
    #private;
    /**
     * Begins the file anew, or goes on where it ends.
     * @param anew what a file begins with that takes the place of one that was removed; without it, none does
     * @throws LowrankError E_WRITE
     */
    constructor(file: string, append?: boolean, anew?: () => string);
    /** @throws LowrankError E_WRITE */
    write(text: string): void;
    close(): void;
}
