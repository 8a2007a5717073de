// A pipe as a source of texts: <(zcat texts.jsonl.gz), /dev/stdin, a named one. It can be read once; its beginning is kept,
// so that it can be looked at before it is read.
import { createReadStream, statSync } from "node:fs";
import type { Readable } from "node:stream";
import { LowrankError } from "../../base/errors.js";

const CHUNK_BYTES = 1 << 20;
/** Bytes of the beginning that are kept. */
const KEPT_BYTES = 1 << 20;

/** Names of descriptors that this process has. Behind them may be a socket, which has no name to be opened by. */
const DESCRIPTOR = /^\/(?:dev\/stdin|(?:dev|proc\/self)\/fd\/(\d+))$/;

/** Whether a name belongs to a pipe, or to a socket that the process was started with in place of one. */
export function isPipe(file: string): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  return found !== undefined && (found.isFIFO() || (found.isSocket() && DESCRIPTOR.test(file)));
}

function open(file: string): Readable {
  const descriptor = DESCRIPTOR.exec(file);
  if (descriptor === null) return createReadStream(file, { highWaterMark: CHUNK_BYTES });
  return createReadStream("", { fd: Number(descriptor[1] ?? 0), autoClose: false, highWaterMark: CHUNK_BYTES });
}

class Pipe {
  /** Opened when it is read first: a pipe without a writer keeps a thread waiting, and some formats are read from files only. */
  #stream: Readable | undefined;
  #source: AsyncIterator<Buffer> | undefined;
  /** The last chunks that were read; the chunks before are gone. */
  readonly #chunks: Buffer[] = [];
  #gone = 0;
  #bytes = 0;
  /** While a chunk is awaited, by whomever. */
  #next: Promise<boolean> | null = null;

  /** Whether it is only looked at, and will be read from its beginning. */
  isLookedAt = false;

  constructor(readonly file: string) {}

  async #more(): Promise<boolean> {
    this.#stream ??= open(this.file);
    this.#source ??= this.#stream[Symbol.asyncIterator]();
    const { done, value } = await this.#source.next();
    this.#next = null;
    if (done) return false;
    this.#chunks.push(value);
    this.#bytes += value.length;
    return true;
  }

  /** The bytes from the beginning on. */
  async *read(): AsyncGenerator<Buffer, void, undefined> {
    const { file } = this;
    for (let i = 0; ; i++) {
      if (i < this.#gone) throw new LowrankError("E_FILE", `Pipe ${file} can be read only once.`, file);
      while (i === this.#gone + this.#chunks.length) {
        this.#next ??= this.#more();
        if (!(await this.#next)) return;
      }
      yield this.#chunks[i - this.#gone]!;
      if (this.isLookedAt || this.#bytes <= KEPT_BYTES) continue;
      this.#chunks.splice(0, i + 1 - this.#gone);
      this.#gone = i + 1;
    }
  }

  close(): void {
    this.#stream?.destroy();
  }
}

/** The pipes that are being read. */
const pipes = new Map<string, Pipe>();

/** The bytes of a pipe that `openPipe` has opened. */
export function readPipe(file: string): AsyncGenerator<Buffer, void, undefined> {
  return pipes.get(file)!.read();
}

/**
 * Holds a pipe open, if the file is one, while its bytes are looked at and then read.
 * @param looks whether the pipe is to be opened again, from its beginning
 * @returns ends that
 */
export function openPipe(file: string, looks = false): () => void {
  if (!isPipe(file)) return () => {};
  const open = pipes.get(file);
  if (open && !open.isLookedAt) throw new LowrankError("E_FILE", `Pipe ${file} is being read already.`, file);
  const pipe = open ?? new Pipe(file);
  pipe.isLookedAt = looks;
  pipes.set(file, pipe);
  return () => {
    if (looks) return;
    pipes.delete(file);
    pipe.close();
  };
}
