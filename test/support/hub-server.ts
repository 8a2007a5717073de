// A hub on this machine: the requests of huggingface_hub, and a second host for large files.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { HubWrites } from "./hub-writes.js";

export interface Stored {
  type?: "model" | "dataset";
  commit: string;
  private?: boolean;
  /** Path to content; large ones are kept on the other host, as LFS files are. */
  files: Record<string, Buffer | string>;
  /** Its name today, where it was renamed. */
  renamed?: string;
  /** Its branch refs/convert/parquet. */
  converted?: Stored;
}

export interface Seen {
  method: string;
  path: string;
  host: "hub" | "store";
  token: boolean;
  range: string | undefined;
}

/** Answers a request itself and returns true, or leaves it to the hub. */
export type Fault = (seen: Seen, response: ServerResponse, body: Buffer) => boolean;

const sha256 = (content: Buffer) => createHash("sha256").update(content).digest("hex");
export const gitHash = (content: Buffer) =>
  createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");

function send(
  response: ServerResponse,
  status: number,
  headers: Record<string, string>,
  body: Buffer | string = "",
): true {
  response.writeHead(status, { "content-length": String(Buffer.byteLength(body)), ...headers });
  response.end(response.req.method === "HEAD" ? undefined : body);
  return true;
}

/** All of a content, or the range that was asked for. */
export function sendContent(response: ServerResponse, content: Buffer, range: string | undefined, headers = {}): true {
  const [, begin = 0, last = content.length - 1] = /^bytes=(\d+)-(\d+)?$/.exec(range ?? "") ?? [];
  const [from, to] = [Number(begin), Math.min(Number(last), content.length - 1)];
  if (range === undefined) return send(response, 200, headers, content);
  if (from >= content.length) return send(response, 416, { "content-range": `bytes */${content.length}` });
  const of = `bytes ${from}-${to}/${content.length}`;
  return send(response, 206, { ...headers, "content-range": of }, content.subarray(from, to + 1));
}

export class HubServer {
  readonly repositories = new Map<string, Stored>();
  readonly writes = new HubWrites(this.repositories);
  readonly seen: Seen[] = [];
  fault: Fault = () => false;
  endpoint = "";
  readonly #hub: Server = createServer((request, response) => this.#take(request, response, "hub"));
  readonly #store: Server = createServer((request, response) => this.#take(request, response, "store"));

