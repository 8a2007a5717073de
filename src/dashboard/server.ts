// The live page of a run, on this machine alone: http://127.0.0.1, a free port, and a token that only the terminal tells.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { page, partsOf } from "../report/page.js";
import { plotsOf } from "../report/plots.js";
import type { TrainerEvent } from "../trainer/index.js";
import type { Controls } from "./controls.js";
import { Follower } from "./follower.js";
import { CONTROLS, LIVE } from "./live.js";

const HOST = "127.0.0.1";
/** Between two looks at the runs, at least. */
const INTERVAL_MS = 2000;
/** Drawing takes at most this share of the time. */
const SHARE = 0.005;
/** Time for the last parts. */
const LAST_MS = 500;
const LONGEST_PROMPT = 16_384;

const digest = (text: string) => createHash("sha256").update(text).digest();

function tell(response: ServerResponse, status: number, text: string, type = "text/plain"): void {
  response.writeHead(status, {
    "content-type": `${type}; charset=utf-8`,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  });
  response.end(text);
}

export class Dashboard {
  readonly #controls: Controls;
  readonly #followers: Follower[];
  readonly #token = randomBytes(24).toString("base64url");
  readonly #digest = digest(this.#token);
  readonly #server: Server;
  readonly #listeners = new Set<ServerResponse>();
  /** Parts as they were sent last. */
  #sent = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #step = 0;
  #steps = 0;
  #about = "preparing";
  #isOver = false;

  /** @param folders of runs; the first is the run that the controls are of */
  private constructor(folders: readonly string[], controls: Controls) {
    this.#controls = controls;
    this.#followers = folders.map((folder) => new Follower(folder));
    this.#server = createServer((request, response) => {
      try {
        this.#answer(request, response);
      } catch (error) {
        // What nobody catches would end the run.
        if (response.headersSent) response.destroy();
        else tell(response, 500, error instanceof Error ? error.message : String(error));
      }
    });
  }

  /** Listens until `close`: a paused run waits for its page. */
  static async start(folders: readonly string[], controls: Controls): Promise<Dashboard> {
    const dashboard = new Dashboard(folders, controls);
    await new Promise<void>((resolve, reject) => {
      dashboard.#server.once("error", reject);
      dashboard.#server.listen(0, HOST, resolve);
    });
    return dashboard;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** For the terminal, and nowhere else: it holds the token. */
  get url(): string {
    return `http://${HOST}:${this.port}/?token=${this.#token}`;
  }

  /** Events of the run. */
  event(event: TrainerEvent): void {
    if (event.type === "start") this.#steps = event.steps;
    if (event.type === "step") {
      this.#step = event.step;
      this.#about = `${Math.round(event.tokens_per_s)} tokens/s`;
    }
    if (event.type === "evaluating") this.#about = `evaluating ${event.done} of ${event.total}`;
    if (event.type === "sampling") this.#about = "writing samples";
  }

  close(): Promise<void> {
    this.#isOver = true;
    this.#send();
    clearTimeout(this.#timer);
    for (const listener of this.#listeners) listener.end();
    this.#server.closeIdleConnections();
    // A page that does not take its last parts is left alone.
    setTimeout(() => this.#server.closeAllConnections(), LAST_MS).unref();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Other pages and other names of this machine are foreign. */
  #isForeign({ headers }: IncomingMessage): boolean {
    const own = [`${HOST}:${this.port}`, `localhost:${this.port}`];
    if (!own.includes(headers.host ?? "")) return true;
    return headers.origin !== undefined && headers.origin !== `http://${headers.host}`;
  }

  /** In the same time for every wrong token. */
  #knows(token: string | null | undefined): boolean {
    return timingSafeEqual(digest(token ?? ""), this.#digest);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const base = `http://${HOST}`;
    const target = request.url ?? "/";
    if (!URL.canParse(target, base)) {
      tell(response, 400, "This is no address of a page.");
      return;
    }
    const url = new URL(target, base);
    const isPost = request.method === "POST";
    const header = request.headers["x-lowrank-token"];
    const token = isPost ? String(header ?? "") : url.searchParams.get("token");
    const route = `${request.method} ${url.pathname}`;
    if (this.#isForeign(request)) tell(response, 403, "This page is for this machine alone.");
    else if (!this.#knows(token))
      tell(response, 403, "The token is missing or wrong: open the address that the terminal shows.");
    else if (route === "GET /") tell(response, 200, this.#page(), "text/html");
    else if (route === "GET /events") this.#listen(response);
    else if (route === "POST /sample") this.#sample(request, response);
    else this.#control(route, response);
  }

  #control(route: string, response: ServerResponse): void {
    const controls = this.#controls;
    const actions = new Map([
      ["POST /pause", () => controls.pause()],
      ["POST /resume", () => controls.resume()],
      ["POST /stop", () => controls.stop()],
    ]);
    const action = actions.get(route);
    action?.();
    this.#sendStatus();
    tell(response, action ? 200 : 404, action ? "" : "There is nothing here.");
  }

  #sample(request: IncomingMessage, response: ServerResponse): void {
    let prompt = "";
    request.setEncoding("utf8");
    request.on("data", (data: string) => {
      prompt += data;
      if (prompt.length > LONGEST_PROMPT) request.destroy();
    });
    request.on("end", () => {
      this.#controls.sample(prompt).then(
        (text) => tell(response, 200, text),
        (error) => tell(response, 409, error instanceof Error ? error.message : String(error)),
      );
    });
  }

  #runs() {
    return this.#followers.map((follower) => follower.read());
  }

  #page(): string {
    const runs = this.#runs();
    return page(runs, plotsOf(runs), { controls: CONTROLS, script: LIVE, connect: "'self'" });
  }

  #listen(response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    this.#listeners.add(response);
    response.on("close", () => this.#listeners.delete(response));
    this.#sent = new Map();
    if (this.#listeners.size === 1 && !this.#isOver) this.#look();
  }

  /** Draws while somebody looks. */
  #look(): void {
    clearTimeout(this.#timer);
    if (this.#listeners.size === 0) return;
    const begin = performance.now();
    this.#send();
    const wait = Math.max(INTERVAL_MS, (performance.now() - begin) / SHARE);
    this.#timer = setTimeout(() => this.#look(), wait);
    this.#timer.unref();
  }

  #tell(event: string, data: object): void {
    for (const listener of this.#listeners) listener.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  #sendStatus(): void {
    const { paused } = this.#controls;
    const done = `step ${this.#step} of ${this.#steps}`;
    const stopping = this.#controls.signal.aborted ? "finishing this step and saving" : this.#about;
    const text = this.#isOver ? `over: ${done}` : `${paused ? "paused" : stopping}: ${done}`;
    this.#tell("status", { text, paused, over: this.#isOver });
  }

  #send(): void {
    if (this.#listeners.size === 0) return;
    this.#sendStatus();
    for (const { id, html } of this.#parts()) {
      if (this.#sent.get(id) === html) continue;
      this.#sent.set(id, html);
      this.#tell("part", { id, html });
    }
  }

  /** None where they cannot be drawn: the page ends no run. */
  #parts(): ReturnType<typeof partsOf> {
    try {
      const runs = this.#runs();
      return partsOf(runs, plotsOf(runs));
    } catch {
      return [];
    }
  }
}
