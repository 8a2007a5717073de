// The hub's refusals in words for people, and the refusals that pass.
import type { IncomingMessage } from "node:http";
import { LowrankError } from "../base/errors.js";
import { pagePath, type Repository, shownName } from "./name.js";
import type { HubSettings } from "./settings.js";

/** A refusal that may pass: another attempt is worth it. */
export class Passing extends Error {
  /** @param lasting the error where it does not pass. @param afterMs when the server wants to be asked again */
  constructor(
    readonly lasting: LowrankError,
    readonly afterMs?: number,
  ) {
    super(lasting.message);
  }
}

const LOG_IN = "set HF_TOKEN to a token of yours (or log in with hf auth login)";

/** Seconds, or a date. */
function retryAfter(answer: IncomingMessage): number | undefined {
  const { "retry-after": text } = answer.headers;
  if (text === undefined) return undefined;
  const seconds = /^\d+$/.test(text.trim()) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds * 1000) : undefined;
}

function refusal(settings: HubSettings, repository: Repository, status: number, code: string, file?: string) {
  const { token, tokenFrom } = settings;
  const shown = shownName(repository);
  const page = `${settings.endpoint}/${pagePath(repository)}`;
  const error = (kind: string, message: string) => new LowrankError(kind, message, repository.name);
  if (code === "GatedRepo") {
    const then = token ? `It was asked for with the token of ${tokenFrom}.` : `Then ${LOG_IN}.`;
    return error("E_HUB_ACCESS", `${shown} is gated: accept its conditions at ${page}. ${then}`);
  }
  if (code === "RevisionNotFound") {
    return error("E_HUB_MISSING", `${repository.name} has no revision ${repository.revision}: see ${page}/tree/main.`);
  }
  if (code === "EntryNotFound" && file !== undefined) {
    return error("E_HUB_MISSING", `${shown} has no file ${file}: see ${page}/tree/main.`);
  }
  if (code === "DisabledRepo") return error("E_HUB_ACCESS", `${shown} is disabled by the hub: use another repository.`);
  if (status === 401 && token && code !== "RepoNotFound") {
    const message = `The hub refuses the token of ${tokenFrom}: make a new one at ${settings.endpoint}/settings/tokens.`;
    return error("E_HUB_ACCESS", message);
  }
  if (status === 403) {
    const who = token ? `the token of ${tokenFrom} may not read it` : "it may not be read without a token";
    const then = token ? `give that token the right to read it at ${settings.endpoint}/settings/tokens` : LOG_IN;
    return error("E_HUB_ACCESS", `${shown} is not open: ${who}. To use it, ${then}.`);
  }
  if (status === 401 || status === 404) {
    const hidden = token ? "or it is hidden from the token's account" : `or it is private: then ${LOG_IN}`;
    const message = `${shown} is neither a folder here nor a repository at ${settings.endpoint}: check the spelling, ${hidden}.`;
    return error("E_HUB_MISSING", message);
  }
  return error("E_HUB_ANSWER", `The hub at ${settings.endpoint} answers ${status} for ${shown}. Check HF_ENDPOINT.`);
}

/** The error of an answer that may be another one later; undefined for other answers. @param of what was asked for */
function passing(settings: HubSettings, repository: Repository, answer: IncomingMessage, of: string) {
  const status = answer.statusCode!;
  if (status === 429) {
    const afterMs = retryAfter(answer);
    const when = afterMs === undefined ? "later" : `in ${Math.ceil(afterMs / 1000)} s`;
    const higher = settings.token ? "" : `, or ${LOG_IN}: limits are higher then`;
    const message = `The hub at ${settings.endpoint} was asked too often (429) for ${of}: try again ${when}${higher}.`;
    return new Passing(new LowrankError("E_HUB_LIMIT", message, repository.name), afterMs);
  }
  if (status === 408 || status >= 500) {
    const message = `The hub at ${settings.endpoint} fails with ${status} for ${of}: try again later.`;
    return new Passing(new LowrankError("E_HUB_SERVER", message, repository.name), retryAfter(answer));
  }
  return undefined;
}

/**
 * The error of an answer that is no success.
 * @param file that was asked for, if it was one
 */
export function failureOf(
  settings: HubSettings,
  repository: Repository,
  answer: IncomingMessage,
  file?: string,
): LowrankError | Passing {
  const code = String(answer.headers["x-error-code"] ?? "");
  const of = file === undefined ? shownName(repository) : `${file} of ${shownName(repository)}`;
  return passing(settings, repository, answer, of) ?? refusal(settings, repository, answer.statusCode!, code, file);
}

/** Text of the hub, as a part of a message. */
const said = (text: string) => (text === "" ? "" : ` The hub says: ${text.slice(0, 500)}`);

/** The error of an upload's answer that is no success. @param text of the hub about it, without secrets */
export function uploadFailure(
  settings: HubSettings,
  repository: Repository,
  answer: IncomingMessage,
  text: string,
): LowrankError | Passing {
  const { endpoint, tokenFrom } = settings;
  const { name } = repository;
  const status = answer.statusCode!;
  const tokens = `${endpoint}/settings/tokens`;
  const error = (kind: string, message: string) => new LowrankError(kind, message + said(text), name);
  if (status === 401) {
    return error("E_HUB_ACCESS", `The hub refuses the token of ${tokenFrom}: make a new one at ${tokens}.`);
  }
  if (status === 403) {
    const message = `The token of ${tokenFrom} may not write to ${name}: give it the right to write at ${tokens}.`;
    return error("E_HUB_ACCESS", message);
  }
  if (status === 409 || status === 412) {
    return error("E_HUB_ANSWER", `${name} was changed while files were uploaded (${status}): upload them again.`);
  }
  return (
    passing(settings, repository, answer, `an upload to ${name}`) ??
    error("E_HUB_ANSWER", `The hub at ${endpoint} answers an upload to ${name} with ${status}.`)
  );
}

/** The error of a connection for an upload that failed, or broke. */
export function uploadBroken({ endpoint }: HubSettings, { name }: Repository, error: unknown): Passing {
  const { code = "no connection" } = error as NodeJS.ErrnoException;
  const message = `${endpoint} cannot be reached to upload to ${name} (${code}). Check the network, HTTPS_PROXY and HF_ENDPOINT.`;
  return new Passing(new LowrankError("E_HUB_NETWORK", message, name, { cause: error }));
}

/** The error of a connection that failed, or broke. */
export function connectionFailure(settings: HubSettings, repository: Repository, error: unknown): Passing {
  const { code = "no connection" } = error as NodeJS.ErrnoException;
  const isCertificate = /CERT|SIGNED|ISSUER|ALTNAME/.test(code);
  const advice = isCertificate
    ? "Name the certificate of your network with NODE_EXTRA_CA_CERTS."
    : "Check the network, HTTPS_PROXY and HF_ENDPOINT; the part that came so far is kept for the next attempt.";
  const message = `${shownName(repository)} is no folder here, and ${settings.endpoint} cannot be reached for it (${code}). ${advice}`;
  return new Passing(new LowrankError("E_HUB_NETWORK", message, repository.name, { cause: error }));
}
