import { renameSync } from "node:fs";
import { writeError } from "../base/system-errors.js";
import { TextFile } from "./text-file.js";
const line = (metrics) => `${JSON.stringify(metrics)}\n`;
/** metrics.jsonl: one JSON object a line, in full precision. */
export class Metrics {
    #file;
    /** All of it, for a file that is removed while the run goes on. */
    #lines;
    /**
     * @param history lines of a run that goes on; whatever else the file holds comes after them and is made again
     * @throws LowrankError E_WRITE
     */
    constructor(path, history = []) {
        const temporary = `${path}.tmp`;
        const begun = new TextFile(temporary);
        this.#lines = history.map(line);
        begun.write(this.#lines.join(""));
        begun.close();
        try {
            renameSync(temporary, path);
        }
        catch (error) {
            throw writeError(error, path);
        }
        this.#file = new TextFile(path, true, () => this.#lines.join(""));
    }
    write(metrics) {
        this.#file.write(line(metrics));
        this.#lines.push(line(metrics));
    }
    close() {
        this.#file.close();
    }
}