  /** For a file of tests: it runs while they do, and is empty, without requests and faults, before each. */
  static forTests(): HubServer {
    const server = new HubServer();
    beforeAll(() => server.#start());
    afterAll(() => server.#stop());
    beforeEach(() => {
      server.repositories.clear();
      server.writes.clear();
      server.seen.length = 0;
      server.fault = () => false;
    });
    return server;
  }

  async #start(): Promise<void> {
    for (const each of [this.#hub, this.#store]) await new Promise<void>((done) => each.listen(0, "127.0.0.1", done));
    this.endpoint = this.#url(this.#hub);
  }

  #url(server: Server): string {
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async #stop(): Promise<void> {
    for (const each of [this.#hub, this.#store]) {
      each.closeAllConnections();
      await new Promise((done) => each.close(done));
    }
  }

  /** Paths of contents that were sent, or begun to be. */
  fetched(): string[] {
    return this.seen
      .filter(({ method, path }) => method === "GET" && !path.startsWith("/api/"))
      .map(({ path }) => path);
  }

  #note(request: IncomingMessage, host: Seen["host"]): Seen {
    const { method = "", url = "", headers } = request;
    const seen = { method, path: url, host, token: headers.authorization !== undefined, range: headers.range };
    this.seen.push(seen);
    return seen;
  }

  async #take(request: IncomingMessage, response: ServerResponse, host: Seen["host"]): Promise<void> {
    const seen = this.#note(request, host);
    const { method, path } = seen;
    if (!["GET", "HEAD"].includes(method) || path === "/api/whoami-v2") {
      const parts: Buffer[] = [];
      try {
        for await (const part of request) parts.push(part);
      } catch {
        return;
      }
      const { authorization, "content-type": type = "" } = request.headers;
      const written = { method, path, host, type, authorization, body: Buffer.concat(parts) };
      this.writes.requests.push(written);
      if (this.fault(seen, response, written.body)) return;
      this.writes.answer(written, this.endpoint, this.#url(this.#store), response);
    } else if (host === "hub") this.#answer(seen, response);
    else this.#large(seen, response);
  }

  #large(seen: Seen, response: ServerResponse): boolean {
    const hash = seen.path.slice(1).split("?")[0];
    const all = [...this.repositories.values()].flatMap(({ files }) =>
      Object.values(files).map((each) => Buffer.from(each)),
    );
    const content = all.find((each) => sha256(each) === hash);
    if (!content) return send(response, 404, {});
    return this.fault(seen, response, content) || sendContent(response, content, seen.range);
  }

  #answer(seen: Seen, response: ServerResponse): boolean {
    const url = new URL(seen.path, this.endpoint);
    const path = decodeURIComponent(url.pathname);
    const api = /^\/api\/(model|dataset)s\/([^/]+\/[^/]+)(?:\/(revision|tree)\/(.+?))?\/?$/.exec(path);
    const file = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/((?:refs\/[^/]+\/)?[^/]+)\/(.+)$/.exec(path);
    const [name, revision] = api ? [api[2]!, api[4] ?? "main"] : [file?.[2] ?? "", file?.[3] ?? ""];
    const main = this.repositories.get(name);
    const isConverted = [main?.converted?.commit, "refs/convert/parquet"].includes(revision);
    const stored = (isConverted && main?.converted) || main;
    const content = file && stored ? this.#content(stored, file[4]!) : undefined;
    if (this.fault(seen, response, content ?? Buffer.alloc(0))) return true;
    if (!stored) return send(response, 404, { "x-error-code": "RepoNotFound" });
    if (stored.renamed) return send(response, 307, { location: seen.path.replace(name, stored.renamed) });
    if (revision !== "main" && revision !== stored.commit && !(isConverted && main?.converted)) {
      return send(response, 404, { "x-error-code": "RevisionNotFound" });
    }
    if (stored.private && !seen.token) return send(response, 401, { "x-error-code": "RepoNotFound" });
    if (api) return this.#list(response, name, stored, api[3] === "tree");
    const { commit } = stored;
    if (!content) return send(response, 404, { "x-error-code": "EntryNotFound", "x-repo-commit": commit });
    if (!this.#isLarge(content)) {
      const headers = { "x-repo-commit": commit, etag: `"${gitHash(content)}"`, "accept-ranges": "bytes" };
      return sendContent(response, content, seen.range, headers);
    }
    const hash = sha256(content);
    const linked = { "x-linked-etag": `"${hash}"`, "x-linked-size": String(content.length) };
    const location = `${this.#url(this.#store)}/${hash}?Signature=do-not-show-this`;
    return send(response, 302, { "x-repo-commit": commit, location, ...linked });
  }

  #content({ files }: Stored, path: string): Buffer | undefined {
    return files[path] === undefined ? undefined : Buffer.from(files[path]);
  }

  /** Whether .gitattributes would say so. */
  #isLarge(content: Buffer): boolean {
    return content.length >= LARGE;
  }

  #list(
    response: ServerResponse,
    id: string,
    { commit, files, private: isPrivate = false }: Stored,
    isTree: boolean,
  ): true {
    const entries = Object.entries(files).map(([path, text]) => {
      const content = Buffer.from(text);
      const size = content.length;
      return {
        path,
        size,
        oid: gitHash(content),
        large: this.#isLarge(content) ? { sha256: sha256(content), size } : null,
      };
    });
    const tree = entries.map(({ path, size, oid, large }) => {
      const lfs = large && { lfs: { oid: large.sha256, size, pointerSize: 130 } };
      return { type: "file", path, size, oid, ...lfs };
    });
    const siblings = entries.map(({ path, size, oid, large }) => {
      return { rfilename: path, size, blobId: oid, ...(large && { lfs: { ...large, pointerSize: 130 } }) };
    });
    const body = isTree ? tree : { _id: "1", id, sha: commit, private: isPrivate, gated: false, tags: [], siblings };
    return send(response, 200, { "content-type": "application/json" }, JSON.stringify(body));
  }
}

/** Bytes from which a file counts as large. */
export const LARGE = 4096;
