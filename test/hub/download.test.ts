// Downloads against a hub of the tests' own that speaks the real protocol, and fails in every way.
import { spawn } from "node:child_process";
import { createHash, randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { LowrankError } from "../../src/base/errors.js";
import { partsOf } from "../../src/hub/http.js";
import {
  adapterFiles,
  type HubSettings,
  hubSettings,
  modelFiles,
  repositoryOf,
  type SnapshotOptions,
  snapshotFolder,
  type Transfer,
  tokenizerFiles,
  type Wanted,
} from "../../src/hub/index.js";
import { proxyFor, proxyHeaders } from "../../src/net/proxy.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { type Fault, gitHash, HubServer, LARGE, sendContent } from "../support/hub-server.js";

const NAME = "someone/tiny-llama";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const TOKEN = "hf_secretSecretSecret";
const weights = randomBytes(300_000);
const hash = createHash("sha256").update(weights).digest("hex");
const config = Buffer.from('{"model_type": "llama"}');
const FILES = {
  "config.json": config,
  "tokenizer.json": "{}",
  "model.safetensors": weights,
  "pytorch_model.bin": "a pickle",
  "README.md": "not needed",
  "onnx/model.onnx": "not needed",
};

const folder = temporaryFolders();
const repository = { type: "model", name: NAME, revision: "main" } as const;
const hub = HubServer.forTests();
let settings: HubSettings;
let waits: number[];

beforeEach(() => {
  hub.repositories.set(NAME, { commit: COMMIT, files: FILES });
  waits = [];
  const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: folder(), HF_TOKEN: TOKEN, HF_HOME: folder() };
  settings = hubSettings(env);
});

const noPause = (milliseconds: number) => {
  waits.push(milliseconds);
  return Promise.resolve();
};
const get = (
  more: Partial<SnapshotOptions> = {},
  wanted: Wanted = modelFiles,
  from = repository as typeof repository,
) => snapshotFolder(from, wanted, { settings, wait: noPause, ...more });
/** For downloads in processes of their own. */
const DIST = new URL("../../dist/hub/index.js", import.meta.url).href;
const childEnvironment = () => ({
  ...process.env,
  ...{ HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: settings.cache, HF_HUB_OFFLINE: "" },
});
/** The name of a content's blob. */
const nameOf = (content: Buffer) => (content.length < LARGE ? gitHash(content) : hash);
const place = (...parts: string[]) => join(settings.cache, "models--someone--tiny-llama", ...parts);
const blobs = () => (existsSync(place("blobs")) ? readdirSync(place("blobs")).sort() : []);
/** A fault of the contents of large files alone. */
const ofStore =
  (fault: Fault): Fault =>
  (seen, ...rest) =>
    seen.host === "store" && fault(seen, ...rest);
const status =
  (code: number, headers: Record<string, string> = {}): Fault =>
  (_, response) => {
    response.writeHead(code, { "content-length": "0", ...headers }).end();
    return true;
  };

