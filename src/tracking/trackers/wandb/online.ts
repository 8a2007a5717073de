// The requests of wandb's own client: GraphQL for the run, file_stream for its lines, uploads for its files.
import { hostname } from "node:os";
import { basic } from "../../../net/credentials.js";
import { requestJson, shortened } from "../http.js";
import { Outbox, type Pace } from "../outbox.js";
import { type Item, type JsonValues, objectJson, type Sink, textsOf, type WandbRun, wandbJson } from "./run.js";
import { pagesOf, type WandbSettings } from "./settings.js";

const UPSERT = `mutation UpsertBucket($id: String, $name: String, $project: String, $entity: String, $groupName: String, $description: String, $displayName: String, $notes: String, $commit: String, $config: JSONString, $host: String, $debug: Boolean, $program: String, $repo: String, $jobType: String, $state: String, $sweep: String, $tags: [String!], $summaryMetrics: JSONString) {
  upsertBucket(input: {id: $id, name: $name, groupName: $groupName, modelName: $project, entityName: $entity, description: $description, displayName: $displayName, notes: $notes, config: $config, commit: $commit, host: $host, debug: $debug, jobProgram: $program, jobRepo: $repo, jobType: $jobType, state: $state, sweep: $sweep, tags: $tags, summaryMetrics: $summaryMetrics}) {
    bucket { id name displayName description config sweepName project { id name entity { id name } } historyLineCount }
    inserted
  }
}`;
const RESUME = `query RunResumeStatus($project: String, $entity: String, $name: String!) {
  model(name: $project, entityName: $entity) {
    id
    name
    entity { id name }
    bucket(name: $name, missingOk: true) { id name summaryMetrics displayName logLineCount historyLineCount eventsLineCount historyTail eventsTail config tags notes }
  }
}`;
const FILES = `mutation CreateRunFiles($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
  createRunFiles(input: {entityName: $entity, projectName: $project, runName: $run, files: $files}) {
    runID
    uploadHeaders
    files { name uploadUrl }
  }
}`;

/** The charts' axis, in wandb's own compact form of define_metric. */
const METRICS = [
  { 1: "train/global_step", 6: [3], 7: [] },
  { 2: "*", 5: 1, 6: [1, 3], 7: [] },
];

interface Bucket {
  displayName?: string;
  project?: { name?: string; entity?: { name?: string } };
}

interface Earlier {
  historyLineCount?: number;
  eventsLineCount?: number;
  logLineCount?: number;
  historyTail?: string;
  summaryMetrics?: string;
}

/** The server's part of a run. */
interface State {
  run: WandbRun;
  /** Lines that the server has. */
  lines: { history: number; events: number; output: number };
  /** Added to each `_step`: steps of a run that was begun elsewhere. */
  firstStep: number;
  summary: JsonValues;
  uploaded: string[];
  isResumed: boolean;
}

export interface Telling {
  tell: (message: string) => void;
  warn: (message: string) => void;
}

/** A post of file_stream. */
interface Stream {
  history: string[];
  events: string[];
  output: string[];
}

const emptyStream = (): Stream => ({ history: [], events: [], output: [] });

export class Online<Front> implements Sink<Front> {
  readonly #settings: WandbSettings;
  readonly #outbox: Outbox<State, Front>;
  readonly #telling: Telling;
  /** This process's run, as it is to be called and configured. */
  readonly #run: WandbRun;

