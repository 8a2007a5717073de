// MLflow: the requests of a run, against a server of the tests that holds MLflow's limits.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import type { RunEvent } from "../../src/index.js";
import { Mlflow, mlflowSettings, Trackers } from "../../src/tracking/trackers/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { MlflowServer } from "../support/mlflow-server.js";
import { peerPython } from "../support/python.js";
import { json } from "../support/tracker-server.js";

const newFolder = temporaryFolders();
const TOKEN = "a-secret-token-of-mlflow";

const server = new MlflowServer();
const CONFIG = {
  learning_rate: 2e-4,
  left: undefined,
  long: "x".repeat(9000),
  list: [1, 2],
  ...Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`p${i}`, i])),
};

function trackersIn(folder: string, more: Record<string, string> = {}, lastMs = 5000): Trackers {
  const env = {
    MLFLOW_TRACKING_URI: server.url,
    MLFLOW_EXPERIMENT_NAME: "cooking",
    MLFLOW_TRACKING_TOKEN: TOKEN,
    ...more,
  };
  return new Trackers([
    new Mlflow(mlflowSettings({ run_name: "first" }, env), folder, CONFIG, { everyMs: 20, lastMs }),
  ]);
}

const metricsAt = (step: number) => ({
  ...{ step, epoch: step / 10, loss: 1 / step, grad_norm: step === 2 ? Number.NaN : 0.5 },
  ...{ learning_rate: 1e-3, tokens_per_s: 1000, mfu: 0.25 },
});
const stepAt = (step: number): RunEvent => ({
  type: "step",
  step,
  loss: 1,
  tokens_per_s: 1000,
  metrics: metricsAt(step),
});
const endOf = (aborted: boolean) =>
  ({
    type: "end",
    aborted,
    steps: 2,
    summary: { step: 2, epoch: 0.2, train_runtime: 2, train_loss: 0.5 },
  }) as unknown as RunEvent;
const EVAL: RunEvent = { type: "eval", metrics: { step: 2, epoch: 0.2, eval_loss: 0.25, eval_perplexity: 1.5 } };
const SAMPLE: RunEvent = { type: "sample", sample: { prompt: "Once", text: " upon a time" } };

/** A run of every kind of event, and what a server is to show of it: the points of each metric, by step. */
const EVENTS = [stepAt(1), stepAt(2), EVAL, SAMPLE, endOf(true)];
const both = (first: unknown, second: unknown): [number, unknown][] => [
  [1, first],
  [2, second],
];
const POINTS: Record<string, [step: number, value: unknown][]> = {
  "train/epoch": [...both(0.1, 0.2), [2, 0.2]],
  "train/loss": both(1, 0.5),
  "train/grad_norm": both(0.5, "NaN"),
  "train/learning_rate": both(1e-3, 1e-3),
  "train/tokens_per_s": both(1000, 1000),
  "train/mfu": both(0.25, 0.25),
  "eval/loss": [[2, 0.25]],
  "eval/perplexity": [[2, 1.5]],
  train_runtime: [[2, 2]],
  train_loss: [[2, 0.5]],
};
const PARAMS = {
  ...{ learning_rate: "0.0002", list: "[1,2]", long: `${"x".repeat(5997)}...` },
  ...Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`p${i}`, String(i)])),
};
const TAGS = { team: "a", "mlflow.source.name": "lowrank", "mlflow.source.type": "LOCAL" };
const SAMPLES = '{"columns":["prompt","text"],"data":[["Once"," upon a time"]]}';

async function feed(trackers: Trackers, events: RunEvent[], history: object[] = []) {
  trackers.start({ history });
  for (const event of events) trackers.event(event);
  await trackers.end();
  return { warnings: trackers.takeWarnings(), news: trackers.takeNews() };
}

const only = () => {
  expect([...server.runs.keys()]).toEqual(["run0"]);
  return server.runs.get("run0")!;
};
const losses = () =>
  only()
    .metrics.filter(({ key }) => key === "train/loss")
    .map(({ step, value }) => [step, value]);

