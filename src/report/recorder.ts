// Keeps report.json while a run goes on, and writes its page at the end.
import { mkdirSync } from "node:fs";
import type { TrackedRun, Tracker } from "../tracking/trackers/index.js";
import type { RunEvent } from "../trainer/index.js";
import { type RunFacts, readFacts, readRun, type SampleFacts, writeFacts } from "./facts.js";

/** The facts of a run that are known before its first step. */
export type KnownFacts = Pick<RunFacts, "name" | "versions" | "config" | "parameters" | "memory" | "data">;

/** The kind of work that ends with an event. */
const WORK: Partial<Record<RunEvent["type"], string>> = {
  start: "preparing",
  step: "training",
  skipped: "training",
  evaluating: "evaluating",
  eval: "evaluating",
  checkpoint: "saving",
  best: "saving",
  end: "saving",
  sampling: "samples",
  sample: "samples",
};

export class ReportRecorder implements Tracker {
  readonly name = "report.html";
  /** Drawing is work of this process, and the runs of a sweep end at the same time. */
  readonly endMs = 600_000;
  readonly #folder: string;
  readonly #known: KnownFacts;
  #facts: RunFacts | null = null;
  /** Whether the facts' samples are this start's. */
  #hasSamples = false;
  /** When the work in progress was begun, by the run's clock. */
  #since: number;
  readonly #now: () => number;

  /**
   * @param since when the run was begun
   * @param now the run's clock, in milliseconds
   */
  constructor(folder: string, known: KnownFacts, since: number, now = () => performance.now()) {
    this.#now = now;
    this.#folder = folder;
    this.#known = known;
    this.#since = since;
  }

  start({ history }: TrackedRun): void {
    // A run that goes on adds to its times.
    const before = history.length > 0 ? readFacts(this.#folder) : null;
    this.#facts = {
      version: 1,
      ...this.#known,
      started: before?.started ?? new Date().toISOString(),
      ended: null,
      state: "running",
      steps: null,
      peak_memory_bytes: null,
      seconds: before?.seconds ?? {},
      // Until there are new ones: a run with nothing left to do makes none.
      samples: before?.samples ?? [],
    };
    this.#hasSamples = false;
  }

  event(event: RunEvent): void {
    const facts = this.#facts!;
    const work = WORK[event.type];
    if (work) {
      const now = this.#now();
      facts.seconds[work] = (facts.seconds[work] ?? 0) + (now - this.#since) / 1000;
      this.#since = now;
    }
    if (event.type === "start") facts.steps = event.steps;
    if (event.type === "sample") {
      if (!this.#hasSamples) facts.samples = [];
      this.#hasSamples = true;
      facts.samples.push(sampleFacts(event.sample));
    }
    if (event.type === "end") {
      facts.state = event.aborted ? "stopped" : event.stoppedEarly ? "stopped early" : "finished";
      facts.peak_memory_bytes = event.summary.peak_memory_bytes;
      facts.ended = new Date().toISOString();
    }
    if (event.type === "start" || event.type === "checkpoint" || event.type === "end") this.#write();
  }

  /** Writes the page, by code that is loaded now. */
  async end(): Promise<void> {
    const facts = this.#facts!;
    facts.ended ??= new Date().toISOString();
    if (facts.state === "running") facts.state = "failed";
    this.#write();
    const { writeReport } = await import("./files.js");
    await writeReport([readRun(this.#folder)], this.#folder);
  }

  #write(): void {
    mkdirSync(this.#folder, { recursive: true });
    writeFacts(this.#folder, this.#facts!);
  }
}

function sampleFacts({ prompt, base_text, text }: { prompt: string; base_text?: string; text: string }): SampleFacts {
  return { prompt, ...(base_text === undefined ? {} : { before: base_text }), after: text };
}
