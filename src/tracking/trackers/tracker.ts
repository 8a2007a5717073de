import type { RunEvent } from "../../trainer/index.js";

/** A run that is tracked. */
export interface TrackedRun {
  /** Lines of metrics of the run so far, where it goes on from a checkpoint. */
  history: object[];
}

/** Ways for a tracker to reach people between its calls. */
export interface Told {
  /** News, such as the address of the run's page. */
  tell: (message: string) => void;
  warn: (message: string) => void;
}

/**
 * Writes down the events of a run in a format of its own: one file each in this folder. The command and the library feed trackers
 * alike. A tracker's first exception or rejected promise is a warning of the run. Later ones are silent. None ends the run: the
 * tracker goes on being fed. At the end of the run a promise that does not settle is left alone after some seconds. Timers and
 * connections of a tracker must not keep the process alive.
 */
export interface Tracker {
  /** The tracker's name in warnings. */
  readonly name: string;
  /** Milliseconds that the end of a run waits for the tracker at most, where they are more than usual. */
  readonly endMs?: number;
  /** Before the first event, when the output folder is there. */
  start(run: TrackedRun & Told): void | Promise<void>;
  /** Every event of the training in order, one at a time; the run does not wait for a promise. `end` is missing where the run fails. */
  event(event: RunEvent): void | Promise<void>;
  /** The run is over, also where it failed. */
  end(): void | Promise<void>;
}
