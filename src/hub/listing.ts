// The files of a repository at a revision.
import type { IncomingMessage } from "node:http";
import { LowrankError } from "../base/errors.js";
import { isObject } from "../base/json.js";
import { bodyText } from "../net/request.js";
import { connectionFailure, failureOf, type Passing } from "./failures.js";
import { type Asked, ask } from "./http.js";
import { type Repository, shownName } from "./name.js";
import { persist, type Wait } from "./retry.js";
import type { HubSettings } from "./settings.js";

export interface HubFile {
  /** Path within the repository, with slashes. */
  path: string;
  /** Bytes; null until the file itself is asked about. */
  size: number | null;
  /** sha256 of a large file, git's SHA-1 of a small one; null likewise. */
  etag: string | null;
}

export interface Listing {
  commit: string;
  /** The name that the repository has now. */
  id: string;
  files: HubFile[];
}

/** How the hub is asked: settings, and how long pauses are. */
export interface Client {
  settings: HubSettings;
  signal: AbortSignal | undefined;
  wait: Wait;
}

const MOST_BYTES = 256 * 2 ** 20;
export const COMMIT = /^[0-9a-f]{40}$/;
const API = { model: "models", dataset: "datasets" } as const;

/** Codes of connections that were made and broke: another attempt is worth it. */
const BROKEN = ["ECONNRESET", "EPIPE"];

/**
 * An answer that is a success, or an error that tells whether it may pass. Where no file is asked for, nothing has come yet: a hub that
 * cannot be reached is an error at once.
 */
export async function answerOf(
  { settings, signal }: Client,
  repository: Repository,
  url: string,
  asked: Asked,
  isRight: (status: number) => boolean,
  file?: string,
): Promise<IncomingMessage> {
  const answer = await ask(settings, url, { ...asked, signal }).catch((error): never => {
    signal?.throwIfAborted();
    const failure = connectionFailure(settings, repository, error);
    throw file === undefined && !BROKEN.includes(error.code) ? failure.lasting : failure;
  });
  if (isRight(answer.statusCode!)) return answer;
  const failure: LowrankError | Passing = failureOf(settings, repository, answer, file);
  answer.destroy();
  throw failure;
}

/** A path that leads out of the repository is none. */
function isPath(path: unknown): path is string {
  if (typeof path !== "string" || /[\0\\]/.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

const hash = (value: unknown, digits: number) =>
  typeof value === "string" && value.length === digits && /^[0-9a-f]+$/.test(value) ? value : null;

function fileOf(entry: unknown): HubFile | undefined {
  if (!isObject(entry) || !isPath(entry.rfilename)) return undefined;
  const large = isObject(entry.lfs) ? entry.lfs : undefined;
  const size = large?.size ?? entry.size;
  return {
    path: entry.rfilename,
    size: typeof size === "number" ? size : null,
    etag: large ? hash(large.sha256 ?? large.oid, 64) : hash(entry.blobId, 40),
  };
}

/** Asks for the commit that a revision is, and its files. @throws LowrankError */
export function listRepository(client: Client, repository: Repository): Promise<Listing> {
  const { endpoint } = client.settings;
  const { type, name, revision } = repository;
  const url = `${endpoint}/api/${API[type]}/${name}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const attempt = async (): Promise<Listing> => {
    const answer = await answerOf(client, repository, url, {}, (status) => status === 200);
    const text = await bodyText(answer, MOST_BYTES).catch((error): never => {
      throw connectionFailure(client.settings, repository, error);
    });
    const found = parsed(text);
    const files = Array.isArray(found.siblings) ? found.siblings.map(fileOf).filter((file) => file !== undefined) : [];
    if (typeof found.sha === "string" && COMMIT.test(found.sha)) {
      return { commit: found.sha, id: typeof found.id === "string" ? found.id : name, files };
    }
    const message = `${endpoint} does not answer as the Hugging Face hub does for ${shownName(repository)}. Check HF_ENDPOINT.`;
    throw new LowrankError("E_HUB_ANSWER", message, name);
  };
  return persist(attempt, client.signal, client.wait);
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

export function fileUrl({ endpoint }: HubSettings, { type, name }: Repository, commit: string, path: string): string {
  const page = type === "dataset" ? `datasets/${name}` : name;
  return `${endpoint}/${page}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Size and hash of a file, asked of the file itself where a listing has none. */
export function described(client: Client, repository: Repository, commit: string, file: HubFile) {
  if (file.size !== null && file.etag !== null) return { ...file, size: file.size, etag: file.etag };
  const url = fileUrl(client.settings, repository, commit, file.path);
  const attempt = async () => {
    const asked = { method: "HEAD", elsewhere: false } as const;
    const isRight = (status: number) => status >= 200 && status < 400;
    const answer = await answerOf(client, repository, url, asked, isRight, file.path);
    answer.destroy();
    const { headers } = answer;
    const etag = String(headers["x-linked-etag"] ?? headers.etag ?? "").replace(/^(W\/)?"(.*)"$/, "$2");
    const size = Number(headers["x-linked-size"] ?? headers["content-length"]);
    if (/^[\w.-]*\w[\w.-]*$/.test(etag) && Number.isSafeInteger(size)) return { path: file.path, size, etag };
    const message = `${client.settings.endpoint} tells neither size nor hash of ${file.path} of ${shownName(repository)}. Check HF_ENDPOINT.`;
    throw new LowrankError("E_HUB_ANSWER", message, repository.name);
  };
  return persist(attempt, client.signal, client.wait);
}
