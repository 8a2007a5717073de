// The cache as Python's huggingface_hub lays it out: blobs by hash, snapshots of links to them, references to commits.
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { copyFile, link, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { writeError } from "../base/system-errors.js";
import { lockFile, unlockFile } from "../native/index.js";
import { COMMIT } from "./listing.js";
import { cacheFolderOf, type Repository } from "./name.js";
import type { Wait } from "./retry.js";
import type { HubSettings } from "./settings.js";

const TAG = `Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag created by huggingface_hub.
# For information about cache directory tags, see:
#	https://bford.info/cachedir/
`;

/** How often a lock that another holds is asked for. */
const POLL_MS = 100;
/** Errors of file systems without symbolic links. */
const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL"];

const errorCode = (error: unknown) => (error as NodeJS.ErrnoException).code ?? "";

/** The size of a file, or of a link's target; undefined where there is none. */
export function sizeOf(file: string): number | undefined {
  const stats = statSync(file, { throwIfNoEntry: false });
  return stats?.isFile() ? stats.size : undefined;
}

/** The place of one repository in the cache. */
export class RepositoryCache {
  readonly #root: string;
  readonly #folder: string;
  readonly #locks: string;
  readonly #symlinks: boolean;

  constructor({ cache, symlinks }: Pick<HubSettings, "cache" | "symlinks">, repository: Repository) {
    const folder = cacheFolderOf(repository);
    this.#root = cache;
    this.#folder = join(cache, folder);
    this.#locks = join(cache, ".locks", folder);
    this.#symlinks = symlinks;
  }

  snapshot(commit: string): string {
    return join(this.#folder, "snapshots", commit);
  }

  blob(etag: string): string {
    return join(this.#folder, "blobs", etag);
  }

  /** The commit that a revision was when it was downloaded last. */
  commitOf(revision: string): string | undefined {
    if (COMMIT.test(revision)) return revision;
    try {
      const commit = readFileSync(join(this.#folder, "refs", revision), "utf8").trim();
      return COMMIT.test(commit) ? commit : undefined;
    } catch {
      return undefined;
    }
  }

  /** Paths of the files that a snapshot has; the target of a link may be gone. */
  filesOf(commit: string): string[] {
    const folder = this.snapshot(commit);
    if (!existsSync(folder)) return [];
    const all = readdirSync(folder, { recursive: true }) as string[];
    return all.filter((path) => sizeOf(join(folder, path)) !== undefined);
  }

  /** Paths of all files that the repository has at a commit, as they were listed; undefined where they were not. */
  listed(commit: string): string[] | undefined {
    try {
      const names: unknown = JSON.parse(readFileSync(this.#listing(commit), "utf8"));
      return Array.isArray(names) ? names.filter((name) => typeof name === "string") : undefined;
    } catch {
      return undefined;
    }
  }

  #listing(commit: string): string {
    return join(this.#folder, "listings", `${commit}.json`);
  }

  /** Keeps the paths for `listed`: of a data set, the cache's files alone do not tell whether all are there. @throws LowrankError E_WRITE */
  async setListed(commit: string, names: string[]): Promise<void> {
    if (this.listed(commit) === undefined) await this.#replace(this.#listing(commit), JSON.stringify(names));
  }

  /** @throws LowrankError E_WRITE */
  async prepare(): Promise<void> {
    try {
      for (const folder of [join(this.#folder, "blobs"), this.#locks]) await mkdir(folder, { recursive: true });
      const tag = join(this.#root, "CACHEDIR.TAG");
      if (!existsSync(tag)) await writeFile(tag, TAG);
    } catch (error) {
      throw writeError(error, this.#root);
    }
  }

  /** Written when all files of a run are there: whoever reads it finds them. @throws LowrankError E_WRITE */
  async setCommit(revision: string, commit: string): Promise<void> {
    if (revision === commit || this.commitOf(revision) === commit) return;
    await this.#replace(join(this.#folder, "refs", revision), commit);
  }

  /**
   * Another name for what gets its own name when it is whole. It lies among the blobs: whatever lies in a snapshot is a file of the
   * repository, whatever lies in refs is a reference, and a process may be killed at any time.
   */
  #temporary(name: string): string {
    return this.blob(`${basename(name)}.${randomBytes(4).toString("hex")}`);
  }

  async #replace(file: string, text: string): Promise<void> {
    const own = this.#temporary(file);
    try {
      for (const each of [own, file]) await mkdir(dirname(each), { recursive: true });
      await writeFile(own, text);
      await rename(own, file);
    } catch (error) {
      throw writeError(error, file);
    }
  }

  /**
   * Runs work that one process does at a time, with the lock that Python's filelock takes. Where the file system knows no locks, the
   * work runs without: processes write the same bytes at the same places.
   * @param onWait called once where another process has the lock
   */
  async locked<T>(
    etag: string,
    pause: Wait,
    signal: AbortSignal | undefined,
    onWait: () => void,
    work: () => Promise<T>,
  ): Promise<T> {
    const file = join(this.#locks, `${etag}.lock`);
    let lock = this.#tryLock(file);
    if (lock === "held") onWait();
    for (; lock === "held"; lock = this.#tryLock(file)) await pause(POLL_MS, signal);
    try {
      return await work();
    } finally {
      if (lock !== "unsupported") unlockFile(lock);
    }
  }

  #tryLock(file: string) {
    try {
      return lockFile(file);
    } catch (error) {
      throw writeError(error, file);
    }
  }

  /** Puts a blob into a snapshot: as a relative link, or where there are none as the file itself. @throws LowrankError E_WRITE */
  async place(etag: string, commit: string, path: string): Promise<void> {
    const file = join(this.snapshot(commit), path);
    const blob = this.blob(etag);
    const own = this.#temporary(etag);
    try {
      await mkdir(dirname(file), { recursive: true });
      // The link leads to the blob from where it will be.
      if (!(await this.#linked(relative(dirname(file), blob), own))) await copyOrLink(blob, own);
      await rename(own, file);
    } catch (error) {
      await rm(own, { force: true }).catch(() => {});
      throw writeError(error, file);
    }
  }

  async #linked(target: string, file: string): Promise<boolean> {
    if (!this.#symlinks) return false;
    try {
      await symlink(target, file);
      return true;
    } catch (error) {
      if (NO_LINKS.includes(errorCode(error))) return false;
      throw error;
    }
  }
}

/** A second name of the same bytes, else a copy of them. */
async function copyOrLink(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}
