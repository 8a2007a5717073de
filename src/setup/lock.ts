import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { LowrankError } from "../errors.js";
import { writeError } from "../system-errors.js";

/** The file that says which process writes into a folder. */
export const LOCK = ".lowrank.lock";

interface Holder {
  pid: number;
  /** When the process began, in ticks since the machine did: a number alone is given to another process some day. */
  started: string | null;
  host: string;
}

function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Field 22; the second one, the name in parentheses, may hold blanks.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}

function isAlive({ pid, started, host }: Holder): boolean {
  // Of another machine nothing is known: its run is believed to go on.
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return started === null || startOf(pid) === started;
}

function parse(text: string): Holder | null {
  try {
    const { pid, started, host } = JSON.parse(text);
    return Number.isSafeInteger(pid) && pid > 0 && typeof host === "string" ? { pid, started, host } : null;
  } catch {
    return null;
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    // Node says so of causes that it does not know; the plain call names them.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    mkdirSync(folder);
  }
}

/** What stays does no harm: a lock is taken over once its process is gone. */
function tryRemove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {}
}

/** The right to write into an output folder, of one run at a time. That of a process that is no more is taken over. */
export class OutputLock {
  readonly #folder: string;
  readonly #file: string;
  #mine: string | null = null;

  constructor(folder: string) {
    this.#folder = folder;
    this.#file = join(folder, LOCK);
  }

  /** @throws LowrankError E_OUTPUT_LOCKED where a run has it */
  check(): void {
    const text = read(this.#file);
    const holder = text === null ? null : parse(text);
    if (text !== this.#mine && holder && isAlive(holder)) throw this.#refusal(holder);
  }

  /** The folder is made where there is none. @throws LowrankError E_OUTPUT_LOCKED, E_WRITE */
  take(): void {
    if (this.#mine !== null) return;
    const { pid } = process;
    const mine = JSON.stringify({ pid, started: startOf(pid), host: hostname() } satisfies Holder);
    // Made whole under another name: nobody ever reads half a lock.
    const own = `${this.#file}.${pid}`;
    try {
      makeFolder(this.#folder);
      writeFileSync(own, mine);
      for (let attempt = 0; this.#mine === null; attempt++) {
        try {
          linkSync(own, this.#file);
          this.#mine = mine;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "EEXIST" || attempt === 10) throw error;
          this.#removeStale(`${own}.stale`);
        }
      }
    } catch (error) {
      throw writeError(error, this.#file);
    } finally {
      tryRemove(own);
    }
  }

  release(): void {
    if (this.#mine !== null && read(this.#file) === this.#mine) tryRemove(this.#file);
    this.#mine = null;
  }

  /** @throws LowrankError E_OUTPUT_LOCKED */
  #removeStale(aside: string): void {
    this.check();
    try {
      renameSync(this.#file, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    const holder = parse(read(aside) ?? "");
    // Another run was quicker, and this is its lock.
    if (holder && isAlive(holder)) {
      renameSync(aside, this.#file);
      throw this.#refusal(holder);
    }
    rmSync(aside, { force: true });
  }

  #refusal({ pid, host }: Holder): LowrankError {
    const elsewhere = host === hostname() ? "" : ` on ${host}`;
    const away = elsewhere ? ` If that run is no more, remove ${this.#file}.` : "";
    return new LowrankError(
      "E_OUTPUT_LOCKED",
      `Another run (process ${pid}${elsewhere}) is writing to ${this.#folder}. Wait for it, or choose another --output_dir.${away}`,
      this.#folder,
    );
  }
}
