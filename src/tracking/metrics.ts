import { renameSync } from "node:fs";
import { writeError } from "../base/system-errors.js";
import { TextFile } from "./text-file.js";

const line = (metrics: object) => `${JSON.stringify(metrics)}\n`;

/** metrics.jsonl: one JSON object a line, in full precision. */
export class Metrics {
  readonly #file: TextFile;
  /** All of it, for a file that is removed while the run goes on. */
  readonly #lines: string[];

  /**
   * @param history lines of a run that goes on; whatever else the file holds comes after them and is made again
   * @throws LowrankError E_WRITE
   */
  constructor(path: string, history: object[] = []) {
    const temporary = `${path}.tmp`;
    const begun = new TextFile(temporary);
    this.#lines = history.map(line);
    begun.write(this.#lines.join(""));
    begun.close();
    try {
      renameSync(temporary, path);
    } catch (error) {
      throw writeError(error, path);
    }
    this.#file = new TextFile(path, true, () => this.#lines.join(""));
  }

  write(metrics: object): void {
    this.#file.write(line(metrics));
    this.#lines.push(line(metrics));
  }

  close(): void {
    this.#file.close();
  }
}
