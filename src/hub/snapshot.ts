// A repository's files in the cache: found there, or downloaded.
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { bytes, freeBytes, readText } from "../base/system-errors.js";
import { RepositoryCache, sizeOf } from "./cache.js";
import { type DescribedFile, download } from "./download.js";
import { hasHeader, hollowFolder } from "./headers.js";
import { type Client, COMMIT, described, type HubFile, type Listing, listRepository } from "./listing.js";
import { type Repository, shownName } from "./name.js";
import { wait as plainWait, type Wait } from "./retry.js";
import { type HubSettings, hubSettings } from "./settings.js";
import type { Wanted } from "./wanted.js";

/** The files that are to come over the network. */
export interface Transfer {
  repository: Repository;
  endpoint: string;
  commit: string;
  files: DescribedFile[];
  bytes: number;
}

export interface SnapshotOptions {
  settings?: HubSettings;
  signal?: AbortSignal | undefined;
  warn?: (message: string) => void;
  /** Before the first byte of some files; their number grows where one file names others. */
  onStart?: (transfer: Transfer) => void;
  /** Bytes of the files that were told of. */
  onProgress?: (done: number, total: number) => void;
  /** Whether the headers of a model's weights will do, where the cache has no weights; asked when its other files are there. */
  headersDo?: ((read: (name: string) => string | undefined) => boolean) | undefined;
  /** Told of a model whose weights are not downloaded. */
  note?: ((message: string) => void) | undefined;
  /** How pauses are made. */
  wait?: Wait;
}

/** Files at a time, as in huggingface_hub. */
const AT_ONCE = 8;

const reader = (folder: string) => (name: string) =>
  sizeOf(join(folder, name)) === undefined ? undefined : readText(join(folder, name));

/** @throws LowrankError E_HUB_FORMAT that names the repository */
function wantedOf(wanted: Wanted, names: string[], folder: string, repository: Repository): string[] {
  try {
    return wanted(names, reader(folder));
  } catch (error) {
    if (!(error instanceof LowrankError) || error.code !== "E_HUB_FORMAT") throw error;
    throw new LowrankError(
      "E_HUB_FORMAT",
      `${shownName(repository)} cannot be used: ${error.message}.`,
      repository.name,
    );
  }
}

/** The folder of a snapshot that has every file that is wanted; undefined where it has not. */
function whole(cache: RepositoryCache, repository: Repository, wanted: Wanted): string | undefined {
  const commit = cache.commitOf(repository.revision);
  if (commit === undefined) return undefined;
  const here = cache.filesOf(commit);
  try {
    const needed = wantedOf(wanted, cache.listed(commit) ?? here, cache.snapshot(commit), repository);
    return needed.every((name) => here.includes(name)) ? cache.snapshot(commit) : undefined;
  } catch {
    return undefined;
  }
}

function offlineError({ cache }: HubSettings, repository: Repository): LowrankError {
  const message = `${shownName(repository)} is no folder here, and the cache ${cache} does not have all of it; HF_HUB_OFFLINE forbids a download. Run once without HF_HUB_OFFLINE, or name a folder.`;
  return new LowrankError("E_HUB_OFFLINE", message, repository.name);
}

/** The failures for which the files in the cache will do. */
const AWAY = ["E_HUB_NETWORK", "E_HUB_SERVER", "E_HUB_LIMIT", "E_HUB_ACCESS"];

