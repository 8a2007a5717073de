// Requests to the hub: the token goes to the hub's own host alone, answers come as they are sent.
import type { IncomingMessage } from "node:http";
import { packageVersion } from "../base/version.js";
import { type Body, sendRequest } from "../net/request.js";
import type { HubSettings } from "./settings.js";

export interface Asked {
  method?: string;
  body?: Body | undefined;
  headers?: Record<string, string>;
  /** Whether a redirection to another host is followed, or is the answer. */
  elsewhere?: boolean;
  signal?: AbortSignal | undefined;
  /** Without a byte after which a connection is taken for dead; default the settings'. */
  timeoutMs?: number;
}

const MOST_REDIRECTIONS = 10;
const REDIRECTIONS = [301, 302, 303, 307, 308];

/** The answer's body is to be read, or given up with `destroy`. @throws the system's error where there is no answer */
export async function ask(settings: HubSettings, address: string, asked: Asked = {}): Promise<IncomingMessage> {
  const home = new URL(settings.endpoint).origin;
  let url = new URL(address);
  let { method, body } = asked;
  for (let step = 0; ; step++) {
    const headers: Record<string, string> = {
      "user-agent": `lowrank/${packageVersion()}`,
      "accept-encoding": "identity",
      ...asked.headers,
      ...(body && { "content-length": String(body.bytes) }),
    };
    if (settings.token && url.origin === home) headers.authorization = `Bearer ${settings.token}`;
    const answer = await sendRequest(url, { ...asked, method, body, headers }, asked.timeoutMs ?? settings.timeoutMs);
    const { location } = answer.headers;
    if (!REDIRECTIONS.includes(answer.statusCode!) || location === undefined) return answer;
    if (!URL.canParse(location, url.href) || step === MOST_REDIRECTIONS) return answer;
    const next = new URL(location, url);
    if (asked.elsewhere === false && next.origin !== url.origin) return answer;
    answer.resume();
    url = next;
    if (body && (answer.statusCode === 303 || (answer.statusCode! < 303 && method === "POST"))) {
      method = "GET";
      body = undefined;
    }
  }
}

/** Bytes that wait for a slow disk before no more are asked for. */
const MOST_WAITING = 2 ** 20;

const cut = () => Object.assign(new Error("cut"), { code: "ECONNRESET" });

/**
 * The body of an answer, part by part. Parts that came before a connection broke are given before the error: the
 * iterator of a stream drops the parts that wait.
 */
export async function* partsOf(answer: IncomingMessage): AsyncGenerator<Buffer> {
  const waiting: Buffer[] = [];
  let bytes = 0;
  let end: { error?: unknown } | undefined;
  let wake = () => {};
  const ended = (error?: unknown) => {
    end ??= { error };
    wake();
  };
  answer.on("data", (part: Buffer) => {
    waiting.push(part);
    bytes += part.length;
    if (bytes > MOST_WAITING) answer.pause();
    wake();
  });
  answer.once("end", () => ended());
  answer.once("error", ended);
  answer.once("close", () => ended(answer.complete ? undefined : cut()));
  // It may have ended before anybody listened.
  if (answer.destroyed) ended(answer.errored ?? cut());
  try {
    for (;;) {
      const part = waiting.shift();
      if (part) {
        bytes -= part.length;
        if (answer.isPaused()) answer.resume();
        yield part;
      } else if (end?.error) throw end.error;
      else if (end) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    answer.destroy();
  }
}
