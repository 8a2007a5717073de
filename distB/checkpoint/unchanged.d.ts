/** Of weight files that are copied piece by piece, each opened more than once: nobody may change them meanwhile. */
export declare class Unchanged {
    #private;
    constructor(files: Iterable<string>);
    /** @throws LowrankError E_FILE_CHANGED */
    check(): void;
}
