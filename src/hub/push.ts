// Files into a repository of the hub, as one commit.

import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { LowrankError } from "../base/errors.js";
import { isObject } from "../base/json.js";
import type { Body } from "../net/request.js";
import type { Client } from "./listing.js";
import { isRepositoryName, type Repository } from "./name.js";
import { wait as plainWait, type Wait } from "./retry.js";
import type { HubSettings } from "./settings.js";
import { type Answer, exchange, textBody } from "./upload.js";

export interface Upload {
  /** Path within the repository. */
  path: string;
  content: { file: string; bytes: number } | { text: string };
}

/** A repository that may be written to, as far as can be known before. */
export interface PushTarget {
  settings: HubSettings;
  /** OWNER/NAME. */
  name: string;
  isThere: boolean;
  /** Of a repository that is made; undefined is the owner's default. */
  isPrivate: boolean | undefined;
}

export interface PushOptions {
  signal?: AbortSignal | undefined;
  /** How pauses are made. */
  wait?: Wait;
}

export interface Pushed {
  /** The repository's page. */
  url: string;
  commit: string;
}

const JSON_TYPE = { "content-type": "application/json" };

const clientOf = (settings: HubSettings, { signal, wait = plainWait }: PushOptions): Client => ({
  settings,
  signal,
  wait,
});

const repositoryNamed = (name: string): Repository => ({ type: "model", name, revision: "main" });

function parsed({ body }: Answer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString());
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

const objects = (value: unknown) => (Array.isArray(value) ? value.filter(isObject) : []);
const same = (a: unknown, b: string) => typeof a === "string" && a.toLowerCase() === b.toLowerCase();

/** Whether a fine-grained token may write to a repository. */
function mayWrite(fineGrained: unknown, name: string): boolean {
  if (!isObject(fineGrained)) return true;
  const owner = name.slice(0, name.indexOf("/"));
  return objects(fineGrained.scoped).some(({ entity, permissions }) => {
    const isOf = isObject(entity) && (same(entity.name, owner) || same(entity.name, name));
    return isOf && Array.isArray(permissions) && permissions.includes("repo.write");
  });
}

/** @throws LowrankError E_HUB_ACCESS where the token cannot write to `name` */
function checkRights(settings: HubSettings, who: Record<string, unknown>, name: string): void {
  const { endpoint, tokenFrom } = settings;
  const error = (message: string) => new LowrankError("E_HUB_ACCESS", message, name);
  const token = isObject(who.auth) && isObject(who.auth.accessToken) ? who.auth.accessToken : {};
  const role = typeof token.role === "string" ? token.role : "";
  if (role === "read" || (role === "fineGrained" && !mayWrite(token.fineGrained, name))) {
    throw error(
      `The token of ${tokenFrom} may not write to ${name}: make one with the right to write at ${endpoint}/settings/tokens.`,
    );
  }
  const owner = name.slice(0, name.indexOf("/"));
  if (same(who.name, owner)) return;
  const org = objects(who.orgs).find((one) => same(one.name, owner));
  if (org === undefined) {
    throw error(
      `${name} cannot be written to: the token of ${tokenFrom} is ${who.name}'s, who is no member of ${owner}.`,
    );
  }
  if (org.roleInOrg === "read") {
    throw error(`${name} cannot be written to: ${who.name} may only read in ${owner}.`);
  }
}

/** @throws LowrankError E_USAGE */
function checkedName(named: string, user: unknown): string {
  const name = named.includes("/") || typeof user !== "string" ? named : `${user}/${named}`;
  if (isRepositoryName(name)) return name;
  const message = `${JSON.stringify(named)} is no name of a repository: expected OWNER/NAME of letters, digits, - _ and single dots.`;
  throw new LowrankError("E_USAGE", message, "hub_model_id");
}

/**
 * Looks whether files can be pushed: the name, the token and its rights, and the repository that is there.
 * @param named OWNER/NAME, or NAME of the token's user
 * @throws LowrankError E_USAGE, E_HUB_...; or the signal's reason
 */
export async function pushTarget(
  named: string,
  isPrivate: boolean | undefined,
  settings: HubSettings,
  o: PushOptions = {},
): Promise<PushTarget> {
  checkedName(named, "user");
  const { endpoint, offline, token } = settings;
  if (offline) {
    const message = `${named} cannot be pushed to: HF_HUB_OFFLINE forbids it. Push without HF_HUB_OFFLINE.`;
    throw new LowrankError("E_HUB_OFFLINE", message, named);
  }
  if (token === undefined) {
    const message = `There is no token to push to ${named} with: make one with the right to write at ${endpoint}/settings/tokens and set HF_TOKEN, or log in with hf auth login.`;
    throw new LowrankError("E_HUB_ACCESS", message, named);
  }
  const client = clientOf(settings, o);
  const who = parsed(await exchange(client, repositoryNamed(named), `${endpoint}/api/whoami-v2`, {}));
  const name = checkedName(named, who.name);
  checkRights(settings, who, name);
  const isKnown = (status: number) => status === 200 || status === 404;
  const found = await exchange(client, repositoryNamed(name), `${endpoint}/api/models/${name}`, {}, isKnown);
  const isThere = found.status === 200;
  if (isThere && isPrivate === true && parsed(found).private === false) {
    const message = `${name} is there and public, but hub_private_repo asks for a private one: make it private at ${endpoint}/${name}/settings, or push to another name.`;
    throw new LowrankError("E_USAGE", message, "hub_private_repo");
  }
  return { settings, name, isThere, isPrivate };
}

