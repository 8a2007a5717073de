import { LowrankError } from "../errors.js";

/**
 * What a trainer is doing:
 * idle, running (a step is being made), paused (a run waits for its reader to take the next event), working (one of
 * the other methods), broken (a run failed) or closed.
 */
export type TrainerState = "idle" | "running" | "paused" | "working" | "broken" | "closed";

/** Lets one thing happen at a time. */
export class Gate {
  #state: TrainerState = "idle";
  #hasRun = false;

  get state(): TrainerState {
    return this.#state;
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
    if (this.#state === "running") this.#state = "paused";
  }

  resume(): void {
    if (this.#state === "paused") this.#state = "running";
  }

  endRun(isBroken: boolean): void {
    if (this.#state !== "closed") this.#state = isBroken ? "broken" : "idle";
  }

  /** Takes the trainer for something that a run must not be in the middle of. @returns a function that gives it back */
  enter(method: string): () => void {
    this.#refuse(method);
    const before = this.#state;
    if (before !== "idle" && before !== "paused") throw busy(method, before);
    this.#state = "working";
    return () => {
      if (this.#state === "working") this.#state = before;
    };
  }

  /** @returns whether it was open */
  close(): boolean {
    const wasOpen = this.#state !== "closed";
    this.#state = "closed";
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