/** Works on some items at a time; the first failure ends the others. */
async function pooled<T>(
  client: Client,
  items: T[],
  work: (client: Client) => (item: T) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const signals = [failed.signal, ...(client.signal ? [client.signal] : [])];
  const one = work({ ...client, signal: AbortSignal.any(signals) });
  const queue = [...items];
  const worker = async () => {
    try {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await one(item);
    } catch (error) {
      queue.length = 0;
      failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  client.signal?.throwIfAborted();
  failed.signal.throwIfAborted();
}

/** The work for one repository. */
class Snapshot {
  readonly #client: Client;
  readonly #cache: RepositoryCache;
  #done = 0;
  #total = 0;

  constructor(
    readonly repository: Repository,
    readonly wanted: Wanted,
    readonly o: SnapshotOptions,
  ) {
    const settings = o.settings ?? hubSettings();
    this.#client = { settings, signal: o.signal, wait: o.wait ?? plainWait };
    this.#cache = new RepositoryCache(settings, repository);
  }

  /** The cache's snapshot, where nothing needs to be asked; else the listing. */
  async #look(): Promise<string | Listing> {
    const { repository, wanted } = this;
    const { settings } = this.#client;
    const here = whole(this.#cache, repository, wanted);
    if (here !== undefined && (settings.offline || COMMIT.test(repository.revision))) return here;
    if (settings.offline) throw offlineError(settings, repository);
    try {
      return await listRepository(this.#client, repository);
    } catch (error) {
      if (here === undefined || !(error instanceof LowrankError) || !AWAY.includes(error.code)) throw error;
      this.o.warn?.(`${error.message} The copy in the cache is used.`);
      return here;
    }
  }

  #filesOf({ commit, files }: Listing): HubFile[] {
    const { repository } = this;
    const byName = new Map(files.map((file) => [file.path, file]));
    return wantedOf(this.wanted, [...byName.keys()], this.#cache.snapshot(commit), repository).map((name) => {
      const file = byName.get(name);
      if (file) return file;
      const message = `${shownName(repository)} has no ${name}, which is needed: check that it is the right repository.`;
      throw new LowrankError("E_HUB_FORMAT", message, repository.name);
    });
  }

  /** The files that the snapshot does not have. */
  #missing({ commit }: Listing, files: HubFile[]): HubFile[] {
    const isHere = ({ path, size }: HubFile) => {
      const found = sizeOf(join(this.#cache.snapshot(commit), path));
      return found !== undefined && (size === null || found === size);
    };
    return files.filter((file) => !isHere(file));
  }

  async #transfer({ commit }: Listing, files: HubFile[]): Promise<Transfer> {
    const { repository } = this;
    const all: DescribedFile[] = [];
    await pooled(this.#client, files, (client) => async (file) => {
      all.push(await described(client, repository, commit, file));
    });
    const needed = all.reduce((sum, { size }) => sum + size, 0);
    return { repository, endpoint: this.#client.settings.endpoint, commit, files: all, bytes: needed };
  }

  async folder(): Promise<string> {
    const found = await this.#look();
    if (typeof found === "string") return found;
    const { commit, id } = found;
    const { name, revision } = this.repository;
    if (id.toLowerCase() !== name.toLowerCase()) this.o.warn?.(`${name} is called ${id} now: use that name`);
    for (;;) {
      const missing = this.#missing(found, this.#filesOf(found));
      if (missing.length === 0) break;
      const small = this.o.headersDo ? missing.filter(({ path }) => !hasHeader(path)) : missing;
      if (small.length === 0 && this.o.headersDo?.(reader(this.#cache.snapshot(commit)))) {
        return this.#hollow(found, missing);
      }
      await this.#fetch(await this.#transfer(found, small.length > 0 ? small : missing));
    }
    const names = found.files.map(({ path }) => path);
    await this.#cache.setListed(commit, names);
    await this.#cache.setCommit(revision, commit);
    return this.#cache.snapshot(commit);
  }

  /** A folder of the snapshot with the headers of its weights. */
  async #hollow(listing: Listing, missing: HubFile[]): Promise<string> {
    const { repository, o } = this;
    const { commit } = listing;
    const { files: weights, bytes: size } = await this.#transfer(listing, missing);
    const without = new Set(missing);
    const present = this.#filesOf(listing).filter((file) => !without.has(file));
    const folder = await hollowFolder(this.#client, {
      ...{ repository, commit, weights, snapshot: this.#cache.snapshot(commit) },
      present: present.map(({ path }) => path),
    });
    o.note?.(`the weights of ${shownName(repository)} (${bytes(size)}) are not downloaded: their headers are read`);
    return folder;
  }

  #checkRoom({ files }: Transfer): void {
    const { cache } = this.#client.settings;
    const rest = ({ etag, size }: DescribedFile) => {
      const blob = this.#cache.blob(etag);
      return Math.max(0, size - (sizeOf(blob) ?? sizeOf(`${blob}.incomplete`) ?? 0));
    };
    const needed = files.reduce((sum, file) => sum + rest(file), 0);
    const free = freeBytes(cache);
    if (free === undefined || needed <= free) return;
    const message = `${shownName(this.repository)} needs ${bytes(needed)} in the cache ${cache}, and ${bytes(free)} are free there. Free some space, or name another folder with HF_HUB_CACHE.`;
    throw new LowrankError("E_WRITE", message, cache);
  }

  async #fetch(transfer: Transfer): Promise<void> {
    this.#checkRoom(transfer);
    await this.#cache.prepare();
    this.#total += transfer.bytes;
    this.o.onStart?.(transfer);
    const work = (client: Client) => (file: DescribedFile) => this.#one(client, transfer, file);
    await pooled(this.#client, transfer.files, work);
  }

  #one(client: Client, { commit }: Transfer, file: DescribedFile): Promise<void> {
    const { repository, o } = this;
    const onBytes = (count: number) => {
      this.#done += count;
      o.onProgress?.(this.#done, this.#total);
    };
    const onWait = () =>
      o.warn?.(`another process is downloading ${file.path} of ${shownName(repository)}: waiting for it`);
    return download({ client, repository, commit, cache: this.#cache, file, onBytes, onWait });
  }
}

/**
 * The folder of a repository's snapshot in the cache, with the files that are wanted. Where the hub cannot be reached, the files in the
 * cache are used, with a warning.
 * @throws LowrankError E_HUB_..., E_WRITE; or the signal's reason
 */
export function snapshotFolder(repository: Repository, wanted: Wanted, options: SnapshotOptions = {}): Promise<string> {
  return new Snapshot(repository, wanted, options).folder();
}