describe("the cache", () => {
  it("has Python's layout, and the files that a run needs alone", async () => {
    const progress: number[] = [];
    const snapshot = await get({ onProgress: (done) => progress.push(done) });
    expect(snapshot).toBe(place("snapshots", COMMIT));
    expect(readdirSync(snapshot).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    expect(readlinkSync(join(snapshot, "model.safetensors"))).toBe(`../../blobs/${hash}`);
    expect(readlinkSync(join(snapshot, "config.json"))).toBe(`../../blobs/${gitHash(config)}`);
    expect(weights.equals(readFileSync(join(snapshot, "model.safetensors")))).toBe(true);
    expect(readFileSync(place("refs", "main"), "utf8")).toBe(COMMIT);
    expect(readFileSync(join(settings.cache, "CACHEDIR.TAG"), "utf8")).toMatch(
      /^Signature: 8a477f597d28d172789f06886806bc55\n/,
    );
    expect(existsSync(join(settings.cache, ".locks", "models--someone--tiny-llama", `${hash}.lock`))).toBe(true);
    expect(progress.at(-1)).toBe(weights.length + config.length + 2);
    expect(hub.fetched()).toHaveLength(4);
  });

  it("is asked for nothing the second time but the commit, and for nothing at all offline or by commit", async () => {
    const snapshot = await get();
    hub.seen.length = 0;
    expect(await get()).toBe(snapshot);
    expect(hub.seen.map(({ path }) => path)).toEqual([`/api/models/${NAME}/revision/main?blobs=true`]);
    hub.seen.length = 0;
    expect(await get({ settings: { ...settings, offline: true } })).toBe(snapshot);
    const pinned = { ...repository, revision: COMMIT } as unknown as typeof repository;
    expect(await get({}, modelFiles, pinned)).toBe(snapshot);
    expect(hub.seen).toEqual([]);
  });

  it("says offline that it does not have all of a model", async () => {
    await get({}, tokenizerFiles);
    const error = await errorOf(() => get({ settings: { ...settings, offline: true } }));
    expect(error.code).toBe("E_HUB_OFFLINE");
    expect(error.message).toContain("Run once without HF_HUB_OFFLINE");
  });

  it("is used with a warning where the hub is away", async () => {
    const snapshot = await get();
    hub.fault = status(503);
    const warnings: string[] = [];
    expect(await get({ warn: (message) => warnings.push(message) })).toBe(snapshot);
    expect(warnings.join()).toMatch(/fails with 503.*The copy in the cache is used/);
    expect(waits).toEqual([500, 1000, 2000, 4000]);
  });

  it("does without symbolic links", async () => {
    const snapshot = await get({ settings: { ...settings, symlinks: false } });
    expect(lstatSync(join(snapshot, "model.safetensors")).isFile()).toBe(true);
    expect(weights.equals(readFileSync(join(snapshot, "model.safetensors")))).toBe(true);
  });

  it("is whole again after an end between blob and snapshot, without a second download", async () => {
    await get();
    rmSync(place("snapshots"), { recursive: true });
    rmSync(place("refs"), { recursive: true });
    hub.seen.length = 0;
    const snapshot = await get();
    expect(hub.fetched()).toEqual([]);
    expect(weights.equals(readFileSync(join(snapshot, "model.safetensors")))).toBe(true);
  });

  it.each([
    ["blob is there under another name", "rename", "blobs/HASH", { isBlob: false, isPlaced: false }],
    ["blob is there and no snapshot has it", "symlink", "blobs/HASH.", { isBlob: true, isPlaced: false }],
    ["link is there under another name", "rename", "snapshots/", { isBlob: true, isPlaced: false }],
    ["snapshot is whole and no reference leads to it", "rename", "refs/main", { isBlob: true, isPlaced: true }],
  ])("is whole again after kill -9 when the %s", async (_, call, at, { isBlob, isPlaced }) => {
    const ofWeights = at === "snapshots/" ? `${at}${COMMIT}/model.safetensors` : at.replace("HASH", hash);
    // The process ends where it is about to make this call of the system.
    const script = `import fs from "node:fs";
      import { syncBuiltinESMExports } from "node:module";
      const real = fs.promises.${call};
      fs.promises.${call} = (from, to) => {
        if (to.includes(${JSON.stringify(ofWeights)})) process.kill(process.pid, "SIGKILL");
        return real(from, to);
      };
      syncBuiltinESMExports();
      const { snapshotFolder, modelFiles } = await import(${JSON.stringify(DIST)});
      await snapshotFolder(${JSON.stringify(repository)}, modelFiles);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], { env: childEnvironment() });
    const [code, signal] = await once(child, "close");
    expect([code, signal]).toEqual([null, "SIGKILL"]);
    const found = () => ({
      isBlob: existsSync(place("blobs", hash)),
      isPlaced: existsSync(place("snapshots", COMMIT, "model.safetensors")),
    });
    expect(found()).toEqual({ isBlob, isPlaced });
    expect(existsSync(place("refs", "main"))).toBe(false);
    // What bears a blob's name is that blob.
    const right = new Map([weights, config, Buffer.from("{}")].map((each) => [nameOf(each), each]));
    for (const name of blobs().filter((each) => right.has(each)))
      expect(right.get(name)!.equals(readFileSync(place("blobs", name)))).toBe(true);
    hub.seen.length = 0;
    const snapshot = await get();
    for (const [name, content] of Object.entries({ "model.safetensors": weights, "config.json": config }))
      expect(content.equals(readFileSync(join(snapshot, name)))).toBe(true);
    // No byte of the weights came twice. What the killed process left lies among the blobs alone, under no blob's name.
    expect(hub.seen.filter(({ host }) => host === "store")).toEqual([]);
    expect(blobs().filter((each) => !each.includes("."))).toEqual([...right.keys()].sort());
    expect(readdirSync(snapshot).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    expect(readdirSync(place("refs"))).toEqual(["main"]);
    expect(readFileSync(place("refs", "main"), "utf8")).toBe(COMMIT);
    expect(await get({ settings: { ...settings, offline: true } })).toBe(snapshot);
  });

  it("gets what another process was about to download from it", async () => {
    const { lockFile, unlockFile } = await import("../../src/native/index.js");
    const locks = join(settings.cache, ".locks", "models--someone--tiny-llama");
    mkdirSync(locks, { recursive: true });
    const lock = lockFile(join(locks, `${hash}.lock`));
    if (typeof lock === "string") throw new Error(`the lock is ${lock}`);
    // The other one has its file when it is waited for the second time.
    let asked = 0;
    const wait = async () => {
      if (++asked !== 2) return;
      mkdirSync(place("blobs"), { recursive: true });
      writeFileSync(place("blobs", hash), weights);
      unlockFile(lock);
    };
    const warnings: string[] = [];
    await get({ wait, warn: (message) => warnings.push(message) });
    expect(warnings).toEqual([expect.stringContaining("another process is downloading model.safetensors")]);
    expect(hub.seen.filter(({ host }) => host === "store")).toEqual([]);
  });

  it("is filled once by two processes at once", async () => {
    let listed = 0;
    let release = () => {};
    const both = new Promise<void>((resolve) => {
      release = resolve;
    });
    hub.fault = (seen, response, content) => {
      if (seen.path.startsWith("/api/") && ++listed === 2) release();
      if (seen.host !== "store") return false;
      void both.then(() => sendContent(response, content, seen.range));
      return true;
    };
    const script = `const { snapshotFolder, modelFiles } = await import(${JSON.stringify(DIST)});
      console.log(await snapshotFolder(${JSON.stringify(repository)}, modelFiles));`;
    const env = childEnvironment();
    const run = () =>
      new Promise<string>((resolve) => {
        const child = spawn(process.execPath, ["--input-type=module", "-e", script], { env });
        let output = "";
        for (const stream of [child.stdout, child.stderr]) {
          stream.on("data", (data) => {
            output += data;
          });
        }
        child.on("close", () => resolve(output.trim()));
      });
    expect(await Promise.all([run(), run()])).toEqual([place("snapshots", COMMIT), place("snapshots", COMMIT)]);
    expect(hub.seen.filter(({ host }) => host === "store")).toHaveLength(1);
  });
});

describe("a download", () => {
  const anywhere = Array.from({ length: 10 }, () => randomInt(1, weights.length)).sort((a, b) => a - b);
  it.each([[[1, 17, 4096, 65_535, 65_536, 65_537, 100_000, 200_001, 299_998, 299_999]], [[...new Set(anywhere)]]])(
    "goes on after cuts at %j, and fetches no byte twice",
    async (cuts) => {
      const begins: number[] = [];
      hub.fault = ofStore(({ range }, response, content) => {
        const from = Number(/\d+/.exec(range ?? "")?.[0] ?? 0);
        begins.push(from);
        const cut = cuts.find((each) => each > from);
        if (cut === undefined) return false;
        const headers = { "content-length": content.length - from };
        if (range === undefined) response.writeHead(200, headers);
        else
          response.writeHead(206, {
            ...headers,
            "content-range": `bytes ${from}-${content.length - 1}/${content.length}`,
          });
        response.write(content.subarray(from, cut), () => response.socket?.end());
        return true;
      });
      const snapshot = await get();
      expect(weights.equals(readFileSync(join(snapshot, "model.safetensors")))).toBe(true);
      expect(begins).toEqual([0, ...cuts]);
      expect(blobs().filter((name) => name.includes("incomplete"))).toEqual([]);
    },
  );

  it("goes on from what an earlier process left", async () => {
    mkdirSync(place("blobs"), { recursive: true });
    writeFileSync(place("blobs", `${hash}.incomplete`), weights.subarray(0, 1000));
    await get();
    expect(hub.seen.filter(({ host }) => host === "store").map(({ range }) => range)).toEqual(["bytes=1000-"]);
    expect(weights.equals(readFileSync(place("blobs", hash)))).toBe(true);
  });

  it("begins anew where an earlier process left other bytes, or more of them", async () => {
    mkdirSync(place("blobs"), { recursive: true });
    for (const bytes of [randomBytes(1000), randomBytes(weights.length), randomBytes(weights.length + 1)]) {
      rmSync(place("blobs", hash), { force: true });
      rmSync(place("snapshots"), { recursive: true, force: true });
      writeFileSync(place("blobs", `${hash}.incomplete`), bytes);
      await get();
      expect(weights.equals(readFileSync(place("blobs", hash)))).toBe(true);
    }
  });

  it("begins anew where the server knows no ranges, or answers 416", async () => {
    const answers: Fault[] = [(_, response, content) => sendContent(response, content, undefined), status(416)];
    for (const answer of answers) {
      rmSync(place(), { recursive: true, force: true });
      mkdirSync(place("blobs"), { recursive: true });
      writeFileSync(place("blobs", `${hash}.incomplete`), weights.subarray(0, 1000));
      hub.fault = ofStore((seen, ...rest) => seen.range !== undefined && answer(seen, ...rest));
      await get();
      expect(weights.equals(readFileSync(place("blobs", hash)))).toBe(true);
    }
  });

  it.each<[string, Fault, string]>([
    ["of other bytes", (_, response) => sendContent(response, randomBytes(weights.length), undefined), "E_HUB_FILE"],
    [
      "that is longer",
      (_, response) => sendContent(response, Buffer.concat([weights, config]), undefined),
      "E_HUB_FILE",
    ],
    [
      "that is shorter each time",
      (_, response) => sendContent(response, weights.subarray(0, 500), undefined),
      "E_HUB_NETWORK",
    ],
    ["whose ranges are others", (_, response) => Boolean(response.writeHead(206).end("x")), "E_HUB_NETWORK"],
  ])("%s is an error, and leaves nothing wrong", async (_, fault, code) => {
    hub.fault = ofStore(fault);
    const error = await errorOf(() => get());
    expect(error.code).toBe(code);
    expect(error.message).not.toContain("Signature");
    expect(blobs()).not.toContain(hash);
    expect(existsSync(place("refs", "main"))).toBe(false);
    hub.fault = () => false;
    expect(weights.equals(readFileSync(join(await get(), "model.safetensors")))).toBe(true);
  });

  it("gives the token to the hub alone", async () => {
    await get();
    expect(hub.seen.filter(({ host }) => host === "hub").every(({ token }) => token)).toBe(true);
    expect(hub.seen.filter(({ host }) => host === "store").map(({ token }) => token)).toEqual([false]);
  });

  it("waits as long as the hub asks it to, and no longer than a minute", async () => {
    let refused = 0;
    hub.fault = (...all) => ++refused <= 2 && status(429, { "retry-after": "7" })(...all);
    await get();
    expect(waits).toEqual([7000, 7000]);
    rmSync(place(), { recursive: true });
    hub.fault = status(429, { "retry-after": "300" });
    const error = await errorOf(() => get());
    expect(error.code).toBe("E_HUB_LIMIT");
    expect(error.message).toContain("try again in 300 s");
    expect(waits).toHaveLength(2);
  });

  it("outlives some failures of the server", async () => {
    let failed = 0;
    hub.fault = ofStore((...all) => ++failed <= 3 && status(502)(...all));
    expect(weights.equals(readFileSync(join(await get(), "model.safetensors")))).toBe(true);
  });

  it("ends with its signal's reason", async () => {
    const abort = new AbortController();
    hub.fault = ofStore((_, response) => {
      response.writeHead(200, { "content-length": weights.length }).write(weights.subarray(0, 100));
      setImmediate(() => abort.abort(new Error("stopped")));
      return true;
    });
    await expect(get({ signal: abort.signal })).rejects.toThrow("stopped");
    expect(blobs()).not.toContain(hash);
  });

  it("is not begun again where no connection to the hub was made", async () => {
    const away = await errorOf(() => get({ settings: { ...settings, endpoint: "http://127.0.0.1:9" } }));
    expect([away.code, away.message]).toEqual(["E_HUB_NETWORK", expect.stringContaining("ECONNREFUSED")]);
    hub.fault = () => true;
    const error = await errorOf(() => get({ settings: { ...settings, timeoutMs: 20 } }));
    expect(error.message).toContain("ETIMEDOUT");
    expect(waits).toEqual([]);
  });

  it("takes a server that says nothing for dead", async () => {
    hub.fault = ofStore(() => true);
    const error = await errorOf(() => get({ settings: { ...settings, timeoutMs: 20 } }));
    expect(error.code).toBe("E_HUB_NETWORK");
    expect(error.message).toContain("ETIMEDOUT");
  });

  it("goes through the proxy of the environment", async () => {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(request.url ?? "");
      const { "proxy-authorization": _, ...headers } = request.headers;
      const onward = httpRequest(request.url ?? "", { headers, method: request.method }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      onward.end();
    });
    await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
    process.env.http_proxy = `http://user:pass@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    try {
      await get();
    } finally {
      delete process.env.http_proxy;
      proxy.closeAllConnections();
      proxy.close();
    }
    expect(asked).toHaveLength(5);
    expect(asked[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/api\/models/);
  });
});

it.each<[string, Record<string, string>, string | undefined]>([
  ["https://huggingface.co", { HTTPS_PROXY: "http://p:3128" }, "p:3128"],
  ["https://huggingface.co", { https_proxy: "p:3128", no_proxy: "other.org" }, "p:3128"],
  ["https://cdn.hf.co", { HTTPS_PROXY: "http://p:3128", NO_PROXY: "localhost,.hf.co" }, undefined],
  ["https://hf.co:8443", { HTTPS_PROXY: "http://p:3128", NO_PROXY: "hf.co:443" }, "p:3128"],
  ["http://hub.local", { HTTPS_PROXY: "http://p:3128" }, undefined],
  ["http://hub.local", { ALL_PROXY: "http://p:3128", NO_PROXY: "*" }, undefined],
])("the proxy for %s by %o is %s", (url, env, proxy) => {
  expect(proxyFor(new URL(url), env)?.host).toBe(proxy);
});

it("a proxy's password may hold what is no code", () => {
  const { "proxy-authorization": header } = proxyHeaders(new URL("http://user:50%off%40%zz@p:3128"));
  expect(Buffer.from(header!.slice("Basic ".length), "base64").toString()).toBe("user:50%off@%zz");
});

describe("a refusal", () => {
  const none = (s: HubSettings): HubSettings => ({ ...s, token: undefined });
  it.each<[string, Fault, (s: HubSettings) => HubSettings, string, string]>([
    ["gated", ofFile(403, "GatedRepo"), (s) => s, "E_HUB_ACCESS", "accept its conditions at"],
    ["gated, nobody logged in", ofFile(401, "GatedRepo"), none, "E_HUB_ACCESS", "Then set HF_TOKEN"],
    ["a token that is none", status(401), (s) => s, "E_HUB_ACCESS", "refuses the token of HF_TOKEN: make a new one"],
    ["a token without the right", status(403), (s) => s, "E_HUB_ACCESS", "give that token the right"],
    [
      "private or missing",
      status(401, { "x-error-code": "RepoNotFound" }),
      none,
      "E_HUB_MISSING",
      "is private: then set HF_TOKEN",
    ],
    ["missing", status(404, { "x-error-code": "RepoNotFound" }), (s) => s, "E_HUB_MISSING", "check the spelling"],
    [
      "no such revision",
      status(404, { "x-error-code": "RevisionNotFound" }),
      (s) => s,
      "E_HUB_MISSING",
      "has no revision main",
    ],
    ["no such file", ofFile(404, "EntryNotFound"), (s) => s, "E_HUB_MISSING", "has no file"],
    ["disabled", status(403, { "x-error-code": "DisabledRepo" }), (s) => s, "E_HUB_ACCESS", "use another repository"],
    ["too often", status(429), none, "E_HUB_LIMIT", "limits are higher"],
    ["a failure", status(500), (s) => s, "E_HUB_SERVER", "try again later"],
    ["no hub", (_, response) => Boolean(response.end("<html>")), (s) => s, "E_HUB_ANSWER", "Check HF_ENDPOINT"],
    [
      "nobody there",
      () => false,
      (s) => ({ ...s, endpoint: "http://127.0.0.1:1" }),
      "E_HUB_NETWORK",
      "Check the network",
    ],
  ])("%s", async (_, fault, change, code, words) => {
    hub.fault = fault;
    const error = await errorOf(() => get({ settings: change(settings) }));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(words)]);
    expect(error.message + error.stack).not.toContain(TOKEN);
    expect(existsSync(place("refs"))).toBe(false);
  });

  function ofFile(code: number, name: string): Fault {
    return (seen, ...rest) => !seen.path.startsWith("/api/") && status(code, { "x-error-code": name })(seen, ...rest);
  }

  it.each<[string, Record<string, string>, Wanted, string]>([
    ["pickles", { "config.json": "{}", "pytorch_model.bin": "" }, modelFiles, "pickles (pytorch_model.bin)"],
    ["an adapter", { "adapter_config.json": "{}", "adapter_model.safetensors": "" }, modelFiles, "--adapter"],
    ["no weights", { "config.json": "{}" }, modelFiles, "no model.safetensors"],
    ["no configuration", { "model.safetensors": "" }, modelFiles, "has no config.json"],
    ["several GGUF files", { "a.gguf": "", "b.gguf": "" }, modelFiles, "several GGUF files"],
    ["a pickled adapter", { "adapter_config.json": "{}", "adapter_model.bin": "" }, adapterFiles, "adapter_model.bin"],
    ["no tokenizer", { "config.json": "{}" }, tokenizerFiles, "has no tokenizer.json"],
  ])("a repository with %s", async (_, files, wanted, words) => {
    hub.repositories.set(NAME, { commit: COMMIT, files });
    const error = await errorOf(() => get({}, wanted));
    expect([error.code, error.message]).toEqual(["E_HUB_FORMAT", expect.stringContaining(words)]);
    expect(readdirSync(settings.cache)).toEqual([]);
  });
});

