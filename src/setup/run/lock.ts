import { mkdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { writeError } from "../../base/system-errors.js";
import { type FileLock, lockFile, unlockFile } from "../../native/index.js";

/**
 * The file that names the process that writes into a folder; this process has locked it in the kernel. Where the file
 * system knows no such locks, the file LOCK.pid beside it takes its place. All names of locks begin like this.
 */
export const LOCK = ".lowrank.lock";

/** File systems whose locks may be known to one machine only: FUSE, 9p, Lustre, VirtualBox's shared folders. */
const LOCKS_OF_ONE_MACHINE = [0x65735546, 0x01021997, 0x0bd00bd0, 0x786f4256];

/** How long a lock that another has may be one that only looks, and how long a file may be without its content. */
const LOOKING_MS = 100;
const WRITING_MS = 2000;

interface Holder {
  pid: number;
  /** When the process began, in ticks since the machine did: a number alone is given to another process some day. */
  started: string | null;
  host: string;
  /** Boot of the running kernel: the same in every container of a machine. Unknown in locks of earlier versions. */
  boot?: string | null;
  /** Whether the kernel has the lock, too: then it is gone when the process is. */
  kernel?: boolean;
}

function readOr<T>(file: string, none: T): string | T {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return none;
  }
}

function startOf(pid: number): string | null {
  const stat = readOr(`/proc/${pid}/stat`, null);
  // Field 22; the second one, the name in parentheses, may hold blanks.
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
}

const bootId = () => readOr("/proc/sys/kernel/random/boot_id", null)?.trim() ?? null;

/** For a holder whose lock the kernel does not know. */
function isAlive({ pid, started, host, boot }: Holder): boolean {
  // Nothing is known of another machine, or another container: its run is believed to go on.
  if (host !== hostname()) return true;
  if (boot && boot !== bootId()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return started === null || startOf(pid) === started;
}

/** For a holder whose lock the kernel knew, and has no more, in this folder. */
function mayLiveElsewhere({ host, boot }: Holder, folder: string): boolean {
  if (host === hostname() || (boot && boot === bootId())) return false;
  try {
    return LOCKS_OF_ONE_MACHINE.includes(statfsSync(folder).type);
  } catch {
    return false;
  }
}

function parse(text: string | null): Holder | null {
  try {
    const { pid, started, host, boot, kernel } = JSON.parse(text ?? "");
    const isHolder = Number.isSafeInteger(pid) && pid > 0 && typeof host === "string";
    return isHolder ? { pid, started, host, boot, kernel } : null;
  } catch {
    return null;
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    // Node gives ENOENT for causes that it does not know; the plain call names them.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    mkdirSync(folder);
  }
}

/** A file that stays does no harm: a lock is taken over once its process is gone. */
function tryRemove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {}
}

