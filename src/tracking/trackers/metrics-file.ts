import { renameSync } from "node:fs";
import { writeError } from "../../base/system-errors.js";
import type { RunEvent } from "../../trainer/index.js";
import { TextFile } from "../text-file.js";
import type { TrackedRun, Tracker } from "./tracker.js";

const lineOf = (metrics: object) => `${JSON.stringify(metrics)}\n`;

function metricsOf(event: RunEvent): object | null {
  if (event.type === "step" || event.type === "eval") return event.metrics;
  return event.type === "end" ? event.summary : null;
}

/** metrics.jsonl: one JSON object a line, in full precision. A line that could not be written is written with the next one. */
export class MetricsFile implements Tracker {
  readonly name = "metrics.jsonl";
  readonly #path: string;
  /** Null where the file does not hold all lines. */
  #file: TextFile | null = null;
  /** All of it, for a file that is removed while the run goes on. */
  #lines: string[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** Whatever else the file holds comes after the history and is made again. @throws LowrankError E_WRITE */
  start({ history }: TrackedRun): void {
    this.#lines = history.map(lineOf);
    this.#writeAnew();
  }

  /** @throws LowrankError E_WRITE */
  event(event: RunEvent): void {
    const metrics = metricsOf(event);
    if (!metrics) return;
    const line = lineOf(metrics);
    const file = this.#file;
    this.#file = null;
    try {
      file?.write(line);
      this.#file = file;
    } finally {
      this.#lines.push(line);
      if (!this.#file) file?.close();
    }
    if (!this.#file) this.#writeAnew();
  }

  /** @throws LowrankError E_WRITE */
  end(): void {
    if (!this.#file) this.#writeAnew();
    this.#file?.close();
  }

  /** Under another name first: the file never holds fewer lines than before. */
  #writeAnew(): void {
    const temporary = `${this.#path}.tmp`;
    const begun = new TextFile(temporary);
    try {
      begun.write(this.#lines.join(""));
    } finally {
      begun.close();
    }
    try {
      renameSync(temporary, this.#path);
    } catch (error) {
      throw writeError(error, this.#path);
    }
    this.#file = new TextFile(this.#path, true, () => this.#lines.join(""));
  }
}
