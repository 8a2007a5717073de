// A headless Chromium by its DevTools protocol, over pipes. LOWRANK_BROWSER names one; else one of the usual names is looked for.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** A browser of this machine; undefined where there is none. */
export function findBrowser(): string | undefined {
  const wanted = process.env.LOWRANK_BROWSER;
  const names = wanted ? [wanted] : NAMES;
  return names.find((name) => spawnSync(name, ["--version"], { timeout: 20_000 }).status === 0);
}

export interface View {
  width: number;
  height: number;
  dark?: boolean;
  phone?: boolean;
  /** As it is printed. */
  print?: boolean;
}

type Params = Record<string, unknown>;
type Message = { id?: number; sessionId?: string; method?: string; params?: Params; result?: Params; error?: Params };

/** One page of a browser. */
export class Browser {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, { resolve: (result: Params) => void; reject: (error: Error) => void }>();
  #next = 1;
  #session: string | undefined;
  #loaded: (() => void) | null = null;
  /** Errors of the console, failed requests and exceptions. */
  readonly problems: string[] = [];
  /** Addresses that the page asked for. */
  readonly requests: string[] = [];

  private constructor(executable: string) {
    this.#profile = mkdtempSync(join(tmpdir(), "lowrank-browser-"));
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];
    const own = [
      `--user-data-dir=${this.#profile}`,
      "--remote-debugging-pipe",
      "--no-first-run",
      "--no-zygote",
      "--disable-extensions",
    ];
    this.#child = spawn(executable, [...flags, ...own, "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    let rest = "";
    (this.#child.stdio[4] as Readable).setEncoding("utf8").on("data", (data: string) => {
      const parts = (rest + data).split("\0");
      rest = parts.pop()!;
      for (const part of parts) this.#receive(JSON.parse(part) as Message);
    });
    this.#child.on("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the browser ended"));
    });
  }

  static async start(executable: string): Promise<Browser> {
    const browser = new Browser(executable);
    const { targetId } = await browser.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = sessionId as string;
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await browser.send(`${domain}.enable`);
    return browser;
  }

  #receive({ id, method, params, result, error }: Message): void {
    if (id !== undefined) {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(JSON.stringify(error)));
      else waiting?.resolve(result ?? {});
      return;
    }
    if (method === "Page.loadEventFired") this.#loaded?.();
    if (method === "Runtime.exceptionThrown" || method === "Log.entryAdded") this.problems.push(JSON.stringify(params));
    if (method === "Runtime.consoleAPICalled" && params?.type === "error") this.problems.push(JSON.stringify(params));
    if (method === "Network.requestWillBeSent") this.requests.push((params!.request as { url: string }).url);
  }

  send(method: string, params: Params = {}): Promise<Params> {
    const id = this.#next++;
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** @returns milliseconds until the page was loaded */
  async open(url: string, { width, height, dark = false, phone = false, print = false }: View): Promise<number> {
    const scale = phone ? 2 : 1;
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: scale, mobile: phone });
    const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
    await this.send("Emulation.setEmulatedMedia", { media: print ? "print" : "", features });
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve;
    });
    const begin = performance.now();
    await this.send("Page.navigate", { url });
    await loaded;
    return performance.now() - begin;
  }

  /** The value of an expression in the page; promises are awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  }

  async press(key: string): Promise<void> {
    const code = { Tab: 9, ArrowLeft: 37, ArrowRight: 39, Enter: 13 }[key];
    const about = { key, code: key, windowsVirtualKeyCode: code };
    // A button is pressed by the character that Enter makes.
    const text = key === "Enter" ? { text: "\r" } : {};
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...about, ...text });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...about });
  }

  /** A picture of the whole page. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
    return Buffer.from(data as string, "base64");
  }

  async pdf(): Promise<Buffer> {
    const { data } = await this.send("Page.printToPDF", {
      paperWidth: 8.27,
      paperHeight: 11.69,
      printBackground: false,
    });
    return Buffer.from(data as string, "base64");
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#session = undefined;
    this.send("Browser.close").catch(() => {});
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
