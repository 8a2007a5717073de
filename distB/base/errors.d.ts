/** An error a user can act on: what is wrong, where, what was expected, what was found and what to do. */
export declare class LowrankError extends Error {
    readonly code: string;
    readonly name = "LowrankError";
    /** File, key or tensor concerned; only where there is one. */
    readonly where?: string;
    /**
     * @param code stable identifier, such as `E_FILE_MISSING`
     * @param message one clear sentence or two; names the file, key or tensor
     * @param where file, key or tensor concerned, if any
     */
    constructor(code: string, message: string, where?: string, options?: ErrorOptions);
}
