// The way of a network tracker's items to its server: written down at once, sent when the server takes them.
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { writeError } from "../../base/system-errors.js";

/** An answer that is no success. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
    /** When the server wants to be asked again, where it says so. */
    readonly afterMs?: number,
  ) {
    super(message);
  }
}

export interface Shipping<State> {
  /** The spool's path without an ending. Nothing of it is there for a new run. */
  path: string;
  /** The state of a run without any delivery. */
  fresh: State;
  /** Makes the run known to the server, before the first delivery of a process. Called again where it throws. */
  begin: (state: State, signal: AbortSignal) => Promise<void>;
  /**
   * Brings items to the server in order, and then notes the progress in the state. The same items come again where it throws, or
   * where the process ends before the state is saved. Items that are refused as invalid are found one by one, and set aside.
   * @param progress tells that a long delivery moves on
   */
  deliver: (items: string[], state: State, signal: AbortSignal, progress: () => void) => Promise<void>;
  /** Told once, at the first failure. @param file the spool */
  failed: (error: unknown, file: string) => void;
  /** Told once, of the first item that is set aside. @param file that such items are kept in */
  refused: (error: Refused, item: string, file: string) => void;
  pace: Pace;
}

export interface Pace {
  /** Milliseconds between two deliveries. */
  everyMs: number;
  /** Milliseconds without progress at the end of a run, after which items are left in the spool. */
  lastMs: number;
}

/** wandb's own client leaves up to 15 s between two deliveries. */
export const PACE: Pace = { everyMs: 2000, lastMs: 5000 };

/** Bytes of items in one delivery, where no item is longer. */
const BATCH = 1 << 18;
const LONGEST_PAUSE_MS = 60_000;
/** At the end of a run. */
const LAST_ATTEMPTS = 3;
/** Answers to requests that will not be right another time. */
const INVALID = [400, 413, 422];

interface Saved<State, Front> {
  /** Bytes of the spool that were delivered. */
  sent: number;
  state: State;
  /** The front where the spool is empty. */
  front: Front | null;
}

/**
 * A queue in a file. `put` costs one write and never waits. Items are delivered one batch after the other, in the background.
 * Failed deliveries are repeated after growing pauses. Items that are left at the end are delivered when the run goes on.
 * Nothing here keeps the process alive.
 */
export class Outbox<State, Front> {
  readonly #shipping: Shipping<State>;
  readonly #spool: string;
  readonly #note: string;
  #fd: number;
  #size: number;
  #saved: Saved<State, Front>;
  #reader: FileHandle | null = null;
  #ending = false;
  #hasFailed = false;
  #hasRefused = false;
  #isKnown = false;
  /** Items of a delivery at most. */
  #most = Number.POSITIVE_INFINITY;
  #progressAt = 0;
  /** Ends the pause in progress. */
  #wake = () => {};
  readonly #given = new AbortController();
  readonly #work: Promise<void>;