describe("a repository", () => {
  it("gives its chat templates with the tokenizer", async () => {
    const template = "additional_chat_templates/rag.jinja";
    const files = { "tokenizer.json": "{}", "chat_template.jinja": "a", [template]: "b", "other/x.jinja": "c" };
    hub.repositories.set(NAME, { commit: COMMIT, files });
    const folder = await get({}, tokenizerFiles);
    expect(readFileSync(join(folder, template), "utf8")).toBe("b");
    expect(readdirSync(folder).sort()).toEqual(["additional_chat_templates", "chat_template.jinja", "tokenizer.json"]);
  });

  it("of shards gives those that its index names", async () => {
    const weight_map = { a: "part-a.safetensors", b: "part-b.safetensors" };
    const files = {
      ...{ "config.json": "{}", "model.safetensors.index.json": JSON.stringify({ weight_map }) },
      ...{ "part-a.safetensors": "a", "part-b.safetensors": "b", "consolidated.safetensors": "c" },
    };
    hub.repositories.set(NAME, { commit: COMMIT, files });
    const snapshot = await get();
    expect(readdirSync(snapshot).sort()).toEqual(
      Object.keys(files)
        .filter((name) => name !== "consolidated.safetensors")
        .sort(),
    );
    expect(await get({ settings: { ...settings, offline: true } })).toBe(snapshot);
    rmSync(join(snapshot, "part-b.safetensors"));
    const error = await errorOf(() => get({ settings: { ...settings, offline: true } }));
    expect(error.code).toBe("E_HUB_OFFLINE");
  });

  it("tells before the first byte what comes, and may be refused then", async () => {
    let transfer: Transfer | undefined;
    const onStart = (started: Transfer) => {
      transfer = started;
      throw new Error("not now");
    };
    await expect(get({ onStart })).rejects.toThrow("not now");
    const names = ["config.json", "model.safetensors", "tokenizer.json"];
    expect(transfer?.files.map(({ path }) => path).sort()).toEqual(names);
    expect(transfer?.bytes).toBe(weights.length + config.length + 2);
    expect(blobs()).toEqual([]);
  });

  it("that was renamed is found, and its new name told", async () => {
    hub.repositories.set("else/new-name", { commit: COMMIT, files: FILES });
    hub.repositories.set(NAME, { commit: COMMIT, files: FILES, renamed: "else/new-name" });
    const warnings: string[] = [];
    expect(await get({ warn: (message) => warnings.push(message) })).toBe(place("snapshots", COMMIT));
    expect(warnings).toEqual([`${NAME} is called else/new-name now: use that name`]);
  });

  it("whose listing has no hashes is asked file by file", async () => {
    hub.fault = (seen, response) => {
      if (!seen.path.startsWith("/api/")) return false;
      const siblings = Object.keys(FILES).map((rfilename) => ({ rfilename }));
      response.end(JSON.stringify({ id: NAME, sha: COMMIT, siblings }));
      return true;
    };
    await get();
    expect(blobs()).toContain(hash);
    expect(blobs()).toContain(gitHash(config));
  });

  it("leads nowhere outside the cache", async () => {
    hub.fault = (seen, response) => {
      if (!seen.path.startsWith("/api/")) return false;
      const siblings = ["../../../evil", "/evil", "a\\evil"].map((rfilename) => ({ rfilename }));
      response.end(JSON.stringify({ id: NAME, sha: COMMIT, siblings }));
      return true;
    };
    const names: string[] = [];
    await get({}, (all) => {
      names.push(...all);
      return [];
    });
    expect(names).toEqual([]);
  });
});

