// The bytes of a text format's file, through gunzip where its name ends in .gz.
import { createReadStream } from "node:fs";
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { LowrankError } from "../../base/errors.js";
import { openRegular, readError } from "../../base/system-errors.js";
import { isPipe, readPipe } from "./pipe.js";

const CHUNK_BYTES = 1 << 20;

export function isGzip(file: string): boolean {
  return /\.gz(ip)?$/i.test(file);
}

function open(file: string): Readable {
  const bytes = isPipe(file)
    ? Readable.from(readPipe(file))
    : createReadStream(file, { fd: openRegular(file, "Data file"), highWaterMark: CHUNK_BYTES });
  // An error of the file reaches the reader through gunzip.
  return isGzip(file) ? pipeline(bytes, createGunzip({ chunkSize: CHUNK_BYTES }), () => {}) : bytes;
}

function problem(error: unknown, file: string): LowrankError {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (!code.startsWith("Z_")) return readError(error, file, "Data file");
  const found = code === "Z_BUF_ERROR" ? "it ends early" : message;
  return new LowrankError(
    "E_GZIP",
    `Data file ${file} is not a whole gzip file: ${found}. Copy or compress it again.`,
    file,
    { cause: error },
  );
}

/** A file's bytes, a chunk at a time. @throws LowrankError E_FILE_MISSING, E_FILE, E_GZIP */
export async function* readChunks(file: string): AsyncGenerator<Buffer, void, undefined> {
  const chunks: AsyncIterator<Buffer> = open(file)[Symbol.asyncIterator]();
  try {
    for (;;) {
      let next: IteratorResult<Buffer>;
      try {
        next = await chunks.next();
      } catch (error) {
        throw problem(error, file);
      }
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
}
