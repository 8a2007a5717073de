// A run's folder that grows: only new lines are read.
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type Line, parseLines, type Run, type RunFacts, readFacts } from "../report/facts.js";

export class Follower {
  readonly #folder: string;
  #offset = 0;
  #rest = "";
  #lines: Line[] = [];
  #facts: RunFacts | null = null;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The run as it is now; of a folder without a run, one without lines; of files that cannot be read now, as it was seen last. */
  read(): Run {
    try {
      this.#readNew();
      this.#facts = readFacts(this.#folder);
    } catch {
      // The next look may find them whole.
    }
    const facts = this.#facts;
    return { folder: this.#folder, name: facts?.name ?? basename(resolve(this.#folder)), facts, lines: this.#lines };
  }

  #readNew(): void {
    const file = join(this.#folder, "metrics.jsonl");
    if (!existsSync(file)) return;
    const descriptor = openSync(file, "r");
    try {
      const { size } = fstatSync(descriptor);
      if (size < this.#offset) {
        // It was made anew.
        this.#offset = 0;
        this.#rest = "";
        this.#lines = [];
      }
      const bytes = Buffer.alloc(size - this.#offset);
      this.#offset += readSync(descriptor, bytes, 0, bytes.length, this.#offset);
      const text = this.#rest + bytes.toString("utf8");
      const end = text.lastIndexOf("\n") + 1;
      this.#rest = text.slice(end);
      for (const line of parseLines(text.slice(0, end))) this.#lines.push(line);
    } finally {
      closeSync(descriptor);
    }
  }
}