describe("a name", () => {
  it.each<[string, string | undefined]>([
    ["meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-7b-hf main"],
    ["org/name@v1.0", "org/name v1.0"],
    ["org/name@refs/pr/3", "org/name refs/pr/3"],
    ["./org/name", undefined],
    ["/org/name", undefined],
    ["org/name/file.gguf", undefined],
    ["name", undefined],
    ["org/..", undefined],
    ["src/hub", undefined],
    ["hf://org/name", "org/name main"],
    ["hf://org/name/a/b/", "org/name main a/b"],
    ["hf://org/name@v1/a", "org/name v1 a"],
    ["hf://org/name@refs%2Fpr%2F1/a", "org/name refs/pr/1 a"],
    ["hf://org/name@refs/pr/1", "org/name refs/pr/1"],
  ])("%s is %s", (named, found) => {
    const meant = repositoryOf(named, "model");
    expect(meant && [meant.name, meant.revision, meant.folder].filter(Boolean).join(" ")).toBe(found);
  });

  it("of a data set", () => {
    expect(repositoryOf("hf://datasets/org/name", "dataset")).toMatchObject({ type: "dataset", name: "org/name" });
  });

  it("with a revision that leads elsewhere is refused", async () => {
    const urls = ["hf://org", "hf://org/name/../x", "hf://org/name@..", "hf://datasets/org/name"];
    for (const name of ["org/name@../../x", "org/name@", "org/name@a b", ...urls]) {
      expect((await errorOf(() => repositoryOf(name, "model"))).code).toBe("E_USAGE");
    }
  });
});

