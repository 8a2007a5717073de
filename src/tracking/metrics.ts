import { renameSync } from "node:fs";
import { writeError } from "../system-errors.js";
import { TextFile } from "./text-file.js";

const line = (metrics: object) => `${JSON.stringify(metrics)}\n`;

/** metrics.jsonl: one JSON object a line, in full precision. */
export class Metrics {
  readonly #file: TextFile;

  /**
   * @param history lines of a run that goes on; whatever else the file holds comes after them and is made again
   * @throws LowrankError E_WRITE
   */
  constructor(path: string, history: object[] = []) {
    const temporary = `${path}.tmp`;
    const begun = new TextFile(temporary);
    begun.write(history.map(line).join(""));
    begun.close();
    try {
      renameSync(temporary, path);
    } catch (error) {
      throw writeError(error, path);
    }
    this.#file = new TextFile(path, true);
  }

  write(metrics: object): void {
    this.#file.write(line(metrics));
  }

  close(): void {
    this.#file.close();
  }
}
