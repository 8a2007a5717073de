/** An error a user can act on: what is wrong, where, what was expected, what was found and what to do. */
export class LowrankError extends Error {
    code;
    name = "LowrankError";
    /**
     * @param code stable identifier, such as `E_FILE_MISSING`
     * @param message one clear sentence or two; names the file, key or tensor
     * @param where file, key or tensor concerned, if any
     */
    constructor(code, message, where, options) {
        super(message, options?.cause === undefined ? {} : options);
        this.code = code;
        if (where !== undefined)
            this.where = where;
    }
}
