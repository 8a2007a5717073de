// The requests of huggingface_hub and @huggingface/hub that write: who asks, new repositories, large files, commits.
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Stored } from "./hub-server.js";

/** Whose a token is, as whoami-v2 tells. */
export interface Account {
  name: string;
  role: "read" | "write" | "fineGrained";
  fineGrained?: object;
  orgs?: { name: string; roleInOrg?: string }[];
}

/** A request that came, whole. */
export interface Written {
  method: string;
  path: string;
  host: "hub" | "store";
  type: string;
  authorization: string | undefined;
  body: Buffer;
}

type Send = (status: number, body?: object, headers?: Record<string, string>) => true;

const sha256 = (content: Buffer) => createHash("sha256").update(content).digest("hex");
/** Bytes of a part of a large file. */
const PART = 100_000;

export class HubWrites {
  /** By token. */
  readonly accounts = new Map<string, Account>();
  readonly requests: Written[] = [];
  /** Large files by sha256, until they are committed and after. */
  readonly uploaded = new Map<string, Buffer>();
  readonly #parts = new Map<string, Buffer[]>();
  /** Bytes from which a large file comes in parts. */
  partsFrom = Number.POSITIVE_INFINITY;
  /** Whether large files go to a content-addressed store (Xet), of which this one keeps sizes alone. */
  isXet = false;
  readonly #awaited = new Map<string, number>();

  constructor(readonly repositories: Map<string, Stored>) {}

  clear(): void {
    for (const each of [this.accounts, this.uploaded, this.#parts]) each.clear();
    this.requests.length = 0;
    this.partsFrom = Number.POSITIVE_INFINITY;
    this.isXet = false;
  }

  /** @param store address of the host of large files. @returns whether it was such a request */
  answer(request: Written, endpoint: string, store: string, response: ServerResponse): boolean {
    const send: Send = (status, body = {}, headers = {}) => {
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
      return true;
    };
    const path = decodeURIComponent(request.path.split("?")[0]!);
    if (request.host === "store") return this.#store(request, path, send);
    const account = this.accounts.get(request.authorization?.replace(/^Bearer /, "") ?? "");
    if (path === "/api/whoami-v2")
      return account ? send(200, who(account)) : send(401, { error: "Invalid credentials" });
    if (request.method === "GET" || request.method === "HEAD") return false;
    if (!account) return send(401, { error: "Unauthorized" });
    if (account.role === "read") return send(403, { error: "Forbidden: this token may only read" });
    const json = () => JSON.parse(request.body.toString());
    if (path === "/api/validate-yaml") return send(200, { errors: [], warnings: [] });
    if (path === "/api/repos/create") return this.#create(json(), endpoint, send);
    const [, repository, kind] = /^\/api\/models\/([^/]+\/[^/]+)\/(preupload|commit)\/main$/.exec(path) ?? [];
    if (kind === "preupload" && repository) return send(200, { files: json().files.map(mode) });
    if (kind === "commit" && repository) return this.#commit(repository, request.body.toString(), endpoint, send);
    if (/\.git\/info\/lfs\/objects\/batch$/.test(path)) return send(200, this.#batch(json(), endpoint, store));
    if (/\/objects\/verify$/.test(path)) return send(this.uploaded.has(json().oid) ? 200 : 404);
    if (path.startsWith("/lfs/complete/")) return this.#complete(json(), send);
    return send(404);
  }

  #create(body: { name: string; organization: string; visibility?: string }, endpoint: string, send: Send): true {
    const name = `${body.organization}/${body.name}`;
    if (this.repositories.has(name)) return send(409, { error: "You already created this model repo" });
    const commit = createHash("sha1").update(name).digest("hex");
    this.repositories.set(name, { commit, files: {}, private: body.visibility === "private" });
    return send(200, { url: `${endpoint}/${name}`, name, id: name });
  }

  #batch(body: { transfers: string[]; objects: { oid: string; size: number }[] }, endpoint: string, store: string) {
    if (this.isXet && body.transfers.includes("xet")) return this.#xet(body.objects, endpoint, store);
    const isParts = body.objects.some(({ size }) => size >= this.partsFrom);
    const objects = body.objects.map(({ oid, size }) => {
      if (this.uploaded.has(oid)) return { oid, size };
      const verify = { href: `${endpoint}/lfs/objects/verify` };
      if (!isParts)
        return { oid, size, actions: { upload: { href: `${store}/${oid}?Signature=do-not-show-this` }, verify } };
      const parts = Array.from({ length: Math.ceil(size / PART) }, (_, i) => [
        String(i + 1).padStart(5, "0"),
        `${store}/${oid}/${i}?Signature=do-not-show-this`,
      ]);
      const header = { chunk_size: String(PART), ...Object.fromEntries(parts) };
      return { oid, size, actions: { upload: { href: `${endpoint}/lfs/complete/${oid}`, header }, verify } };
    });
    return { transfer: isParts ? "multipart" : "basic", objects };
  }

  #xet(objects: { oid: string; size: number }[], endpoint: string, store: string) {
    const header = {
      ...{ "X-Xet-Cas-Url": store, "X-Xet-Access-Token": "xet-do-not-show-this", "X-Xet-Session-Id": "1" },
      "X-Xet-Token-Expiration": String(Math.floor(Date.now() / 1000) + 3600),
    };
    for (const { oid, size } of objects) this.#awaited.set(oid, size);
    const upload = { href: `${endpoint}/xet-write-token`, header };
    return { transfer: "xet", objects: objects.map((object) => ({ ...object, actions: { upload } })) };
  }