/** Makes the repository; one that another has made meanwhile is as good. */
async function create(client: Client, { settings, name, isPrivate }: PushTarget): Promise<void> {
  const [organization, short] = name.split("/");
  const visibility = isPrivate === undefined ? {} : { visibility: isPrivate ? "private" : "public" };
  const body = textBody(JSON.stringify({ name: short, organization, type: "model", ...visibility }));
  const asked = { method: "POST", headers: JSON_TYPE, body };
  const isRight = (status: number) => (status >= 200 && status < 300) || status === 409;
  await exchange(client, repositoryNamed(name), `${settings.endpoint}/api/repos/create`, asked, isRight);
}

/** A function of the package @huggingface/hub's own, that it calls with how far an upload is. */
interface Hint {
  progressHint?: { progressCallback: (progress: number) => void };
}

function bodyOf(body: unknown, shown: ((progress: number) => void) | undefined): Body | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === "string") return textBody(body);
  const content = body instanceof Blob ? body : new Blob([body as Uint8Array<ArrayBuffer>]);
  const bytes = content.size;
  const open = () => {
    let sent = 0;
    return Readable.from(counted());
    async function* counted() {
      for await (const part of content.stream()) {
        yield part;
        sent += part.length;
        shown?.(sent / bytes);
      }
    }
  };
  return { bytes, open };
}

/** `fetch` for the package: by our own requests, with our proxies, attempts and errors. */
function fetchBy(client: Client, repository: Repository): typeof fetch {
  return async (input, init: RequestInit & Hint = {}) => {
    const url = input instanceof Request ? input.url : String(input);
    const headers = Object.fromEntries(new Headers(init.headers));
    const body = bodyOf(init.body, init.progressHint?.progressCallback);
    const asked = { method: init.method ?? "GET", headers, body };
    const signal = init.signal ?? client.signal;
    // The package asks which parts of a file the content-addressed store has already: none is an answer.
    const isRight = (status: number) => (status >= 200 && status < 300) || (asked.method === "GET" && status === 404);
    const { status, headers: of, body: bytes } = await exchange({ ...client, signal }, repository, url, asked, isRight);
    const flat = Object.entries(of).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : []));
    return new Response(bytes.length === 0 ? null : new Uint8Array(bytes), {
      status,
      headers: Object.fromEntries(flat),
    });
  };
}

/** Bytes that are uploaded of a file. */
export const uploadSize = ({ content }: Upload) =>
  "text" in content ? Buffer.byteLength(content.text) : content.bytes;

/**
 * Uploads files and commits them, in a repository that is made where there is none.
 * @param onProgress bytes of all files
 * @throws LowrankError E_HUB_...; or the signal's reason
 */
export async function push(
  target: PushTarget,
  files: Upload[],
  title: string,
  o: PushOptions & { onProgress?: ((done: number, total: number) => void) | undefined } = {},
): Promise<Pushed> {
  const { settings, name } = target;
  const client = clientOf(settings, o);
  if (!target.isThere) await create(client, target);
  const { commitIter } = await import("@huggingface/hub");
  const sizes = new Map(files.map((file) => [file.path, uploadSize(file)]));
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const done = new Map<string, number>();
  const operations = files.map(({ path, content }) => {
    const of = "text" in content ? new Blob([content.text]) : pathToFileURL(content.file);
    return { operation: "addOrUpdate" as const, path, content: of };
  });
  const work = commitIter({
    repo: { type: "model", name },
    hubUrl: settings.endpoint,
    fetch: fetchBy(client, repositoryNamed(name)),
    ...{ operations, title },
    ...(o.signal && { abortSignal: o.signal }),
  });
  let step = await work.next();
  for (; !step.done; step = await work.next()) {
    if (step.value.event !== "fileProgress" || step.value.state !== "uploading") continue;
    done.set(step.value.path, step.value.progress * sizes.get(step.value.path)!);
    o.onProgress?.(
      [...done.values()].reduce((sum, bytes) => sum + bytes, 0),
      total,
    );
  }
  o.onProgress?.(total, total);
  return { url: `${settings.endpoint}/${name}`, commit: step.value?.commit.oid ?? "" };
}
