import { statSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { readError } from "../base/system-errors.js";

/** Size and time of change; of a name, so that another file in the same place counts, too. */
function stateOf(file: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs].join();
  } catch (error) {
    throw readError(error, file, "Weights");
  }
}

/**
 * Watches weight files that are copied piece by piece, each opened more than once: nobody may change them meanwhile.
 */
export class Unchanged {
  readonly #states: Map<string, string>;

  constructor(files: Iterable<string>) {
    this.#states = new Map([...new Set(files)].map((file) => [file, stateOf(file)]));
  }

  /** @throws LowrankError E_FILE_CHANGED */
  check(): void {
    for (const [file, state] of this.#states) {
      if (stateOf(file) === state) continue;
      const message = `${file}: the file was changed while it was read. Nothing was written; start again when nobody writes to it.`;
      throw new LowrankError("E_FILE_CHANGED", message, file);
    }
  }
}
