// Requests as they are sent: no redirections, no tokens, no attempts.
import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as secureRequest } from "node:https";
import { pipeline, type Readable } from "node:stream";
import { connect } from "node:tls";
import { proxyFor, proxyHeaders, tunnel } from "./proxy.js";

/** What a request sends, once for each attempt and redirection. */
export interface Body {
  bytes: number;
  open: () => Readable;
}

export interface Sent {
  method?: string | undefined;
  headers?: Record<string, string>;
  body?: Body | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * One request, through the proxy that the environment names. A redirection is an answer.
 * @param timeout milliseconds without a byte after which the connection is taken for dead
 * @throws the system's error where there is no answer, ETIMEDOUT and EPROXY among them
 */
export async function sendRequest(url: URL, sent: Sent, timeout: number): Promise<IncomingMessage> {
  const { method = "GET", headers = {}, body, signal } = sent;
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
    // A server may answer, and then break the connection on which the body is still sent.
    request.on("error", reject);
    request.once("timeout", () => request.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })));
    if (body) pipeline(body.open(), request, (error) => error && reject(error));
    else request.end();
  });
}

/** @throws an error where the body is longer than `most` bytes, or is cut */
export async function bodyBytes(answer: IncomingMessage, most: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer) {
    size += part.length;
    if (size > most) throw new Error(`the answer has more than ${most} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** The same as a text. */
export async function bodyText(answer: IncomingMessage, most: number): Promise<string> {
  return (await bodyBytes(answer, most)).toString("utf8");
}
