// Servers of trackers on this machine, which can fail in every way, and W&B's among them.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach } from "vitest";

export interface Seen {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  body: string;
}

/** Answers in the place of the server and returns true, or leaves it to the server. */
export type Fault = (seen: Seen, response: ServerResponse) => boolean;

export const json = (response: ServerResponse, content: unknown, status = 200) => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(content));
};

/** It runs while a file of tests does, and is as new before each. */
export abstract class TrackerServer {
  readonly seen: Seen[] = [];
  fault: Fault = () => false;
  url = "";
  readonly #server: Server = createServer((request, response) => void this.#take(request, response));

  constructor() {
    beforeAll(async () => {
      await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
      this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    });
    afterAll(async () => {
      this.#server.closeAllConnections();
      await new Promise((done) => this.#server.close(done));
    });
    beforeEach(() => {
      this.seen.length = 0;
      this.fault = () => false;
      this.clear();
    });
  }

  protected abstract clear(): void;
  /** Its result is nobody's. */
  protected abstract answer(seen: Seen, response: ServerResponse): unknown;

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const seen = {
      method: request.method!,
      path: request.url!,
      headers: request.headers,
      body: Buffer.concat(parts).toString("utf8"),
    };
    this.seen.push(seen);
    if (!this.fault(seen, response)) this.answer(seen, response);
  }
}

/** A run as W&B would show it. */
export interface ShownRun {
  /** Of the last UpsertBucket that had each. */
  variables: Record<string, unknown>;
  config: Record<string, { value: unknown }>;
  history: string[];
  events: string[];
  output: string[];
  summary: string;
  files: Map<string, string>;
  exitcode: number | null;
}

const newRun = (): ShownRun => ({
  ...{ variables: {}, config: {}, history: [], events: [], output: [], summary: "{}", exitcode: null },
  files: new Map(),
});

/** W&B: the part that wandb's client and `wandb sync` speak to. */
export class WandbServer extends TrackerServer {
  readonly runs = new Map<string, ShownRun>();

  protected clear(): void {
    this.runs.clear();
  }

  run(id: string): ShownRun {
    const run = this.runs.get(id) ?? newRun();
    this.runs.set(id, run);
    return run;
  }

  protected answer(seen: Seen, response: ServerResponse): unknown {
    if (seen.path === "/graphql") return json(response, { data: this.#graph(JSON.parse(seen.body)) });
    const [, place, entity, project, id, what] = seen.path.split("/");
    if (place === "upload") {
      this.run(entity!).files.set(decodeURIComponent(project!), seen.body);
      return json(response, {});
    }
    if (place !== "files" || entity !== "somebody" || !project || what !== "file_stream")
      return json(response, {}, 404);
    this.#stream(this.run(id!), JSON.parse(seen.body));
    return json(response, { exitcode: null, limits: {} });
  }

  #graph({ query, variables = {} }: { query: string; variables?: Record<string, unknown> }): unknown {
    const { name, project, entity, displayName } = variables as Record<string, string>;
    if (query.includes("upsertBucket")) {
      const run = this.run(name!);
      const given = Object.entries(variables).filter(([, value]) => value !== null);
      Object.assign(run.variables, Object.fromEntries(given));
      if (variables.config) run.config = JSON.parse(String(variables.config));
      const owner = { id: "owner", name: entity ?? "somebody" };
      const bucket = {
        id: "bucket",
        name,
        displayName: displayName ?? "good-run-1",
        config: "{}",
        historyLineCount: 0,
      };
      return {
        upsertBucket: { inserted: true, bucket: { ...bucket, project: { id: "p", name: project, entity: owner } } },
      };
    }
    if (query.includes("createRunFiles")) {
      const { run, files } = variables as { run: string; files: string[] };
      const places = files.map((file) => ({
        name: file,
        uploadUrl: `${this.url}/upload/${run}/${encodeURIComponent(file)}`,
      }));
      return { createRunFiles: { runID: run, uploadHeaders: [], files: places } };
    }
    if (query.includes("RunResumeStatus")) {
      const run = this.runs.get(name!);
      const lines = { historyLineCount: run?.history.length, eventsLineCount: run?.events.length, logLineCount: 0 };
      const bucket = run
        ? { ...lines, historyTail: JSON.stringify(run.history.slice(-1)), summaryMetrics: "{}" }
        : null;
      return { model: { id: "p", bucket } };
    }
    return {};
  }

  #stream(run: ShownRun, { files = {}, exitcode }: { files?: Record<string, Lines>; exitcode?: number }): void {
    const put = (into: string[], lines: Lines | undefined) => {
      if (lines) into.splice(lines.offset, lines.content.length, ...lines.content);
    };
    put(run.history, files["wandb-history.jsonl"]);
    put(run.events, files["wandb-events.jsonl"]);
    put(run.output, files["output.log"]);
    run.summary = files["wandb-summary.json"]?.content[0] ?? run.summary;
    if (exitcode !== undefined) run.exitcode = exitcode;
  }
}

interface Lines {
  offset: number;
  content: string[];
}
