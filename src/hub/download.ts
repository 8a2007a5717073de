// One file of a repository into the cache: resumed where it was cut, and kept only with the right hash.
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { LowrankError } from "../base/errors.js";
import { fullError, writeError } from "../base/system-errors.js";
import { type RepositoryCache, sizeOf } from "./cache.js";
import { connectionFailure } from "./failures.js";
import { partsOf } from "./http.js";
import { answerOf, type Client, type described, fileUrl } from "./listing.js";
import { type Repository, shownName } from "./name.js";
import { persist } from "./retry.js";

export type DescribedFile = Awaited<ReturnType<typeof described>>;

export interface Job {
  client: Client;
  repository: Repository;
  commit: string;
  cache: RepositoryCache;
  file: DescribedFile;
  /** Bytes that are there now, more than before; fewer (below 0) where some were wrong. */
  onBytes: (count: number) => void;
  /** Another process is downloading this file. */
  onWait: () => void;
}

/** The hash that the file's etag is; null where it is none that is known. */
function hashFor({ etag, size }: DescribedFile): Hash | null {
  if (/^[0-9a-f]{64}$/.test(etag)) return createHash("sha256");
  return /^[0-9a-f]{40}$/.test(etag) ? createHash("sha1").update(`blob ${size}\0`) : null;
}

/** Bytes of an earlier attempt, whose hash is to go on. */
class Partial {
  #hash: Hash | null;
  #furthest = 0;
  size = 0;

  private constructor(
    readonly file: DescribedFile,
    readonly path: string,
    readonly handle: FileHandle,
  ) {
    this.#hash = hashFor(file);
  }

  static async open(file: DescribedFile, path: string): Promise<Partial> {
    if ((sizeOf(path) ?? 0) > file.size) await rm(path);
    // Neither truncated nor appended to: a second writer, where locks do nothing, writes the same bytes at the same places.
    const handle = await open(path, sizeOf(path) === undefined ? "w+" : "r+");
    const partial = new Partial(file, path, handle);
    try {
      for await (const part of createReadStream(path, { highWaterMark: 1 << 18 })) partial.#count(part);
      return partial;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  #count(part: Buffer): void {
    this.#hash?.update(part);
    this.size += part.length;
  }

  /** @returns whether it is further than it ever was: a server that sends the same bytes again and again makes no progress */
  async add(part: Buffer): Promise<boolean> {
    await this.handle.write(part, 0, part.length, this.size);
    this.#count(part);
    if (this.size <= this.#furthest) return false;
    this.#furthest = this.size;
    return true;
  }

  async restart(): Promise<void> {
    await this.handle.truncate(0);
    this.#hash = hashFor(this.file);
    this.size = 0;
  }

  isRight(): boolean {
    return this.size === this.file.size && (this.#hash === null || this.#hash.digest("hex") === this.file.etag);
  }
}

/** Whether the body begins where the bytes so far end. */
function goesOn({ statusCode, headers }: IncomingMessage, from: number): boolean {
  return statusCode === 206 && new RegExp(`^bytes ${from}-`).test(String(headers["content-range"] ?? ""));
}

async function fetchRest(job: Job, partial: Partial, progress: () => void): Promise<void> {
  const { client, repository, commit, file, onBytes } = job;
  if (partial.size === file.size) return;
  const from = partial.size;
  const url = fileUrl(client.settings, repository, commit, file.path);
  const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
  const isRight = (status: number) => status === 200 || status === 206 || status === 416;
  const answer = await answerOf(client, repository, url, { headers }, isRight, file.path);
  if (from > 0 && !goesOn(answer, from)) {
    await partial.restart();
    onBytes(-from);
  }
  if (answer.statusCode !== 200 && !goesOn(answer, partial.size)) {
    answer.destroy();
    throw connectionFailure(client.settings, repository, { code: `an answer ${answer.statusCode} with other bytes` });
  }
  await receive(job, partial, answer, progress);
}

async function receive(job: Job, partial: Partial, answer: IncomingMessage, progress: () => void): Promise<void> {
  const { client, repository, file, onBytes } = job;
  const broken = (error: unknown) => connectionFailure(client.settings, repository, error);
  const parts = partsOf(answer);
  const next = () =>
    parts.next().catch((error): never => {
      client.signal?.throwIfAborted();
      throw broken(error);
    });
  for (let part = await next(); !part.done; part = await next()) {
    if (partial.size + part.value.length > file.size) {
      answer.destroy();
      throw wrong(job, `it is longer than its ${file.size} bytes`);
    }
    if (await partial.add(part.value)) progress();
    onBytes(part.value.length);
  }
  if (partial.size < file.size) throw broken({ code: `${file.path} ends after ${partial.size} of ${file.size} bytes` });
}

class WrongContent extends LowrankError {}

function wrong({ client, repository, file }: Job, why: string): WrongContent {
  const message = `${file.path} of ${shownName(repository)} came wrong from ${client.settings.endpoint}: ${why}. It was removed; try again, or check the proxy or mirror between.`;
  return new WrongContent("E_HUB_FILE", message, file.path);
}

/** One whole attempt, of as many requests as it takes. @throws WrongContent where the bytes have another hash */
async function fetchOnce(job: Job, path: string): Promise<void> {
  const { client, cache, file, onBytes } = job;
  const partial = await Partial.open(file, path);
  try {
    onBytes(partial.size);
    await persist((progress) => fetchRest(job, partial, progress), client.signal, client.wait);
    if (!partial.isRight()) throw wrong(job, `its hash is not ${file.etag}`);
    // Where locks do nothing, another may have been faster.
    await rename(path, cache.blob(file.etag)).catch((error) => {
      if (sizeOf(cache.blob(file.etag)) !== file.size) throw error;
    });
  } catch (error) {
    if (error instanceof WrongContent) {
      onBytes(-partial.size);
      await rm(path, { force: true });
    }
    throw error;
  } finally {
    await partial.handle.close();
  }
}

/** @throws LowrankError, also E_WRITE */
async function fetchBlob(job: Job): Promise<void> {
  const blob = job.cache.blob(job.file.etag);
  const path = `${blob}.incomplete`;
  try {
    // The bytes of an earlier attempt may be the wrong ones: then the file is fetched once more from its beginning.
    await fetchOnce(job, path).catch((error) => {
      if (!(error instanceof WrongContent)) throw error;
      return fetchOnce(job, path);
    });
  } catch (error) {
    throw fullError(writeError(error, path), blob, job.file.size);
  }
}

/** Brings one file into the snapshot. A file that is there already is not asked for. @throws LowrankError */
export async function download(job: Job): Promise<void> {
  const { client, cache, commit, file } = job;
  const { etag, path, size } = file;
  await cache.locked(etag, client.wait, client.signal, job.onWait, async () => {
    if (sizeOf(cache.blob(etag)) === size) job.onBytes(size);
    else await fetchBlob(job);
    await cache.place(etag, commit, path);
  });
}
