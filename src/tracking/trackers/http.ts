// Requests of trackers to their servers.
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { packageVersion } from "../../base/version.js";
import { type Body, bodyText, sendRequest } from "../../net/request.js";
import { Refused } from "./outbox.js";

/** A connection without a byte for this time is dead. */
const TIMEOUT_MS = 20_000;
/** Of an answer. */
const MOST_BYTES = 16 << 20;

export interface Request {
  method: string;
  headers?: Record<string, string>;
  text?: string;
  body?: Body;
  signal: AbortSignal;
  /** The server's, for messages. */
  name: string;
  /** The one thing to do where the server refuses the credentials. */
  refused?: string;
}

/** A text as a request's body. */
function textBody(text: string): Body {
  const bytes = Buffer.from(text);
  return { bytes: bytes.length, open: () => Readable.from([bytes]) };
}

function afterMs({ headers }: IncomingMessage): number | undefined {
  const value = headers["retry-after"];
  const seconds = Number(value);
  if (value === undefined) return undefined;
  const ms = Number.isFinite(seconds) ? 1000 * seconds : Date.parse(value) - Date.now();
  return ms >= 0 ? Math.min(ms, 600_000) : undefined;
}

/** The beginning of an item, for a message. */
export const shortened = (item: string): string => (item.length > 200 ? `${item.slice(0, 200)}...` : item);

/**
 * The JSON of an answer; null where it has none.
 * @throws Error where there is no answer, Refused where it is no success. Its message holds nothing that was sent
 */
export async function requestJson(url: URL, request: Request): Promise<unknown> {
  const { method, signal, name, refused } = request;
  const body = request.body ?? (request.text === undefined ? undefined : textBody(request.text));
  const headers = {
    "user-agent": `lowrank/${packageVersion()}`,
    ...(body && { "content-length": String(body.bytes) }),
    ...request.headers,
  };
  let answer: IncomingMessage;
  let text: string;
  try {
    answer = await sendRequest(url, { method, headers, body, signal }, TIMEOUT_MS);
    text = await bodyText(answer, MOST_BYTES);
  } catch (error) {
    const { code = "no answer" } = error as NodeJS.ErrnoException;
    throw new Error(`${name} at ${url.origin} cannot be reached (${code})`, { cause: error });
  }
  const status = answer.statusCode!;
  if (status === 401 || status === 403) {
    throw new Refused(`${name} at ${url.origin} answers ${status}${refused ? `: ${refused}` : ""}`, status);
  }
  if (status < 200 || status >= 300) {
    throw new Refused(
      `${name} at ${url.origin} answers ${status} to ${method} ${url.pathname}`,
      status,
      afterMs(answer),
    );
  }
  try {
    return text.trim() === "" ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
