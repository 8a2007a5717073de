import { TextFile } from "./text-file.js";

/** metrics.jsonl: one JSON object a line, in full precision. */
export class Metrics {
  readonly #file: TextFile;

  constructor(path: string) {
    this.#file = new TextFile(path);
  }

  write(metrics: object): void {
    this.#file.write(`${JSON.stringify(metrics)}\n`);
  }

  close(): void {
    this.#file.close();
  }
}
