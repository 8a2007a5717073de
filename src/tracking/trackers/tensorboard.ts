import { mkdirSync, readdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { RunEvent } from "../../trainer/index.js";
import { EventFile } from "./event-file.js";
import { namedMetrics } from "./metrics.js";
import type { TrackedRun, Tracker } from "./tracker.js";

const PREFIX = "events.out.tfevents.";

/** Event files for TensorBoard: `tensorboard --logdir FOLDER`. A run that goes on begins another file, and its steps are not doubled. */
export class TensorBoard implements Tracker {
  readonly name = "TensorBoard";
  readonly #folder: string;
  #file: EventFile | null = null;

  /** @param folder made where there is none */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws LowrankError E_WRITE */
  start({ history }: TrackedRun): void {
    mkdirSync(this.#folder, { recursive: true });
    const isThere = readdirSync(this.#folder).some((name) => name.startsWith(PREFIX));
    const lines = history.map(namedMetrics);
    const last = lines.reduce((most, { step }) => Math.max(most, step), -1);
    // Events of earlier files up to this step keep their times.
    const kept = isThere ? last + 1 : 0;
    this.#file = new EventFile(this.#newFile(), kept);
    for (const { step, values } of lines) if (step >= kept) this.#file.scalars(step, values);
  }

  /** @throws LowrankError E_WRITE */
  event(event: RunEvent): void {
    const metrics = event.type === "step" || event.type === "eval" ? event.metrics : null;
    if (!metrics) return;
    const { step, values } = namedMetrics(metrics);
    this.#file?.scalars(step, values);
  }

  end(): void {
    this.#file?.close();
  }

  /**
   * Readers take the files of a folder in the order of their names. So the seconds in a new name are later than in the existing
   * names.
   */
  #newFile(): string {
    const times = readdirSync(this.#folder)
      .filter((name) => name.startsWith(PREFIX))
      .map((name) => Number.parseInt(name.slice(PREFIX.length), 10) || 0);
    const seconds = Math.max(Math.floor(Date.now() / 1000), ...times.map((time) => time + 1));
    return join(this.#folder, `${PREFIX}${String(seconds).padStart(10, "0")}.${hostname()}.${process.pid}.0`);
  }
}
