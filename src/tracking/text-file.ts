import { closeSync, fstatSync, mkdirSync, openSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { writeError } from "../base/system-errors.js";

/** A text file that only grows. A line is in the file when the call returns, so that no exit loses it. */
export class TextFile {
  readonly #file: string;
  readonly #anew: (() => string) | undefined;
  #fd: number | null;

  /**
   * Begins the file anew, or goes on where it ends.
   * @param anew first text of a file that takes the place of a removed one; without it, no file takes its place
   * @throws LowrankError E_WRITE
   */
  constructor(file: string, append = false, anew?: () => string) {
    this.#file = file;
    this.#anew = anew;
    this.#fd = this.#attempt(() => openSync(file, append ? "a" : "w"));
  }

  /** @throws LowrankError E_WRITE */
  write(text: string): void {
    if (this.#fd === null) return;
    this.#attempt(() => {
      if (this.#anew && !this.#isThere()) this.#begin(this.#anew());
      this.#append(text);
    });
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  /** Whether its name still leads to it. */
  #isThere(): boolean {
    const named = statSync(this.#file, { throwIfNoEntry: false });
    const opened = fstatSync(this.#fd!);
    return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
  }

  #begin(text: string): void {
    mkdirSync(dirname(this.#file), { recursive: true });
    const fd = openSync(this.#file, "a");
    this.close();
    this.#fd = fd;
    this.#append(text);
  }

  #append(text: string): void {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd!, bytes, at);
  }

  #attempt<T>(f: () => T): T {
    try {
      return f();
    } catch (error) {
      throw writeError(error, this.#file);
    }
  }
}