describe("the settings", () => {
  it("are those of huggingface_hub", () => {
    const home = folder();
    writeFileSync(join(home, "token"), `${TOKEN}\n`);
    expect(hubSettings({ HF_HOME: home })).toMatchObject({
      ...{ endpoint: "https://huggingface.co", cache: join(home, "hub"), token: TOKEN, tokenFrom: join(home, "token") },
      ...{ offline: false, symlinks: true, timeoutMs: 10_000 },
    });
    expect(hubSettings({ HF_HOME: home, HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }).token).toBeUndefined();
    expect(hubSettings({ HOME: "/h" }).cache).toBe("/h/.cache/huggingface/hub");
    expect(hubSettings({ XDG_CACHE_HOME: "/x", HF_HUB_OFFLINE: "YES" })).toMatchObject({
      cache: "/x/huggingface/hub",
      offline: true,
    });
    expect(hubSettings({ HF_ENDPOINT: "https://mirror/", HF_HUB_CACHE: "~/c", HOME: "/h" })).toMatchObject({
      ...{ endpoint: "https://mirror", cache: "/h/c" },
    });
  });

  it("never show a secret", () => {
    for (const env of [{ HF_TOKEN: "hf_with a blank" }, { HF_ENDPOINT: "https://me:hf_with@mirror" }]) {
      try {
        hubSettings({ HF_HOME: folder(), ...env });
        throw new Error("expected an error");
      } catch (error) {
        expect(error).toBeInstanceOf(LowrankError);
        expect((error as Error).message).not.toContain("hf_with");
      }
    }
  });
});

it("a body whose connection ended before it was read is an error, not a wait without end", async () => {
  const server = createServer(
    (_, response) => void response.writeHead(200, { "content-length": 10 }).write("half"),
  ).listen(0);
  await once(server, "listening");
  try {
    const request = httpRequest({ port: (server.address() as AddressInfo).port }).end();
    const [answer] = await once(request, "response");
    answer.on("error", () => {}).destroy();
    await once(answer, "close");
    await expect(partsOf(answer).next()).rejects.toMatchObject({ code: "ECONNRESET" });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}, 5000);
