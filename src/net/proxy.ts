// Proxies of the environment, which Node's own requests do not know.
import { request as plainRequest } from "node:http";
import type { Socket } from "node:net";
import { basic, credentialsOf } from "./credentials.js";

type Environment = Record<string, string | undefined>;

function isExcepted(host: string, port: string, exceptions: string): boolean {
  return exceptions
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((each) => {
      const [name = "", only] = each.split(/:(?=\d+$)/);
      if (only !== undefined && only !== port) return false;
      const suffix = name.replace(/^\*?\./, "").toLowerCase();
      return name === "*" || host === suffix || host.endsWith(`.${suffix}`);
    });
}

/** The proxy that the environment names for a URL; curl's rules. */
export function proxyFor(url: URL, env: Environment = process.env): URL | undefined {
  const scheme = url.protocol.slice(0, -1);
  const of = (name: string) => env[name] || env[name.toUpperCase()];
  const named = of(`${scheme}_proxy`) ?? of("all_proxy");
  const port = url.port || (scheme === "https" ? "443" : "80");
  if (!named || isExcepted(url.hostname, port, of("no_proxy") ?? "")) return undefined;
  const proxy = named.includes("://") ? named : `http://${named}`;
  return URL.canParse(proxy) && new URL(proxy).protocol === "http:" ? new URL(proxy) : undefined;
}

/** The header that a proxy with a name and a password expects. */
export function proxyHeaders(proxy: URL): Record<string, string> {
  const { user, password } = credentialsOf(proxy);
  return user ? { "proxy-authorization": basic(user, password) } : {};
}

/** A connection through a proxy to the host of a URL. */
export function tunnel(proxy: URL, url: URL, timeout: number, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const host = `${url.hostname}:${url.port || 443}`;
    const headers = { host, ...proxyHeaders(proxy) };
    const request = plainRequest({
      ...{
        host: proxy.hostname,
        port: proxy.port || 80,
        method: "CONNECT",
        path: host,
        headers,
        timeout,
        agent: false,
      },
      ...(signal && { signal }),
    });
    request.once("connect", ({ statusCode }, socket: Socket) => {
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(Object.assign(new Error(`the proxy answers ${statusCode}`), { code: "EPROXY" }));
    });
    request.once("timeout", () => request.destroy(Object.assign(new Error("the proxy is silent"), { code: "EPROXY" })));
    request.once("error", reject);
    request.end();
  });
}
