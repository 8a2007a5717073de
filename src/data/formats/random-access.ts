// Ranged reads of a file.
import { type FileHandle, open } from "node:fs/promises";
import { readError, requireRegular, TO_READ } from "../../base/system-errors.js";
import { check } from "./damage.js";

export class RandomAccess {
  private constructor(
    readonly file: string,
    readonly size: number,
    readonly handle: FileHandle,
  ) {}

  /** @throws LowrankError E_FILE_MISSING, E_FILE */
  static async open(file: string): Promise<RandomAccess> {
    let handle: FileHandle | undefined;
    try {
      handle = await open(file, TO_READ);
      const stats = await handle.stat();
      requireRegular(stats, file, "Data file");
      return new RandomAccess(file, stats.size, handle);
    } catch (error) {
      await handle?.close();
      throw readError(error, file, "Data file");
    }
  }

  /** Bytes from `start` to before `end`. @throws Damage where they are not all within the file */
  async read(start: number, end: number): Promise<Buffer> {
    check(start >= 0 && start <= end && end <= this.size, `bytes ${start} to ${end} are not within its ${this.size}`);
    const bytes = Buffer.allocUnsafe(end - start);
    let done = 0;
    while (done < bytes.length) {
      let got: number;
      try {
        got = (await this.handle.read(bytes, done, bytes.length - done, start + done)).bytesRead;
      } catch (error) {
        throw readError(error, this.file, "Data file");
      }
      check(got > 0, "it became shorter while it was read");
      done += got;
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}