  #store({ method, body, authorization }: Written, path: string, send: Send): boolean {
    if (path.startsWith("/v1/")) {
      if (authorization !== "Bearer xet-do-not-show-this" || body.length === 0) return send(401);
      if (path.startsWith("/v1/xorbs/default/")) return send(200, { was_inserted: true });
      for (const [oid, size] of this.#awaited) this.uploaded.set(oid, Buffer.alloc(size));
      return send(200, { result: 1 });
    }
    if (method !== "PUT") return false;
    const [, oid = "", part] = path.split("/");
    if (part === undefined) {
      if (sha256(body) !== oid) return send(400, { error: "another hash" });
      this.uploaded.set(oid, body);
      return send(200);
    }
    const parts = this.#parts.get(oid) ?? [];
    parts[Number(part)] = body;
    this.#parts.set(oid, parts);
    return send(200, {}, { etag: `"${sha256(body).slice(0, 32)}"` });
  }

  #complete({ oid, parts }: { oid: string; parts: { partNumber: number; etag: string }[] }, send: Send): true {
    const whole = Buffer.concat(this.#parts.get(oid) ?? []);
    const isRight = sha256(whole) === oid && parts.every(({ etag }) => etag !== "");
    if (isRight) this.uploaded.set(oid, whole);
    return send(isRight ? 200 : 400, isRight ? {} : { error: "wrong parts" });
  }

  #commit(name: string, text: string, endpoint: string, send: Send): true {
    const stored = this.repositories.get(name);
    if (!stored) return send(404, { error: "Repository not found" });
    const [header, ...operations] = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    if (header.key !== "header" || !header.value.summary) return send(400, { error: "no header" });
    const files = { ...stored.files };
    for (const { key, value } of operations) {
      if (key === "file") files[value.path] = Buffer.from(value.content, value.encoding);
      else if (key === "lfsFile" && this.uploaded.get(value.oid)?.length === value.size)
        files[value.path] = this.uploaded.get(value.oid)!;
      else return send(400, { error: `${key} of ${value.path} was not uploaded` });
    }
    const commit = createHash("sha1").update(text).digest("hex");
    this.repositories.set(name, { ...stored, files, commit });
    return send(200, {
      success: true,
      commitOid: commit,
      commitUrl: `${endpoint}/${name}/commit/${commit}`,
      hookOutput: "",
    });
  }
}

const who = ({ name, role, fineGrained, orgs = [] }: Account) => ({
  ...{ type: "user", id: "1", name, fullname: name, orgs },
  auth: { type: "access_token", accessToken: { displayName: "a token", role, ...(fineGrained && { fineGrained }) } },
});

/** As the attributes of a new repository say. */
const mode = ({ path, size }: { path: string; size: number }) => ({
  path,
  uploadMode: path.endsWith(".safetensors") || size > 10 * 2 ** 20 ? "lfs" : "regular",
  shouldIgnore: false,
  oid: null,
});
