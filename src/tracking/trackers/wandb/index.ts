// Weights & Biases: a run's metrics, evaluations, samples, summary and settings, sent as wandb's own client sends them, or
// written for `wandb sync`.
import { createHash, randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { RunEvent } from "../../../trainer/index.js";
import { type Heard, isNews, namedMetrics } from "../metrics.js";
import { PACE, type Pace, readNote } from "../outbox.js";
import type { Told, TrackedRun, Tracker } from "../tracker.js";
import { Offline } from "./offline.js";
import { Online } from "./online.js";
import { type Item, type JsonValues, type Sink, textsOf, type WandbRun, wandbJson } from "./run.js";
import type { WandbSettings } from "./settings.js";
import { SystemMetrics } from "./system.js";

/** Seconds between two lines of system metrics, as of wandb's client. */
const SYSTEM_EVERY_S = 15;
/** The exit code of an interrupted run, which wandb gives it. */
const INTERRUPTED = 255;

/** A tracker's own state, kept with each item. */
interface Front {
  /** `_step` of the next line. */
  step: number;
  heard: Heard;
  /** Seconds that the run has lasted. */
  runtime: number;
}

/** Letters and digits, as wandb makes them. */
function newId(): string {
  return Array.from(randomBytes(8), (byte) => (byte % 36).toString(36)).join("");
}

export class Wandb implements Tracker {
  readonly name = "W&B";
  readonly endMs = 120_000;
  readonly #settings: WandbSettings;
  readonly #folder: string;
  readonly #config: Record<string, unknown>;
  readonly #pace: Pace;
  #sink: Sink<Front> | null = null;
  #front: Front = { step: 0, heard: { train: -1, eval: -1 }, runtime: 0 };
  /** When the run would have begun if it had never been stopped, in milliseconds. */
  #origin = Date.now();
  #exit = 1;
  readonly #samples: string[][] = [];
  #timer: NodeJS.Timeout | undefined;

  /** @param folder the run's */
  constructor(settings: WandbSettings, folder: string, config: Record<string, unknown>, pace = PACE) {
    this.#pace = pace;
    this.#settings = settings;
    this.#folder = folder;
    this.#config = config;
  }

  /** @throws LowrankError E_WRITE */
  start({ history, tell, warn }: TrackedRun & Told): void {
    const own = join(this.#folder, ".trackers");
    const { mode, dir } = this.#settings;
    const run = this.#run(own);
    this.#sink =
      mode === "offline"
        ? new Offline(run, join(own, "wandb-offline.json"), dir ?? this.#folder, tell)
        : new Online(run, this.#settings, join(own, "wandb"), { tell, warn }, this.#pace);
    this.#front = this.#sink.front ?? this.#front;
    this.#origin = Date.now() - 1000 * this.#front.runtime;
    for (const metrics of history) this.#line(metrics);
    const system = new SystemMetrics();
    const measure = () => {
      try {
        this.#put({ stats: textsOf(system.read()), timestamp: Date.now(), runtime: this.#runtime() });
      } catch {}
    };
    measure();
    this.#timer = setInterval(measure, 1000 * SYSTEM_EVERY_S).unref();
  }

  /** @throws LowrankError E_WRITE */
  event(event: RunEvent): void {
    if (event.type === "step" && event.metrics) this.#line(event.metrics);
    if (event.type === "eval") this.#line(event.metrics);
    if (event.type === "warning") this.#put({ output: `warning: ${event.message}`, timestamp: Date.now() });
    if (event.type === "sample") this.#samples.push([event.sample.prompt, event.sample.text]);
    if (event.type === "end") {
      this.#exit = event.aborted ? INTERRUPTED : 0;
      if (this.#samples.length > 0) this.#table();
      const { step: _, epoch: __, ...summary } = event.summary;
      this.#put({ summary: textsOf(summary) });
    }
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    const runtime = Math.round(this.#runtime());
    this.#put({ exit: this.#exit, runtime });
    await this.#sink?.end();
  }

  /** The run, which stays the same where it goes on. */
  #run(own: string): WandbRun {
    const earlier =
      readNote<{ run: WandbRun }>(join(own, "wandb-offline.json"))?.run ??
      readNote<{ state: { run: WandbRun } }>(join(own, "wandb.json"))?.state.run;
    const { project, entity, name, runId, tags, notes, group, jobType } = this.#settings;
    const given = { project, entity, name, tags, notes, group, jobType, config: this.#config, startedAt: Date.now() };
    if (earlier && runId && runId !== earlier.id) rmSync(own, { recursive: true });
    if (!earlier || (runId && runId !== earlier.id)) return { ...given, id: runId ?? newId() };
    return { ...given, id: earlier.id, project: earlier.project, entity: earlier.entity, name: name ?? earlier.name };
  }

  #runtime(): number {
    return (Date.now() - this.#origin) / 1000;
  }

  #line(metrics: object): void {
    if (!("loss" in metrics || "eval_loss" in metrics) || !isNews(metrics, this.#front.heard)) return;
    const { step, values } = namedMetrics(metrics);
    this.#log({ ...textsOf(values), "train/global_step": String(step) });
  }

  #log(values: JsonValues): void {
    const step = this.#front.step++;
    const own = textsOf({ _timestamp: Date.now() / 1000, _runtime: this.#runtime(), _step: step });
    const history = { ...values, ...own };
    this.#put({ history, step });
    this.#put({ summary: history });
  }

  #table(): void {
    const columns = ["prompt", "text"];
    const text = wandbJson({ columns, data: this.#samples });
    const sha256 = createHash("sha256").update(text).digest("hex");
    const path = `media/table/samples_${this.#front.step}_${sha256.slice(0, 20)}.table.json`;
    this.#put({ file: path, text });
    const about = { ncols: columns.length, nrows: this.#samples.length, log_mode: "IMMUTABLE" };
    const file = { _type: "table-file", path, sha256, size: Buffer.byteLength(text), ...about };
    this.#log({ samples: wandbJson(file) });
  }

  #put(item: Item): void {
    this.#front.runtime = this.#runtime();
    this.#sink?.put(item, this.#front);
  }
}