test("a run's parameters, metrics, tags, samples and adapter; it goes on as the same run", async () => {
  const folder = newFolder();
  for (const name of ["adapter_model.safetensors", "adapter_config.json", "train.log"])
    writeFileSync(join(folder, name), name);
  const begin = Date.now();
  const { warnings, news } = await feed(trackersIn(folder, { MLFLOW_TAGS: '{"team": "a"}' }), EVENTS);
  expect(warnings).toEqual([]);
  expect(news).toEqual([`MLflow shows the run at ${server.url}/#/experiments/7/runs/run0`]);
  const { metrics, params, ...run } = only();
  expect(run).toEqual({ status: "KILLED", name: "first", tags: TAGS });
  expect(Object.fromEntries(params)).toEqual(PARAMS);
  const points: Record<string, unknown[]> = {};
  for (const { key, step, value, timestamp } of metrics) {
    points[key] = [...(points[key] ?? []), [step, value]];
    expect(timestamp).toBeGreaterThanOrEqual(begin);
    expect(timestamp).toBeLessThanOrEqual(Date.now());
  }
  expect(points).toEqual(POINTS);
  const at = "7/run0/artifacts";
  expect(Object.fromEntries(server.artifacts)).toEqual({
    [`${at}/adapter/adapter_model.safetensors`]: "adapter_model.safetensors",
    [`${at}/adapter/adapter_config.json`]: "adapter_config.json",
    [`${at}/samples.json`]: SAMPLES,
  });
  // The run is there before its parameters, these before its metrics, and its end comes last.
  const asked = server.seen.map(({ method, path, body }) => {
    const [name] = /(experiments|runs)\/[a-z-]+|artifacts\/7/.exec(path)!;
    if (name !== "runs/log-batch") return `${method} ${name}`;
    return `${method} ${Object.keys(JSON.parse(body)).filter((key) => key !== "run_id")}`;
  });
  expect(asked.filter((each, i) => each !== asked[i - 1])).toEqual([
    ...["GET experiments/get-by-name", "POST experiments/create", "POST runs/create", "GET runs/get"],
    ...["POST params", "POST metrics", "PUT artifacts/7", "POST runs/update"],
  ]);
  await feed(trackersIn(folder), [stepAt(2), stepAt(3), endOf(false)], [metricsAt(1)]);
  expect(losses()).toEqual([1, 2, 3].map((step) => [step, 1 / step]));
  expect(only().status).toBe("FINISHED");
  expect(server.seen.every(({ headers }) => headers.authorization === `Bearer ${TOKEN}`)).toBe(true);
});

test.each<[string, (response: ServerResponse) => void, string]>([
  ["hangs", () => {}, "does not answer"],
  ["breaks connections", (response) => response.destroy(), "ECONNRESET"],
  ["answers 500", (response) => json(response, { message: TOKEN }, 500), "answers 500"],
  ["refuses the token", (response) => json(response, {}, 401), "check MLFLOW_TRACKING_TOKEN"],
])("a server that %s loses no line, and no secret is told", async (_, fail, why) => {
  const folder = newFolder();
  server.fault = (_, response) => {
    fail(response);
    return true;
  };
  const { warnings } = await feed(trackersIn(folder, {}, 300), [stepAt(1), stepAt(2), endOf(true)]);
  expect(warnings.length).toBe(2);
  expect(warnings[0]).toContain(why);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name));
  const texts = files.filter((file) => statSync(file).isFile()).map((file) => readFileSync(file, "utf8"));
  expect([...texts, ...warnings].filter((text) => text.includes(TOKEN))).toEqual([]);
  server.fault = () => false;
  await feed(trackersIn(folder), [stepAt(3), endOf(false)], [metricsAt(1), metricsAt(2)]);
  expect(losses()).toEqual([1, 2, 3].map((step) => [step, 1 / step]));
  expect(only().status).toBe("FINISHED");
});

