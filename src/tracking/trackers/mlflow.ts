// MLflow by its REST interface: parameters, metrics, tags, samples and the adapter of a run.
import { createReadStream, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { PassThrough } from "node:stream";
import type { Body } from "../../net/request.js";
import type { RunEvent } from "../../trainer/index.js";
import { requestJson, shortened } from "./http.js";
import { type Heard, isNews, namedMetrics } from "./metrics.js";
import type { MlflowSettings } from "./mlflow-settings.js";
import { Outbox, PACE, Refused } from "./outbox.js";
import type { Told, TrackedRun, Tracker } from "./tracker.js";

/** Limits of the server: of a log-batch, and of a value. */
const MOST_METRICS = 1000;
const MOST_PARAMS = 100;
const LONGEST_PARAM = 6000;

interface Metric {
  key: string;
  /** A number, or a text where JSON has no number. */
  value: number | string;
  timestamp: number;
  step: number;
}

type Item = { metrics: Metric[] } | { samples: string } | { artifacts: string[] } | { status: string; at: number };

interface State {
  runId: string | null;
  artifacts: string | null;
}

/** Names of the server's: letters, digits, and `_ - . : /` and blanks. */
const nameOf = (name: string) => name.replace(/[^\p{L}\p{N}_\-.:/ ]/gu, "_");

/** JSON has no NaN: the server takes it as a text. Infinities become its largest numbers there. */
const asSent = (value: number) => (Number.isFinite(value) ? value : String(value));

export class Mlflow implements Tracker {
  readonly name = "MLflow";
  readonly endMs = 600_000;
  readonly #settings: MlflowSettings;
  readonly #folder: string;
  readonly #config: Record<string, unknown>;
  readonly #pace: typeof PACE;
  #outbox: Outbox<State, Heard> | null = null;
  #told: Told | null = null;
  #heard: Heard = { train: -1, eval: -1 };
  #status = "FAILED";
  readonly #samples: string[][] = [];

  /** @param folder the run's */
  constructor(settings: MlflowSettings, folder: string, config: Record<string, unknown>, pace = PACE) {
    this.#settings = settings;
    this.#folder = folder;
    this.#config = config;
    this.#pace = pace;
  }

  /** @throws LowrankError E_WRITE */
  start({ history, ...told }: TrackedRun & Told): void {
    this.#told = told;
    this.#outbox = new Outbox<State, Heard>({
      ...{ path: join(this.#folder, ".trackers", "mlflow"), pace: this.#pace },
      fresh: { runId: this.#settings.runId ?? null, artifacts: null },
      begin: (state, signal) => this.#begin(state, signal),
      deliver: (items, state, signal, progress) =>
        this.#deliver(
          items.map((item) => JSON.parse(item)),
          { state, signal, progress },
        ),
      failed: (error, file) =>
        told.warn(`MLflow fails, and the run goes on: ${(error as Error).message}. Its lines wait in ${file}`),
      refused: (error, item, file) =>
        told.warn(
          `${error.message}, and would do so again: ${shortened(item)} is kept in ${file}, with others of its kind`,
        ),
    });
    this.#heard = this.#outbox.front ?? this.#heard;
    for (const metrics of history) this.#line(metrics);
    this.#put({ metrics: [] });
  }

  /** @throws LowrankError E_WRITE */
  event(event: RunEvent): void {
    if (event.type === "step" && event.metrics) this.#line(event.metrics);
    if (event.type === "eval") this.#line(event.metrics);
    if (event.type === "sample") this.#samples.push([event.sample.prompt, event.sample.text]);
    if (event.type === "end") {
      this.#status = event.aborted ? "KILLED" : "FINISHED";
      const { step, epoch: _, ...summary } = event.summary;
      this.#metrics(summary, step);
      const data = this.#samples;
      if (data.length > 0) this.#put({ samples: JSON.stringify({ columns: ["prompt", "text"], data }) });
      if (this.#settings.logsArtifacts) this.#put({ artifacts: adapterFiles(this.#folder) });
    }
  }

  async end(): Promise<void> {
    if (!this.#outbox) return;
    this.#put({ status: this.#status, at: Date.now() });
    const left = await this.#outbox.end();
    if (left > 0) this.#told?.warn(`MLflow lacks ${left} bytes of lines of this run, which --resume sends`);
  }

  #line(metrics: object): void {
    if (!("loss" in metrics || "eval_loss" in metrics) || !isNews(metrics, this.#heard)) return;
    const { step, values } = namedMetrics(metrics);
    this.#metrics(values, step);
  }

  #metrics(values: object, step: number): void {
    const timestamp = Date.now();
    const numbers = Object.entries(values).filter(([, value]) => typeof value === "number");
    this.#put({
      metrics: numbers.map(([key, value]) => ({ key: nameOf(key), value: asSent(value), timestamp, step })),
    });
  }

  #put(item: Item): void {
    this.#outbox?.put(JSON.stringify(item), this.#heard);
  }

  async #deliver(items: Item[], { state, signal, progress }: Delivery): Promise<void> {
    const run_id = state.runId!;
    const metrics = items.flatMap((item) => ("metrics" in item ? item.metrics : []));
    for (let at = 0; at < metrics.length; at += MOST_METRICS) {
      await this.#ask("runs/log-batch", { run_id, metrics: metrics.slice(at, at + MOST_METRICS) }, signal);
    }
    for (const item of items) {
      if ("samples" in item) await this.#upload("samples.json", textOf(item.samples), state, signal);
      if ("artifacts" in item) {
        for (const file of item.artifacts) {
          await this.#upload(`adapter/${basename(file)}`, fileOf(file, progress), state, signal);
          progress();
        }
      }
      if ("status" in item) {
        await this.#ask("runs/update", { run_id, status: item.status, end_time: item.at }, signal);
      }
    }
  }

  /** Makes the run on the server, or goes on with it, and sends its parameters. */
  async #begin(state: State, signal: AbortSignal): Promise<void> {
    const { experiment, runName, tags } = this.#settings;
    if (state.runId) await this.#ask("runs/update", { run_id: state.runId, status: "RUNNING" }, signal);
    else {
      const experiment_id = await this.#experiment(experiment, signal);
      const named = runName === undefined ? {} : { run_name: runName };
      const own = { "mlflow.source.name": "lowrank", "mlflow.source.type": "LOCAL", ...tags };
      const listed = Object.entries(own).map(([key, value]) => ({ key, value: String(value) }));
      const asked = { experiment_id, ...named, start_time: Date.now(), tags: listed };
      const { run } = (await this.#ask("runs/create", asked, signal)) as { run: { info: RunInfo } };
      state.runId = run.info.run_id;
      const { experiment_id: at } = run.info;
      this.#told?.tell(`MLflow shows the run at ${this.#settings.uri}/#/experiments/${at}/runs/${state.runId}`);
    }
    const found = (await this.#ask(`runs/get?run_id=${encodeURIComponent(state.runId)}`, undefined, signal)) as Found;
    state.artifacts = found.run.info.artifact_uri;
    const known = new Set((found.run.data?.params ?? []).map(({ key }) => key));
    const params = paramsOf(this.#config).filter(({ key }) => !known.has(key));
    for (let at = 0; at < params.length; at += MOST_PARAMS) {
      await this.#ask("runs/log-batch", { run_id: state.runId, params: params.slice(at, at + MOST_PARAMS) }, signal);
    }
  }

  async #experiment(name: string, signal: AbortSignal): Promise<string> {
    const find = () =>
      this.#ask(`experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`, undefined, signal) as Promise<{
        experiment: { experiment_id: string };
      }>;
    try {
      return (await find()).experiment.experiment_id;
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
    }
    return ((await this.#ask("experiments/create", { name }, signal)) as { experiment_id: string }).experiment_id;
  }

  /** By the server's proxy; other places of artifacts have protocols of their own. */
  async #upload(path: string, body: Body, state: State, signal: AbortSignal): Promise<void> {
    const place = /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.*)$/.exec(state.artifacts ?? "")?.[1];
    if (place === undefined) return;
    const parts = `${place}/${path}`.split("/").map(encodeURIComponent).join("/");
    await this.#request(`/api/2.0/mlflow-artifacts/artifacts/${parts}`, "PUT", { body }, signal);
  }

  #ask(method: string, content: object | undefined, signal: AbortSignal): Promise<unknown> {
    const sent = content === undefined ? {} : { text: JSON.stringify(content) };
    return this.#request(`/api/2.0/mlflow/${method}`, content ? "POST" : "GET", sent, signal);
  }

  #request(path: string, method: string, sent: { text?: string; body?: Body }, signal: AbortSignal): Promise<unknown> {
    const { uri, authorization } = this.#settings;
    const type = sent.body ? "application/octet-stream" : "application/json";
    return requestJson(new URL(uri + path), {
      ...{ method, signal, name: "MLflow", ...sent },
      headers: { "content-type": type, ...(authorization && { authorization }) },
      refused: "check MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    });
  }
}

