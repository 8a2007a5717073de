import { closeSync, fstatSync, mkdirSync, openSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { writeError } from "../base/system-errors.js";
/** A text file that only grows. What is written is in the file when the call returns, so that no exit loses it. */
export class TextFile {
    #file;
    #anew;
    #fd;
    /**
     * Begins the file anew, or goes on where it ends.
     * @param anew what a file begins with that takes the place of one that was removed; without it, none does
     * @throws LowrankError E_WRITE
     */
    constructor(file, append = false, anew) {
        this.#file = file;
        this.#anew = anew;
        this.#fd = this.#attempt(() => openSync(file, append ? "a" : "w"));
    }
    /** @throws LowrankError E_WRITE */
    write(text) {
        if (this.#fd === null)
            return;
        this.#attempt(() => {
            if (this.#anew && !this.#isThere())
                this.#begin(this.#anew());
            this.#append(text);
        });
    }
    close() {
        if (this.#fd !== null)
            closeSync(this.#fd);
        this.#fd = null;
    }
    /** Whether its name still leads to it. */
    #isThere() {
        const named = statSync(this.#file, { throwIfNoEntry: false });
        const opened = fstatSync(this.#fd);
        return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
    }
    #begin(text) {
        mkdirSync(dirname(this.#file), { recursive: true });
        const fd = openSync(this.#file, "a");
        this.close();
        this.#fd = fd;
        this.#append(text);
    }
    #append(text) {
        const bytes = Buffer.from(text);
        for (let at = 0; at < bytes.length;)
            at += writeSync(this.#fd, bytes, at);
    }
    #attempt(f) {
        try {
            return f();
        }
        catch (error) {
            throw writeError(error, this.#file);
        }
    }
}
