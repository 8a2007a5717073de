import { closeSync, openSync, writeSync } from "node:fs";
import { writeError } from "../system-errors.js";

/** A text file that only grows. What is written is in the file when the call returns, so that no exit loses it. */
export class TextFile {
  readonly #file: string;
  #fd: number | null;

  /** Begins the file anew, or goes on where it ends. @throws LowrankError E_WRITE */
  constructor(file: string, append = false) {
    this.#file = file;
    this.#fd = this.#attempt(() => openSync(file, append ? "a" : "w"));
  }

  /** @throws LowrankError E_WRITE */
  write(text: string): void {
    const fd = this.#fd;
    if (fd === null) return;
    this.#attempt(() => {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    });
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #attempt<T>(f: () => T): T {
    try {
      return f();
    } catch (error) {
      throw writeError(error, this.#file);
    }
  }
}
