// Feeds trackers so that none of them can end, stop or delay a run.
import type { RunEvent } from "../../trainer/index.js";
import type { Told, TrackedRun, Tracker } from "./tracker.js";

/** How long the end of a run waits for a tracker. */
const END_MS = 10_000;
/** Events that a slow tracker may be behind. */
const MOST_WAITING = 10_000;

type Call = () => void | Promise<void>;

class Guarded {
  readonly #tracker: Tracker;
  readonly #told: Told;
  /** The tracker's calls in progress, one after the other; null where it is idle. */
  #work: Promise<void> | null = null;
  #waiting = 0;
  /** A tracker hears nothing of a run that fails before its start. */
  #hasStarted = false;
  #hasFailed = false;

  constructor(tracker: Tracker, told: Told) {
    this.#tracker = tracker;
    this.#told = told;
  }

  start(run: TrackedRun): void {
    this.#hasStarted = true;
    this.#call(() => this.#tracker.start({ ...run, ...this.#told }));
  }

  event(event: RunEvent): void {
    this.#call(() => this.#tracker.event(event));
  }

  async end(usual: number): Promise<void> {
    const limit = Math.max(usual, this.#tracker.endMs ?? 0);
    this.#call(() => this.#tracker.end());
    if (!this.#work) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#fail(`it has not ended within ${limit / 1000} s`);
        resolve();
      }, limit);
    });
    await Promise.race([this.#work, late]);
    clearTimeout(timer);
  }

  /** Calls at once where the tracker is idle, else as soon as it is. */
  #call(call: Call): void {
    if (!this.#hasStarted) return;
    if (!this.#work) this.#follow(this.#attempt(call));
    else if (this.#waiting < MOST_WAITING) {
      this.#waiting++;
      this.#follow(
        this.#work.then(() => {
          this.#waiting--;
          return this.#attempt(call) ?? undefined;
        }),
      );
    } else this.#fail(`it is ${MOST_WAITING} events behind`);
  }

  #follow(work: Promise<void> | null): void {
    this.#work = work;
    void work?.then(() => {
      if (this.#work === work) this.#work = null;
    });
  }

  /** @returns the calls in progress, a promise that is never rejected; null where the tracker is idle */
  #attempt(call: Call): Promise<void> | null {
    const fail = (error: unknown) => this.#fail(error instanceof Error ? error.message : String(error));
    try {
      const work = call();
      return work ? Promise.resolve(work).then(() => {}, fail) : null;
    } catch (error) {
      fail(error);
      return null;
    }
  }

  /** The first failure is told. */
  #fail(why: string): void {
    if (!this.#hasFailed) this.#told.warn(`${this.#tracker.name} failed, and the run goes on: ${why}`);
    this.#hasFailed = true;
  }
}

/** The trackers of a run. Nothing here throws. */
export class Trackers {
  readonly #guarded: Guarded[];
  /** A warning for each tracker that failed, until it is told. */
  readonly #warnings: string[] = [];
  readonly #news: string[] = [];

  constructor(trackers: Tracker[]) {
    const told: Told = {
      tell: (message) => void this.#news.push(message),
      warn: (message) => void this.#warnings.push(message),
    };
    this.#guarded = trackers.map((tracker) => new Guarded(tracker, told));
  }

  start(run: TrackedRun): void {
    for (const each of this.#guarded) each.start(run);
  }

  event(event: RunEvent): void {
    for (const each of this.#guarded) each.event(event);
  }

  /** @param limit milliseconds that are waited for trackers that do not end */
  async end(limit = END_MS): Promise<void> {
    await Promise.all(this.#guarded.map((each) => each.end(limit)));
  }

  /** Failures since the last call. */
  takeWarnings(): string[] {
    return this.#warnings.splice(0);
  }

  /** News since the last call. */
  takeNews(): string[] {
    return this.#news.splice(0);
  }
}