  /** Goes on with items that were left. @throws LowrankError E_WRITE */
  constructor(shipping: Shipping<State>) {
    this.#shipping = shipping;
    this.#spool = `${shipping.path}.spool`;
    this.#note = `${shipping.path}.json`;
    try {
      mkdirSync(dirname(this.#spool), { recursive: true });
      this.#fd = openSync(this.#spool, "a");
      closeSync(this.#fd);
      this.#fd = openSync(this.#spool, "r+");
      this.#saved = readNote(this.#note) ?? { sent: 0, state: shipping.fresh, front: null };
      const left = readFileSync(this.#spool);
      // A line that a killed process did not finish is none.
      this.#size = left.lastIndexOf("\n") + 1;
      if (this.#saved.sent > this.#size) this.#saved.sent = 0;
      const last = left.subarray(left.lastIndexOf("\n", this.#size - 2) + 1, this.#size).toString();
      if (last !== "") this.#saved.front = JSON.parse(last).front;
    } catch (error) {
      throw writeError(error, this.#spool);
    }
    this.#work = this.#run();
  }

  get state(): State {
    return this.#saved.state;
  }

  /** The front of the last item; null before the first. */
  get front(): Front | null {
    return this.#saved.front;
  }

  /** @param front the tracker's own state after the item, kept with it @throws LowrankError E_WRITE */
  put(item: string, front: Front): void {
    const line = Buffer.from(`${JSON.stringify({ item, front })}\n`);
    try {
      for (let at = 0; at < line.length; ) at += writeSync(this.#fd, line, at, line.length - at, this.#size + at);
    } catch (error) {
      throw writeError(error, this.#spool);
    }
    this.#size += line.length;
    this.#saved.front = front;
    this.#wake();
  }

  /** Delivers the rest where the server takes it soon. @returns bytes that are left */
  async end(): Promise<number> {
    const { lastMs } = this.#shipping.pace;
    this.#ending = true;
    this.#progressAt = Date.now();
    this.#wake();
    const watch = setInterval(() => {
      if (Date.now() - this.#progressAt >= lastMs) this.#given.abort();
    }, lastMs / 50);
    await this.#work;
    clearInterval(watch);
    await this.#reader?.close();
    closeSync(this.#fd);
    const left = this.#size - this.#saved.sent;
    if (left === 0) {
      rmSync(this.#spool, { force: true });
      this.#saved.sent = 0;
    }
    this.#save();
    return left;
  }

  async #run(): Promise<void> {
    const { begin, deliver, failed, pace } = this.#shipping;
    const { everyMs, lastMs } = pace;
    const { signal } = this.#given;
    let failures = 0;
    while (!signal.aborted) {
      if (this.#saved.sent === this.#size) {
        if (this.#ending) return;
        await this.#pause(undefined);
        if (!this.#ending) await this.#pause(everyMs, true);
        continue;
      }
      try {
        const { items, next } = await this.#read();
        if (!this.#isKnown) await begin(this.#saved.state, signal);
        this.#isKnown = true;
        const isTaken = await this.#taken(items, async () => {
          await deliver(items, this.#saved.state, signal, () => {
            this.#progressAt = Date.now();
          });
        });
        this.#progressAt = Date.now();
        failures = 0;
        if (!isTaken) continue;
        this.#saved.sent = next;
        this.#save();
      } catch (error) {
        failures++;
        const why = signal.aborted ? new Error("the server does not answer") : error;
        if (!this.#hasFailed) failed(why, this.#spool);
        this.#hasFailed = true;
        if (this.#ending && failures >= LAST_ATTEMPTS) return;
        const backOff = Math.min(LONGEST_PAUSE_MS, everyMs * 2 ** (failures - 1));
        const wanted = (error instanceof Refused ? error.afterMs : undefined) ?? backOff;
        if (this.#ending) await this.#pause(Math.min(wanted, lastMs / 10), true);
        else {
          await this.#pause(wanted, true);
          if (this.#ending) failures = 0;
        }
      }
    }
  }

  /** @returns false where fewer items are to be tried: one of them is invalid */
  async #taken(items: string[], delivery: () => Promise<void>): Promise<boolean> {
    try {
      await delivery();
      this.#most = Number.POSITIVE_INFINITY;
      return true;
    } catch (error) {
      if (!(error instanceof Refused) || !INVALID.includes(error.status)) throw error;
      this.#most = Math.ceil(items.length / 2);
      if (items.length > 1) return false;
      const file = `${this.#shipping.path}.refused`;
      appendFileSync(file, `${items[0]}\n`);
      if (!this.#hasRefused) this.#shipping.refused(error, items[0]!, file);
      this.#hasRefused = true;
      return true;
    }
  }

  /** @param isDeaf whether new items do not end it; the end and the signal do */
  #pause(milliseconds: number | undefined, isDeaf = false): Promise<void> {
    return new Promise((resolve) => {
      const timer = milliseconds === undefined ? undefined : setTimeout(done, milliseconds).unref();
      const { signal } = this.#given;
      const ended = this.#ending;
      const wake = () => {
        if (!isDeaf || this.#ending !== ended) done();
      };
      this.#wake = wake;
      signal.addEventListener("abort", done, { once: true });
      function done() {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
    });
  }

  async #read(): Promise<{ items: string[]; next: number }> {
    this.#reader ??= await open(this.#spool, "r");
    for (let most = BATCH; ; most *= 2) {
      const bytes = Buffer.alloc(Math.min(most, this.#size - this.#saved.sent));
      const { bytesRead } = await this.#reader.read(bytes, 0, bytes.length, this.#saved.sent);
      const end = bytes.subarray(0, bytesRead).lastIndexOf("\n") + 1;
      if (end === 0 && bytesRead === most) continue;
      if (end === 0) throw new Error(`${this.#spool} was cut while the run went on`);
      const lines = bytes
        .toString("utf8", 0, end - 1)
        .split("\n")
        .slice(0, this.#most);
      const length = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
      return { items: lines.map((line) => JSON.parse(line).item), next: this.#saved.sent + length };
    }
  }

  #save(): void {
    saveNote(this.#note, this.#saved);
  }
}

/** A small JSON file; undefined where it is not there. */
export function readNote<T>(path: string): T | undefined {
  return statSync(path, { throwIfNoEntry: false }) && (JSON.parse(readFileSync(path, "utf8")) as T);
}

/** Under another name first: the file is never half written. */
export function saveNote(path: string, content: unknown): void {
  writeFileSync(`${path}.tmp`, JSON.stringify(content));
  renameSync(`${path}.tmp`, path);
}