interface Delivery {
  state: State;
  signal: AbortSignal;
  progress: () => void;
}

interface RunInfo {
  run_id: string;
  experiment_id: string;
  artifact_uri: string;
}

interface Found {
  run: { info: RunInfo; data?: { params?: { key: string }[] } };
}

/** Settings as texts; the server cuts longer ones without a word. */
function paramsOf(config: Record<string, unknown>): { key: string; value: string }[] {
  const given = Object.entries(config).filter(([, value]) => value !== undefined);
  return given.map(([key, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return { key: nameOf(key), value: text.length > LONGEST_PARAM ? `${text.slice(0, LONGEST_PARAM - 3)}...` : text };
  });
}

/** The adapter and the files beside it. */
function adapterFiles(folder: string): string[] {
  const names = readdirSync(folder).filter((name) =>
    /^(adapter_|tokenizer|special_tokens|chat_template|README)/.test(name),
  );
  return names.map((name) => join(folder, name)).filter((file) => statSync(file).isFile());
}

function textOf(text: string): Body {
  const bytes = Buffer.from(text);
  const open = () => new PassThrough().end(bytes);
  return { bytes: bytes.length, open };
}

function fileOf(file: string, progress: () => void): Body {
  const open = () => createReadStream(file).on("data", progress);
  return { bytes: statSync(file).size, open };
}
