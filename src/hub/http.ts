// Requests to the hub: the token goes to the hub's own host alone, answers come as they are sent.
import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { connect } from "node:tls";
import { packageVersion } from "../base/version.js";
import { proxyFor, proxyHeaders, tunnel } from "./proxy.js";
import type { HubSettings } from "./settings.js";

export interface Asked {
  method?: "GET" | "HEAD";
  headers?: Record<string, string>;
  /** Whether a redirection to another host is followed, or is the answer. */
  elsewhere?: boolean;
  signal?: AbortSignal | undefined;
}

const MOST_REDIRECTIONS = 10;
const REDIRECTIONS = [301, 302, 303, 307, 308];

async function once(url: URL, headers: Record<string, string>, asked: Asked, timeout: number) {
  const { method = "GET", signal } = asked;
  const options = { method, headers, timeout, ...(signal && { signal }) };
  const proxy = proxyFor(url);
  const isSecure = url.protocol === "https:";
  const socket = proxy && isSecure ? await tunnel(proxy, url, timeout, signal) : undefined;
  return new Promise<IncomingMessage>((resolve, reject) => {
    const start = () => {
      if (socket) {
        const createConnection = () => connect({ socket, servername: url.hostname });
        return secureRequest(url, { ...options, createConnection });
      }
      if (!proxy) return (isSecure ? secureRequest : plainRequest)(url, options);
      const { hostname: host, port } = proxy;
      const through = { host, port: port || 80, path: url.href, headers: { host: url.host, ...headers } };
      Object.assign(through.headers, proxyHeaders(proxy));
      return plainRequest({ ...options, ...through });
    };
    const request = start();
    request.once("response", resolve);
    request.once("error", reject);
    request.once("timeout", () => request.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })));
    request.end();
  });
}

/** The answer's body is to be read, or given up with `destroy`. @throws the system's error where there is no answer */
export async function ask(settings: HubSettings, address: string, asked: Asked = {}): Promise<IncomingMessage> {
  const home = new URL(settings.endpoint).origin;
  let url = new URL(address);
  for (let step = 0; ; step++) {
    const headers: Record<string, string> = {
      "user-agent": `lowrank/${packageVersion()}`,
      "accept-encoding": "identity",
      ...asked.headers,
    };
    if (settings.token && url.origin === home) headers.authorization = `Bearer ${settings.token}`;
    const answer = await once(url, headers, asked, settings.timeoutMs);
    const { location } = answer.headers;
    if (!REDIRECTIONS.includes(answer.statusCode!) || location === undefined) return answer;
    if (!URL.canParse(location, url.href) || step === MOST_REDIRECTIONS) return answer;
    const next = new URL(location, url);
    if (asked.elsewhere === false && next.origin !== url.origin) return answer;
    answer.resume();
    url = next;
  }
}

/** Bytes that wait for a slow disk before no more are asked for. */
const MOST_WAITING = 2 ** 20;

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
  answer.once("close", () =>
    ended(answer.complete ? undefined : Object.assign(new Error("cut"), { code: "ECONNRESET" })),
  );
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

/** @throws an error where the text is longer than `most` bytes, or is cut */
export async function bodyText(answer: IncomingMessage, most: number): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer) {
    size += part.length;
    if (size > most) throw new Error(`the answer has more than ${most} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