function wait(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

/** @returns the first answer that is not null, or null after `milliseconds` */
function within<T>(milliseconds: number, ask: () => T | null): T | null {
  for (const end = performance.now() + milliseconds; ; wait(10)) {
    const answer = ask();
    if (answer !== null || performance.now() >= end) return answer;
  }
}

/** The kernel's lock on a file. Another may have it for the instant in which it looks whether somebody has. */
function kernelLock(file: string): FileLock | "held" | "unsupported" {
  return (
    within(LOOKING_MS, () => {
      const lock = lockFile(file);
      return lock === "held" ? null : lock;
    }) ?? "held"
  );
}

/**
 * The right to write into an output folder, of one run at a time. The lock of a process that is no more is taken over.
 */
export class OutputLock {
  readonly #folder: string;
  readonly #file: string;
  readonly #pidFile: string;
  #mine: { text: string; lock: FileLock | null } | null = null;

  constructor(folder: string) {
    this.#folder = folder;
    this.#file = join(folder, LOCK);
    this.#pidFile = `${this.#file}.pid`;
  }

  /** @throws LowrankError E_OUTPUT_LOCKED where a run has it */
  check(): void {
    if (this.#mine !== null) return;
    this.#refusePid();
    if (!statSync(this.#file, { throwIfNoEntry: false })) return;
    let lock: ReturnType<typeof kernelLock>;
    try {
      lock = kernelLock(this.#file);
    } catch {
      // Whoever takes the lock says why it cannot.
      return;
    }
    if (lock === "held") throw this.#refusal(this.#holder(), true);
    try {
      this.#refuseWithout(lock === "unsupported" ? null : lock);
    } finally {
      if (lock !== "unsupported") unlockFile(lock);
    }
  }

  /** The folder is made where there is none. @throws LowrankError E_OUTPUT_LOCKED, E_WRITE */
  take(): void {
    if (this.#mine !== null) return;
    try {
      makeFolder(this.#folder);
      const lock = kernelLock(this.#file);
      if (lock === "held") throw this.#refusal(this.#holder(), true);
      if (lock === "unsupported") this.#takeByPid();
      else this.#takeByKernel(lock);
    } catch (error) {
      throw writeError(error, this.#file);
    }
  }

  #takeByKernel(lock: FileLock): void {
    try {
      this.#refuseWithout(lock);
      this.#refusePid();
      const text = this.#text(true);
      writeFileSync(this.#file, text);
      this.#mine = { text, lock };
      tryRemove(this.#pidFile);
    } catch (error) {
      unlockFile(lock);
      throw error;
    }
  }

  #takeByPid(): void {
    this.#refuseWithout(null);
    const text = this.#text(false);
    for (let attempt = 0; this.#mine === null; attempt++) {
      try {
        writeFileSync(this.#pidFile, text, { flag: "wx" });
        this.#mine = { text, lock: null };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt === 10) throw error;
        this.#removeStale();
      }
    }
  }

  release(): void {
    const mine = this.#mine;
    this.#mine = null;
    if (mine === null) return;
    const file = mine.lock ? this.#file : this.#pidFile;
    // Removed while it is locked: who opened it before sees that it is no more.
    if (readOr(file, null) === mine.text) tryRemove(file);
    if (mine.lock) unlockFile(mine.lock);
    else tryRemove(this.#file);
  }

  #text(kernel: boolean): string {
    const { pid } = process;
    const holder = { pid, started: startOf(pid), host: hostname(), boot: bootId(), kernel } satisfies Holder;
    return JSON.stringify(holder);
  }

  /** Who has the lock; null where it is not written there yet. */
  #holder(): Holder | null {
    return within(LOOKING_MS, () => parse(readOr(this.#file, null)));
  }

  /** Refuses where a run has the folder, as the file says, without a lock of the kernel. */
  #refuseWithout(mine: FileLock | null): void {
    const holder = parse(readOr(this.#file, null));
    if (!holder) return;
    const isHeld = holder.kernel && mine ? mayLiveElsewhere(holder, this.#folder) : isAlive(holder);
    if (isHeld) throw this.#refusal(holder, false);
  }

  #refusePid(file = this.#pidFile): void {
    const isThere = () => statSync(file, { throwIfNoEntry: false }) !== undefined;
    // It is made before it is written.
    const holder = within(WRITING_MS, () => (isThere() ? parse(readOr(file, null)) : undefined));
    if (holder && isAlive(holder)) throw this.#refusal(holder, false);
  }

  /** @throws LowrankError E_OUTPUT_LOCKED */
  #removeStale(): void {
    this.#refusePid();
    const aside = `${this.#pidFile}.${process.pid}`;
    try {
      renameSync(this.#pidFile, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    try {
      // Another run may have been quicker, and this is its lock.
      this.#refusePid(aside);
    } catch (error) {
      renameSync(aside, this.#pidFile);
      throw error;
    }
    rmSync(aside, { force: true });
  }

  /** @param isCertain whether the kernel says that it is held */
  #refusal(holder: Holder | null, isCertain: boolean): LowrankError {
    const isElsewhere = holder !== null && holder.host !== hostname();
    const who = holder === null ? "" : ` (process ${holder.pid}${isElsewhere ? ` on ${holder.host}` : ""})`;
    const away =
      isElsewhere && !isCertain ? ` If that run is no more, remove ${join(dirname(this.#file), `${LOCK}*`)}.` : "";
    return new LowrankError(
      "E_OUTPUT_LOCKED",
      `Another run${who} is writing to ${this.#folder}. Wait for it, or choose another --output_dir.${away}`,
      this.#folder,
    );
  }
}