  /** @param path of the spool, without an ending @throws LowrankError E_WRITE */
  constructor(run: WandbRun, settings: WandbSettings, path: string, telling: Telling, pace: Pace) {
    this.#settings = settings;
    this.#telling = telling;
    this.#run = run;
    const lines = { history: 0, events: 0, output: 0 };
    this.#outbox = new Outbox<State, Front>({
      ...{ path, pace },
      fresh: { run, lines, firstStep: 0, summary: {}, uploaded: [], isResumed: false },
      begin: (state, signal) => this.#begin(state, signal),
      deliver: (items, state, signal) =>
        this.#deliver(
          items.map((item) => JSON.parse(item)),
          state,
          signal,
        ),
      failed: (error, file) =>
        telling.warn(`W&B fails, and the run goes on: ${(error as Error).message}. Its lines wait in ${file}`),
      refused: (error, item, file) =>
        telling.warn(
          `${error.message}, and would do so again: ${shortened(item)} is kept in ${file}, with others of its kind`,
        ),
    });
  }

  get front(): Front | null {
    return this.#outbox.front;
  }

  put(item: Item, front: Front): void {
    this.#outbox.put(JSON.stringify(item), front);
  }

  async end(): Promise<void> {
    const left = await this.#outbox.end();
    if (left === 0) return;
    this.#telling.warn(`W&B lacks ${left} bytes of lines of this run, which --resume sends`);
  }

  async #deliver(items: Item[], state: State, signal: AbortSignal): Promise<void> {
    const stream = emptyStream();
    const { summary } = state;
    const merged = { ...summary };
    let exit: number | undefined;
    const files: { file: string; text: string }[] = [];
    for (const item of items) {
      if ("history" in item) {
        const _step = String(item.step + state.firstStep);
        stream.history.push(objectJson({ ...item.history, _step }));
      } else if ("summary" in item) {
        Object.assign(merged, item.summary);
        if (item.summary._step) merged._step = String(Number(item.summary._step) + state.firstStep);
      } else if ("stats" in item) stream.events.push(eventLine(item));
      else if ("output" in item)
        stream.output.push(`${new Date(item.timestamp).toISOString().slice(0, -1)} ${item.output}`);
      else if ("file" in item) files.push(item);
      else {
        exit = item.exit;
        merged._wandb = wandbJson({ runtime: item.runtime });
      }
    }
    if (exit !== undefined) files.push(...this.#lastFiles(merged));
    if (files.length > 0) await this.#upload(files, state, signal);
    const uploaded = [...new Set([...state.uploaded, ...files.map(({ file }) => file)])];
    const post = {
      files: {
        ...filed("wandb-history.jsonl", stream.history, state.lines.history),
        ...filed("wandb-events.jsonl", stream.events, state.lines.events),
        ...filed("output.log", stream.output, state.lines.output),
        ...filed("wandb-summary.json", Object.keys(merged).length > 0 ? [objectJson(merged)] : [], 0),
      },
      ...(files.length > 0 && { uploaded: files.map(({ file }) => file) }),
      ...(exit !== undefined && { complete: true, exitcode: exit }),
    };
    await this.#ask(this.#streamUrl(state.run), post, signal);
    state.uploaded = uploaded;
    state.summary = merged;
    state.lines.history += stream.history.length;
    state.lines.events += stream.events.length;
    state.lines.output += stream.output.length;
  }

  /** Makes the run on the server, or finds it there. */
  async #begin(state: State, signal: AbortSignal): Promise<void> {
    const { resume, runId } = this.#settings;
    const isOurs = state.lines.history + state.lines.events > 0;
    if (runId && resume && !isOurs && !state.isResumed) await this.#resume(state, signal);
    const run = { ...this.#run, project: state.run.project, entity: state.run.entity };
    const { id, project, entity, name, tags, notes, group, jobType, config } = run;
    const own = { m: METRICS, cli_version: "0.31.0", t: { 5: "0.31.0" } };
    const values = Object.entries({ ...config, _wandb: own })
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, { value }]);
    const answer = await this.#query<{ upsertBucket?: { bucket?: Bucket } }>(
      "UpsertBucket",
      UPSERT,
      {
        ...{ name: id, project, entity, displayName: name, notes, groupName: group, jobType, host: hostname() },
        config: wandbJson(Object.fromEntries(values)),
        tags: tags.length > 0 ? tags : undefined,
      },
      signal,
    );
    const bucket = answer.upsertBucket?.bucket;
    const owner = bucket?.project?.entity?.name;
    if (!owner) throw new Error("the answer to UpsertBucket names no entity");
    state.run = { ...run, config: {}, entity: owner, project: bucket.project?.name ?? project };
    const page = `${pagesOf(this.#settings.baseUrl)}/${encodeURIComponent(owner)}/${encodeURIComponent(state.run.project)}/runs/${id}`;
    this.#telling.tell(`W&B shows the run ${bucket.displayName ?? id} at ${page}`);
  }

  /** Goes on with a run of the same id that another folder, or another program, has begun. */
  async #resume(state: State, signal: AbortSignal): Promise<void> {
    const { id, project, entity } = this.#run;
    const answer = await this.#query<{ model?: { bucket?: Earlier } }>(
      "RunResumeStatus",
      RESUME,
      { project, entity, name: id },
      signal,
    );
    const earlier = answer.model?.bucket;
    const { resume } = this.#settings;
    if (!earlier && resume === "must") throw new Error(`WANDB_RESUME is must, and there is no run ${id}`);
    if (earlier && resume === "never") throw new Error(`WANDB_RESUME is never, and there is a run ${id}`);
    if (!earlier) return;
    state.lines = {
      history: earlier.historyLineCount ?? 0,
      events: earlier.eventsLineCount ?? 0,
      output: earlier.logLineCount ?? 0,
    };
    state.firstStep = lastStep(earlier.historyTail) + 1;
    state.summary = textsOf(parsed(earlier.summaryMetrics) ?? {});
    state.isResumed = true;
  }

  #lastFiles(summary: JsonValues): { file: string; text: string }[] {
    const metadata = {
      os: `${process.platform}-${process.arch}`,
      startedAt: new Date(this.#run.startedAt).toISOString(),
      host: hostname(),
    };
    const config = Object.entries(this.#run.config)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, wandbJson({ value })]);
    return [
      { file: "wandb-metadata.json", text: JSON.stringify(metadata) },
      { file: "wandb-summary.json", text: objectJson(summary) },
      // JSON is YAML.
      { file: "config.yaml", text: objectJson(Object.fromEntries(config)) },
    ];
  }

  async #upload(files: { file: string; text: string }[], { run }: State, signal: AbortSignal): Promise<void> {
    const { entity, project, id } = run;
    const names = files.map(({ file }) => file);
    interface Places {
      createRunFiles?: { uploadHeaders?: string[]; files?: { name: string; uploadUrl: string }[] };
    }
    const answer = await this.#query<Places>(
      "CreateRunFiles",
      FILES,
      { entity, project, run: id, files: names },
      signal,
    );
    const { files: places = [], uploadHeaders = [] } = answer.createRunFiles ?? {};
    const headers = Object.fromEntries(uploadHeaders.map((line) => line.split(/:\s*(.*)/s).slice(0, 2)));
    for (const { file, text } of files) {
      const place = places.find(({ name }) => name === file);
      if (!place) throw new Error(`W&B gives no place for ${file}`);
      const url = new URL(place.uploadUrl, `${this.#settings.baseUrl}/`);
      await requestJson(url, { method: "PUT", headers, text, signal, name: "W&B" });
    }
  }

  async #query<T>(operationName: string, query: string, variables: object, signal: AbortSignal): Promise<T> {
    const asked = { query, variables, operationName };
    const answer = (await this.#ask("/graphql", asked, signal)) as { data?: T; errors?: { message?: string }[] };
    const problem = answer?.errors?.[0];
    if (problem) throw new Error(`W&B answers ${operationName}: ${this.#clean(String(problem.message))}`);
    if (!answer?.data) throw new Error(`W&B's answer to ${operationName} has no data`);
    return answer.data;
  }

  #streamUrl({ entity, project, id }: WandbRun): string {
    return `/files/${[entity!, project, id].map(encodeURIComponent).join("/")}/file_stream`;
  }

  #ask(path: string, content: unknown, signal: AbortSignal): Promise<unknown> {
    const { baseUrl, apiKey } = this.#settings;
    return requestJson(new URL(baseUrl + path), {
      ...{ method: "POST", signal, name: "W&B", text: JSON.stringify(content) },
      headers: {
        authorization: basic("api", apiKey!),
        "content-type": "application/json",
      },
      refused: `the API key is not accepted: get one at ${pagesOf(baseUrl)}/authorize`,
    });
  }

  #clean(text: string): string {
    const { apiKey } = this.#settings;
    return (apiKey ? text.replaceAll(apiKey, "...") : text).slice(0, 300);
  }
}

const filed = (name: string, content: string[], offset: number) =>
  content.length === 0 ? {} : { [name]: { offset, content } };

function eventLine({ stats, timestamp, runtime }: Extract<Item, { stats: JsonValues }>): string {
  const named = Object.entries(stats).map(([key, text]) => [`system.${key}`, text]);
  const own = { _wandb: true, _timestamp: timestamp / 1000, _runtime: runtime };
  return objectJson({ ...Object.fromEntries(named), ...textsOf(own) });
}

/** A JSON text of the server, which may hold bare NaN; undefined where it is none. */
function parsed(text: string | undefined): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text ?? "") ?? undefined;
  } catch {
    return undefined;
  }
}

/** The largest `_step` of a run's last lines, a JSON list of JSON texts; -1 where there is none. */
function lastStep(tail: string | undefined): number {
  const steps = [...(tail ?? "").matchAll(/"_step\\*":\s*(\d+)/g)].map(([, step]) => Number(step));
  return Math.max(-1, ...steps);
}