test("a metric that the server refuses as invalid is set aside, and the others arrive", async () => {
  const folder = newFolder();
  server.fault = ({ body }, response) => {
    const isPoisoned = body.includes('"train/loss","value":0.5,');
    if (isPoisoned) json(response, { error_code: "INVALID_PARAMETER_VALUE" }, 400);
    return isPoisoned;
  };
  const { warnings } = await feed(trackersIn(folder), [1, 2, 3, 4].map(stepAt));
  expect(warnings).toEqual([
    expect.stringMatching(/answers 400 .*would do so again: \{"metrics".* is kept in .*mlflow\.refused/),
  ]);
  expect(losses()).toEqual([1, 3, 4].map((step) => [step, 1 / step]));
  expect(readFileSync(join(folder, ".trackers/mlflow.refused"), "utf8")).toContain('"step":2');
});

test("settings: no server, odd tags; a password leaves the address", async () => {
  const refusal = async (env: Record<string, string>) =>
    (await errorOf(async () => mlflowSettings({ run_name: undefined }, env))).message;
  expect(await refusal({})).toContain("MLFLOW_TRACKING_URI, such as http://127.0.0.1:5000");
  expect(await refusal({ MLFLOW_TRACKING_URI: "http://a", MLFLOW_TAGS: "[]" })).toContain(
    "MLFLOW_TAGS is no JSON object",
  );
  expect(await refusal({ MLFLOW_TRACKING_URI: "sqlite:///user:word" })).not.toContain("word");
});

test.each<[Record<string, string>, string, string | undefined]>([
  [{ MLFLOW_TRACKING_URI: "http://host:5000/" }, "http://host:5000", undefined],
  [{ MLFLOW_TRACKING_URI: "http://user:word@host:5000/" }, "http://host:5000", "user:word"],
  [{ MLFLOW_TRACKING_URI: "http://user:50%off@host" }, "http://host", "user:50%off"],
  [{ MLFLOW_TRACKING_URI: "https://user:w%40rd@host/a/mlflow/" }, "https://host/a/mlflow", "user:w@rd"],
  [
    { MLFLOW_TRACKING_URI: "http://a:b@host", MLFLOW_TRACKING_USERNAME: "user", MLFLOW_TRACKING_PASSWORD: "word" },
    "http://host",
    "user:word",
  ],
  [{ MLFLOW_TRACKING_URI: "http://host", MLFLOW_TRACKING_TOKEN: "token" }, "http://host", "token"],
  // As for MLflow's client, the pair comes before the token.
  [{ MLFLOW_TRACKING_URI: "http://user:word@host", MLFLOW_TRACKING_TOKEN: "token" }, "http://host", "user:word"],
])("the server and its credentials: %o", (env, uri, credentials) => {
  const read = mlflowSettings({ run_name: undefined }, env);
  const header = credentials?.includes(":")
    ? `Basic ${Buffer.from(credentials).toString("base64")}`
    : `Bearer ${credentials}`;
  expect([read.uri, read.authorization]).toEqual([uri, credentials && header]);
});

const { python, reason } = peerPython("mlflow", "LOWRANK_MLFLOW_PYTHON", "LOWRANK_PEER_PYTHON");
if (reason) console.log(`skipped: a real \`mlflow server\` (${reason})`);

/** A port that was free just now. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}

test.skipIf(reason !== undefined)(
  "a real `mlflow server` shows parameters, metrics with steps and NaN, tags and the adapter",
  async () => {
    const folder = newFolder();
    for (const name of ["adapter_model.safetensors", "adapter_config.json"]) writeFileSync(join(folder, name), name);
    const port = await freePort();
    const home = newFolder();
    const args = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"];
    const stores = [
      "--backend-store-uri",
      `sqlite:///${join(home, "runs.db")}`,
      "--artifacts-destination",
      join(home, "artifacts"),
    ];
    const child = spawn(python, [...args, ...stores], { cwd: home, stdio: "ignore", detached: true });
    try {
      const uri = `http://127.0.0.1:${port}`;
      // biome-ignore lint/suspicious/noExplicitAny: an answer of another program
      const ask = async (method: string): Promise<any> => (await fetch(`${uri}/api/2.0/mlflow/${method}`)).json();
      await vi.waitFor(async () => expect((await fetch(`${uri}/health`)).status).toBe(200), {
        timeout: 200_000,
        interval: 200,
      });
      const more = { MLFLOW_TRACKING_URI: uri, MLFLOW_TAGS: '{"team": "a"}' };
      const { warnings, news } = await feed(trackersIn(folder, more, 60_000), EVENTS);
      expect(warnings).toEqual([]);
      const id = /runs\/(\w+)$/.exec(news[0]!)![1]!;
      const history = async (key: string) =>
        (await ask(`metrics/get-history?run_id=${id}&metric_key=${encodeURIComponent(key)}`)).metrics.map(
          ({ step = 0, value }: { step?: number; value: unknown }) => [Number(step), value],
        );
      const byKey = (list: { key: string; value: unknown }[]) =>
        Object.fromEntries(list.map(({ key, value }) => [key, value]));
      const { run } = await ask(`runs/get?run_id=${id}`);
      expect(run.info).toMatchObject({ run_name: "first", status: "KILLED" });
      expect(byKey(run.data.params)).toEqual(PARAMS);
      expect(byKey(run.data.tags)).toMatchObject(TAGS);
      const keys: string[] = run.data.metrics.map(({ key }: { key: string }) => key);
      expect(keys.sort()).toEqual(Object.keys(POINTS).sort());
      // The server keeps a point that it is given twice once, or twice if they are a millisecond apart.
      const once = (points: unknown[][]) => [...new Set(points.map(String))];
      for (const key of keys) expect([key, once(await history(key))]).toEqual([key, once(POINTS[key]!)]);
      const { files } = await ask(`artifacts/list?run_id=${id}&path=adapter`);
      expect(files.map(({ path }: { path: string }) => path)).toEqual([
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
      ]);
      const artifact = (path: string) =>
        fetch(`${uri}/get-artifact?run_id=${id}&path=${path}`).then((answer) => answer.text());
      expect(await artifact("adapter/adapter_config.json")).toBe("adapter_config.json");
      expect(await artifact("samples.json")).toBe(SAMPLES);
      // The run goes on as the same one.
      const last = await feed(
        trackersIn(folder, more, 60_000),
        [stepAt(3), endOf(false)],
        [metricsAt(1), metricsAt(2)],
      );
      expect(last.warnings).toEqual([]);
      expect((await ask(`runs/get?run_id=${id}`)).run.info.status).toBe("FINISHED");
      expect(await history("train/loss")).toEqual([1, 2, 3].map((step) => [step, 1 / step]));
    } finally {
      process.kill(-child.pid!);
      await once(child, "exit");
    }
  },
  400_000,
);
