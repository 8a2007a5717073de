// One cache file: written under a temporary name, flushed, renamed when it is whole.
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { writeError } from "../../base/system-errors.js";
import type { Block } from "../tokenise/block.js";
import { type Encoder, encoder } from "./arrow.js";
import { Checksum, type Content, type Provenance } from "./contents.js";

const BUFFERED_BYTES = 4 << 20;
/** A view into more memory cannot be made in every version of Node.js; the last block and the footer come on top. */
const LARGEST_BYTES = 2 ** 32 - 2 ** 28;
/** Temporary names; files of a killed process are removed with `isLeftover`. */
const TEMPORARY = /^\.writing-(\d+)-[0-9a-f-]+\.tmp$/;

/** Whether a name belongs to a file which a process that is no more was writing. */
export function isLeftover(name: string): boolean {
  const pid = TEMPORARY.exec(name)?.[1];
  if (pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** A name that `isLeftover` knows once this process is no more. */
export function temporaryName(folder: string): string {
  return join(folder, `.writing-${process.pid}-${randomUUID()}.tmp`);
}

function cacheError(error: unknown, file: string): unknown {
  const found = writeError(error, file);
  if (!(found instanceof LowrankError) || found === error) return found;
  const message = `${found.message} Tokenised texts are kept there; name another folder with --cache_dir.`;
  return new LowrankError(found.code, message, file, { cause: error });
}

/** The largest of some tokens and `least`. An iterator would take ten times as long. */
function largestOf(ids: Int32Array, least: number): number {
  let largest = least;
  for (let i = 0; i < ids.length; i++) largest = Math.max(largest, ids[i]!);
  return largest;
}

export class CacheWriter {
  readonly #file: string;
  readonly #handle: FileHandle;
  /** Made with the first block: loading it takes longer than the first blocks' way to their threads. */
  #encoder: Encoder | undefined;
  readonly #about: Provenance;
  readonly #checksum = new Checksum();
  #largestId = -1;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** Bytes of the file so far, pending ones included. */
  #bytes = 0;

  private constructor(file: string, handle: FileHandle, about: Provenance) {
    this.#file = file;
    this.#handle = handle;
    this.#about = about;
  }

  /** @throws LowrankError E_WRITE naming the folder or file */
  static async create(folder: string, about: Provenance): Promise<CacheWriter> {
    const file = temporaryName(folder);
    try {
      await mkdir(folder, { recursive: true });
      return new CacheWriter(file, await open(file, "wx"), about);
    } catch (error) {
      throw cacheError(error, file);
    }
  }

  /** @throws LowrankError E_WRITE, E_DATA_SIZE */
  async write(block: Block): Promise<void> {
    this.#checksum.add(block);
    this.#largestId = largestOf(block.inputIds, this.#largestId);
    this.#encoder ??= await encoder(this.#about);
    this.#take(this.#encoder.write(block));
    if (this.#bytes > LARGEST_BYTES) {
      const message =
        "The tokens of these texts take more than 4 GiB of cache. Train on a part of the files at a time.";
      throw new LowrankError("E_DATA_SIZE", message, this.#file);
    }
    if (this.#pendingBytes >= BUFFERED_BYTES) await this.#flush();
  }

  /** The file until `place`. */
  get temporary(): string {
    return this.#file;
  }

  /**
   * Writes the end of the file.
   * @param sha256 of the texts
   * @throws LowrankError E_WRITE
   */
  async finish(sha256: string): Promise<Content> {
    try {
      this.#encoder ??= await encoder(this.#about);
      this.#take(this.#encoder.finish());
      await this.#flush();
      await this.#handle.sync();
      await this.#handle.close();
      const content = { sha256, largestId: this.#largestId };
      return { ...content, crc32: this.#checksum.end(this.#about, content) };
    } catch (error) {
      throw cacheError(error, this.#file);
    }
  }

  /**
   * Puts the finished file in its place.
   * @throws LowrankError E_WRITE
   */
  async place(target: string): Promise<void> {
    try {
      await rename(this.#file, target);
      await using folder = await open(dirname(target), "r");
      await folder.sync();
    } catch (error) {
      throw cacheError(error, target);
    }
  }

  async discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(this.#file, { force: true }).catch(() => {});
  }

  #take(chunks: Uint8Array[]): void {
    for (const chunk of chunks) {
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.length;
      this.#bytes += chunk.length;
    }
  }

  async #flush(): Promise<void> {
    const chunks = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    try {
      await writeAll(this.#handle, chunks);
    } catch (error) {
      throw cacheError(error, this.#file);
    }
  }
}

/** Chunks of one call to the system. */
const VECTORS = 512;

async function writeAll(handle: FileHandle, chunks: Uint8Array[]): Promise<void> {
  for (let from = 0; from < chunks.length; from += VECTORS) {
    let rest = chunks.slice(from, from + VECTORS);
    while (rest.length > 0) {
      let { bytesWritten } = await handle.writev(rest);
      // The system may take a part only.
      rest = rest.flatMap((chunk) => {
        const written = Math.min(bytesWritten, chunk.length);
        bytesWritten -= written;
        return written === chunk.length ? [] : [chunk.subarray(written)];
      });
    }
  }
}
