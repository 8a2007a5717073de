import { LowrankError } from "../base/errors.js";

/**
 * The state of a trainer:
 * idle, running (a step is being made), paused (a run waits for its reader to take the next event), working (one of
 * the other methods), broken (a run failed) or closed.
 */
export type TrainerState = "idle" | "running" | "paused" | "working" | "broken" | "closed";

/** Somebody who waits for a pause. */
interface Waiting {
  method: string;
  enter(leave: () => void): void;
  fail(error: LowrankError): void;
}

/** Lets one thing happen at a time. */
export class Gate {
  #state: TrainerState = "idle";
  /** The state that follows `working`. */
  #before: "idle" | "running" | "paused" | "broken" = "idle";
  /** Lets the run go on, where its reader has asked for the next event and something else is in progress. */
  #goOn: (() => void) | null = null;
  readonly #queue: Waiting[] = [];
  #hasRun = false;

  get state(): TrainerState {
    return this.#state;
  }

  /** Whether a run waits for its reader, who may never come back. */
  get isWithReader(): boolean {
    const state = this.#state === "working" ? this.#before : this.#state;
    return state === "paused" && this.#goOn === null;
  }

  /** @throws LowrankError E_BUSY, E_STATE, E_BROKEN, E_CLOSED */
  beginRun(): void {
    this.#refuse("run");
    if (this.#state !== "idle") throw busy("run", this.#state);
    if (this.#hasRun) {
      throw new LowrankError(
        "E_STATE",
        "run: this trainer has run. Make another one, with init_adapter to go on from an adapter or resume to go on from a checkpoint.",
      );
    }
    this.#hasRun = true;
    this.#state = "running";
  }

  /** An event is with its reader. */
  pause(): void {
    if (this.#state !== "running") return;
    this.#state = "paused";
    this.#admit();
  }

  /** The reader has asked for the next event. @returns when nothing else is in progress */
  async resume(): Promise<void> {
    if (this.#state === "paused") this.#state = "running";
    if (this.#state !== "working" || this.#before !== "paused") return;
    await new Promise<void>((resolve) => {
      this.#goOn = resolve;
    });
  }

  /** The reader has left: the run ends without another step. */
  leave(): void {
    if (this.#state === "paused") this.#state = "running";
    else if (this.#state === "working" && this.#before === "paused") this.#before = "running";
  }

  endRun(isBroken: boolean): void {
    const next = isBroken ? "broken" : "idle";
    if (this.#state === "working") this.#before = next;
    else if (this.#state !== "closed") this.#state = next;
    this.#admit();
  }

  /** Takes the trainer for something that a run must not be in the middle of. @returns a function that gives it back */
  enter(method: string): () => void {
    this.#refuse(method);
    if (this.#state !== "idle" && this.#state !== "paused") throw busy(method, this.#state);
    return this.#take(this.#state);
  }

  /**
   * Like `enter`, but waits until no step and no other call is in progress. Each pause of a run lets in one waiting call,
   * and more calls until the run's reader asks for the next event.
   * @returns null where the signal was raised before
   */
  async enterLater(method: string, signal: AbortSignal | undefined): Promise<(() => void) | null> {
    this.#refuse(method);
    if (signal?.aborted) return null;
    if (this.#state === "idle" || this.#state === "paused") return this.enter(method);
    return new Promise((resolve, fail) => {
      const entry: Waiting = { method, enter: resolve, fail };
      const enter = (leave: (() => void) | null) => {
        signal?.removeEventListener("abort", onAbort);
        resolve(leave);
      };
      const onAbort = () => {
        this.#queue.splice(this.#queue.indexOf(entry), 1);
        enter(null);
      };
      entry.enter = enter;
      signal?.addEventListener("abort", onAbort);
      this.#queue.push(entry);
    });
  }

  #take(before: "idle" | "paused"): () => void {
    this.#state = "working";
    this.#before = before;
    let isHeld = true;
    return () => {
      if (!isHeld || this.#state !== "working") return;
      isHeld = false;
      this.#state = this.#before;
      const goOn = this.#goOn;
      this.#goOn = null;
      if (goOn && this.#state === "paused") this.#state = "running";
      goOn?.();
      this.#admit();
    };
  }

  /** Lets in the next one who waits, if that may be. */
  #admit(): void {
    if (this.#state === "broken" || this.#state === "closed") {
      for (const { method, fail } of this.#queue.splice(0)) {
        try {
          this.#refuse(method);
        } catch (error) {
          fail(error as LowrankError);
        }
      }
    } else if (this.#state === "idle" || this.#state === "paused") {
      this.#queue.shift()?.enter(this.#take(this.#state));
    }
  }

  /** @returns whether it was open */
  close(): boolean {
    const wasOpen = this.#state !== "closed";
    this.#state = "closed";
    this.#goOn?.();
    this.#goOn = null;
    this.#admit();
    return wasOpen;
  }

  #refuse(method: string): void {
    if (this.#state === "closed") throw new LowrankError("E_CLOSED", `${method}: the trainer is closed.`);
    if (this.#state === "broken") {
      throw new LowrankError("E_BROKEN", `${method}: the trainer's run has failed. Close it, and make another one.`);
    }
  }
}

function busy(method: string, state: TrainerState): LowrankError {
  const why: Partial<Record<TrainerState, string>> = {
    running: "a run is in progress: call it while handling one of the run's events, or after the run",
    paused: "a run is in progress",
    working: "another call is in progress: wait for it",
  };
  return new LowrankError("E_BUSY", `${method}: ${why[state]}.`);
}
