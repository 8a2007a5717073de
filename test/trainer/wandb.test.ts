// Weights & Biases: the server and `wandb sync` get the same from us as from wandb's own client, and no failure costs a metric.
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { promisify } from "node:util";
import { beforeEach, expect, test, vi } from "vitest";
import { Model, type RunEvent, Trainer } from "../../src/index.js";
import { Trackers, Wandb, wandbSettings } from "../../src/tracking/trackers/index.js";
import { framed } from "../../src/tracking/trackers/wandb/offline.js";
import { netrcPassword, type WandbOptions } from "../../src/tracking/trackers/wandb/settings.js";
import { errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { json, WandbServer } from "../support/tracker-server.js";

const newFolder = temporaryFolders();
const server = new WandbServer();
const KEY = "0123456789abcdef0123456789abcdef01234567";
const NONE: WandbOptions = { wandb_project: undefined, wandb_entity: undefined, run_name: undefined };
const PACE = { everyMs: 20, lastMs: 5000 };
const CONFIG = { learning_rate: 2e-4, whole: 1.0, list: [1, 2], nothing: null, deep: { a: "x" }, left: undefined };

let environment: Record<string, string>;
beforeEach(() => {
  environment = { WANDB_BASE_URL: server.url, WANDB_API_KEY: KEY };
});

const trackersIn = (folder: string, more: Record<string, string> = {}, options = NONE, pace = PACE) =>
  new Trackers([new Wandb(wandbSettings(options, { ...environment, ...more }), folder, CONFIG, pace)]);

const stepAt = (step: number, loss = 1 / step): RunEvent => ({
  ...{ type: "step", step, loss, tokens_per_s: 1000 },
  metrics: {
    step,
    epoch: step / 10,
    loss,
    grad_norm: step === 2 ? Number.NaN : 0.5,
    learning_rate: 1e-3,
    tokens_per_s: 1000,
    mfu: 0.25,
  },
});
const evalAt = (step: number): RunEvent => ({
  ...{ type: "eval", metrics: { step, epoch: step / 10, eval_loss: 0.25, eval_perplexity: 1.5 } },
});
const SUMMARY = {
  ...{ step: 4, epoch: 0.4, train_runtime: 2, train_samples_per_second: 8, train_steps_per_second: 2, train_loss: 0.5 },
  ...{ total_flos: 1e9, train_tokens: 100, train_tokens_per_second: 50, peak_memory_bytes: 1, planned_memory_bytes: 2 },
};
const endOf = (aborted = false) => ({ type: "end", aborted, steps: 4, summary: SUMMARY }) as unknown as RunEvent;
const SAMPLE: RunEvent = { type: "sample", sample: { prompt: "Once", text: " upon a time" } };
const linesOf = (events: RunEvent[]) =>
  events.flatMap((event) => ("metrics" in event && event.metrics ? [event.metrics] : []));

const EVENTS = [stepAt(1), stepAt(2), evalAt(2), stepAt(3), SAMPLE, endOf()];

/** Feeds a run. @returns its warnings, and its news */
async function feed(trackers: Trackers, events: RunEvent[], history: object[] = []) {
  trackers.start({ history });
  for (const event of events) trackers.event(event);
  await trackers.end();
  return { warnings: trackers.takeWarnings(), news: trackers.takeNews() };
}

/** A line of W&B, with NaN as a text, without times. */
function told(line: string): Record<string, unknown> {
  const { _timestamp, _runtime, ...rest } = JSON.parse(line.replaceAll(/:(NaN|-?Infinity)\b/g, ':"$1"'));
  return rest;
}

const onlyRun = () => {
  expect(server.runs.size).toBe(1);
  const [[id, run]] = [...server.runs] as [[string, ReturnType<WandbServer["run"]>]];
  return { id, run };
};

test("online: lines under transformers' names, settings, samples, summary and the end", async () => {
  const options = { wandb_project: "cooking", wandb_entity: "somebody", run_name: "first" };
  const more = { WANDB_TAGS: "a, b", WANDB_NOTES: "some", WANDB_RUN_GROUP: "group" };
  const { warnings, news } = await feed(trackersIn(newFolder(), more, options), EVENTS);
  expect(warnings).toEqual([]);
  const { id, run } = onlyRun();
  expect(news).toEqual([`W&B shows the run first at ${server.url}/somebody/cooking/runs/${id}`]);
  expect(run.variables).toMatchObject({
    ...{ name: id, project: "cooking", entity: "somebody", displayName: "first", tags: ["a", "b"] },
    ...{ notes: "some", groupName: "group" },
  });
  const { _wandb, ...config } = run.config;
  expect(config).toEqual(
    Object.fromEntries(
      ["learning_rate", "whole", "list", "nothing", "deep"].map((key) => [key, { value: CONFIG[key as "list"] }]),
    ),
  );
  const lines = run.history.map(told);
  expect(lines[1]).toEqual({
    ...{ "train/epoch": 0.2, "train/loss": 0.5, "train/grad_norm": "NaN", "train/learning_rate": 1e-3 },
    ...{ "train/tokens_per_s": 1000, "train/mfu": 0.25, "train/global_step": 2, _step: 1 },
  });
  expect(lines[2]).toEqual({
    "train/epoch": 0.2,
    "eval/loss": 0.25,
    "eval/perplexity": 1.5,
    "train/global_step": 2,
    _step: 2,
  });
  const { samples } = lines[4] as { samples: { path: string } };
  expect(samples).toMatchObject({ _type: "table-file", ncols: 2, nrows: 1 });
  expect(JSON.parse(run.files.get(samples.path)!)).toEqual({
    columns: ["prompt", "text"],
    data: [["Once", " upon a time"]],
  });
  expect(told(run.summary)).toMatchObject({
    "train/loss": 1 / 3,
    "eval/loss": 0.25,
    train_loss: 0.5,
    total_flos: 1e9,
    _step: 4,
  });
  expect(JSON.parse(run.files.get("wandb-summary.json")!.replaceAll("NaN", "null"))).toMatchObject({
    train_runtime: 2,
  });
  expect(Object.keys(told(run.events[0]!))).toContain("system.proc.memory.rssMB");
  expect(run.exitcode).toBe(0);
});

test("a run that goes on goes on as the same run, and repeats no line", async () => {
  const folder = newFolder();
  const first = [stepAt(1), stepAt(2), evalAt(2), stepAt(3)];
  await feed(trackersIn(folder), [...first, endOf(true)]);
  expect(onlyRun().run.exitcode).toBe(255);
  const history = linesOf(first.slice(0, 3));
  await feed(trackersIn(folder), [stepAt(3), stepAt(4), evalAt(4), endOf()], history);
  const lines = onlyRun().run.history.map(told);
  expect(lines.map((line) => line["train/global_step"])).toEqual([1, 2, 2, 3, 4, 4]);
  expect(lines.map((line) => line._step)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(onlyRun().run.exitcode).toBe(0);
});

test("a run of another folder goes on where WANDB_RUN_ID and WANDB_RESUME say so", async () => {
  const more = { WANDB_RUN_ID: "same", WANDB_RESUME: "allow" };
  await feed(trackersIn(newFolder(), more), [stepAt(1), stepAt(2), endOf()]);
  await feed(trackersIn(newFolder(), more), [stepAt(3), endOf()]);
  expect(onlyRun().run.history.map((line) => told(line)._step)).toEqual([0, 1, 2]);
  const { warnings } = await feed(trackersIn(newFolder(), { WANDB_RUN_ID: "other", WANDB_RESUME: "must" }), [
    stepAt(1),
    endOf(),
  ]);
  expect(warnings[0]).toContain("WANDB_RESUME is must, and there is no run other");
});

const FAULTS: [string, (response: import("node:http").ServerResponse) => void, string][] = [
  ["hangs", () => {}, "does not answer"],
  ["breaks connections", (response) => response.destroy(), "cannot be reached (ECONNRESET)"],
  ["answers 503", (response) => json(response, {}, 503), "answers 503"],
  ["answers 429", (response) => response.writeHead(429, { "retry-after": "1" }).end(), "answers 429"],
  ["refuses the key", (response) => json(response, { error: KEY }, 401), "the API key is not accepted: get one at"],
  ["refuses the run as invalid", (response) => json(response, {}, 400), "answers 400"],
  ["answers with errors", (response) => json(response, { errors: [{ message: `${KEY} is odd` }] }), "... is odd"],
  ["answers nonsense", (response) => response.end("<html>"), "has no data"],
];

test.each(FAULTS)(
  "a server that %s costs no time and no line: they are sent when the run goes on",
  async (_, fail, why) => {
    const folder = newFolder();
    server.fault = (_, response) => {
      fail(response);
      return true;
    };
    const trackers = trackersIn(folder, {}, NONE, { ...PACE, lastMs: 300 });
    trackers.start({ history: [] });
    const steps = Array.from({ length: 21 }, (_, i) => stepAt(i + 1));
    const spooled = () => {
      const name = readdirSync(join(folder, ".trackers")).find((one) => one.endsWith(".spool"))!;
      return statSync(join(folder, ".trackers", name)).size;
    };
    for (const event of steps) {
      const before = spooled();
      // A step has nothing to wait for: its line is on the disk when the call is over.
      expect(trackers.event(event)).toBeUndefined();
      expect(spooled()).toBeGreaterThan(before);
    }
    const begin = performance.now();
    await trackers.end();
    expect(performance.now() - begin).toBeLessThan(2000);
    const warnings = trackers.takeWarnings();
    expect(warnings.join("\n")).toContain(why);
    expect(warnings.at(-1)).toContain("which --resume sends");
    expect(warnings.length).toBeLessThanOrEqual(2);
    expect(server.runs.size).toBe(0);
    server.fault = () => false;
    await feed(trackersIn(folder), [stepAt(22), endOf()], linesOf(steps));
    expect(onlyRun().run.history.map((line) => told(line)["train/global_step"])).toEqual(
      Array.from({ length: 22 }, (_, i) => i + 1),
    );
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name));
    const texts = files.filter((file) => statSync(file).isFile()).map((file) => readFileSync(file, "utf8"));
    for (const secret of [KEY, Buffer.from(`api:${KEY}`).toString("base64")]) {
      expect([...texts, ...warnings].filter((text) => text.includes(secret))).toEqual([]);
    }
  },
);

test("a line that the server refuses as invalid is set aside, and the others arrive", async () => {
  const folder = newFolder();
  server.fault = ({ path, body }, response) => {
    const isPoisoned = path.endsWith("file_stream") && body.includes('train/global_step\\":3,');
    if (isPoisoned) json(response, {}, 400);
    return isPoisoned;
  };
  const steps = Array.from({ length: 9 }, (_, i) => stepAt(i + 1));
  const { warnings } = await feed(trackersIn(folder), [...steps, endOf()]);
  expect(warnings).toEqual([
    expect.stringMatching(
      /^W&B at \S+ answers 400 to POST \S+file_stream, and would do so again: \{"history".* is kept in .*refused/,
    ),
  ]);
  const { run } = onlyRun();
  expect(run.history.map((line) => told(line)["train/global_step"])).toEqual([1, 2, 4, 5, 6, 7, 8, 9]);
  expect(run.exitcode).toBe(0);
  const aside = readFileSync(
    join(folder, ".trackers", readdirSync(join(folder, ".trackers")).find((name) => name.endsWith(".refused"))!),
    "utf8",
  );
  const lines = aside.trim().split("\n");
  expect(lines[0]).toMatch(/^\{"history"/);
  expect(lines.filter((line) => !line.includes('"train/global_step":"3"'))).toEqual([]);
  expect(readdirSync(join(folder, ".trackers")).filter((name) => name.endsWith(".spool"))).toEqual([]);
});

test("lines reach a server that comes back while the run goes on; a lost answer doubles none", async () => {
  let asked = 0;
  server.fault = (seen, response) => {
    asked++;
    if (asked === 1) json(response, {}, 500);
    // The server has taken the lines, and the answer is lost.
    else if (asked === 3) {
      (server as unknown as { answer: (...given: unknown[]) => void }).answer(seen, { writeHead() {}, end() {} });
      response.destroy();
    } else return false;
    return true;
  };
  const trackers = trackersIn(newFolder());
  trackers.start({ history: [] });
  for (const step of [1, 2, 3]) trackers.event(stepAt(step));
  await vi.waitFor(() => expect(server.runs.size && onlyRun().run.history.length).toBe(3), {
    timeout: 15_000,
    interval: 50,
  });
  trackers.event(endOf());
  await trackers.end();
  expect(onlyRun().run.history.map((line) => told(line)._step)).toEqual([0, 1, 2]);
  expect(onlyRun().run.exitcode).toBe(0);
  expect(trackers.takeWarnings().length).toBe(1);
}, 20_000);

test.each([
  [{ WANDB_MODE: "sometimes" }, "WANDB_MODE is sometimes"],
  [{}, "copy it from https://wandb.ai/authorize into WANDB_API_KEY"],
  [{ WANDB_BASE_URL: "nowhere" }, "WANDB_BASE_URL is no URL"],
  [{ WANDB_BASE_URL: "http://a:b@c" }, "WANDB_BASE_URL holds a password"],
  [{ WANDB_API_KEY: "a b" }, "holds blanks"],
  [{ WANDB_API_KEY: "a", WANDB_RUN_ID: "a/b" }, "WANDB_RUN_ID may not hold"],
])("%o is refused", async (env, why) => {
  const error = await errorOf(async () => wandbSettings(NONE, { HOME: "/nowhere", ...env }));
  expect(error.message).toContain(why);
});

test("the key of netrc, and the variables of wandb", () => {
  const netrc =
    "# password x\nmachine other login a password b\nmachine api.wandb.ai\n  login user\n  password abc\ndefault password d\n";
  expect([netrcPassword(netrc, "api.wandb.ai"), netrcPassword(netrc, "c")]).toEqual(["abc", undefined]);
  const file = writeIn(newFolder(), "netrc", netrc);
  const env = { NETRC: file, WANDB_PROJECT: "p", WANDB_ENTITY: "e", WANDB_NAME: "n", WANDB_MODE: "dryrun" };
  const read = wandbSettings({ ...NONE, wandb_entity: "mine" }, env);
  expect(read).toMatchObject({ apiKey: "abc", project: "p", entity: "mine", name: "n", mode: "offline" });
});

test("records are cut where blocks end", () => {
  const frames = framed(Buffer.alloc(70_000, 1), 32_764);
  expect(frames.subarray(0, 4)).toEqual(Buffer.alloc(4));
  expect([4, 4 + 32_768, 4 + 65_536].map((at) => [frames.readUInt16LE(at + 4), frames[at + 6]])).toEqual([
    [32_761, 2],
    [32_761, 3],
    [70_000 - 2 * 32_761, 4],
  ]);
});

const { python, reason } = peerPython("wandb", "LOWRANK_WANDB_PYTHON", "LOWRANK_PEER_PYTHON");
if (reason) console.log(`skipped: \`wandb sync\` of a run offline (${reason})`);
const execute = promisify(execFile);

const OWN = `
import json, sys, wandb
config, lines, table, summary = json.load(open(sys.argv[1]))
run = wandb.init(project="cooking", name="first", tags=["a", "b"], notes="some", group="group", config=config)
run.define_metric("train/global_step")
run.define_metric("*", step_metric="train/global_step", step_sync=True)
for line in lines: run.log(line)
run.summary.update(summary)
run.finish()
`;

import { peerPython } from "../support/python.js";

test.skipIf(reason !== undefined)(
  "wandb sync sends the server the same of our folder as of its own client's, also after going on",
  async () => {
    const folder = newFolder();
    const env = { PATH: process.env.PATH, HOME: folder, ...environment, WANDB_MODE: "offline", WANDB_SILENT: "true" };
    const options = { wandb_project: "cooking", wandb_entity: undefined, run_name: "first" };
    const more = { WANDB_MODE: "offline", WANDB_TAGS: "a,b", WANDB_NOTES: "some", WANDB_RUN_GROUP: "group" };
    const first = [stepAt(1), stepAt(2), evalAt(2), stepAt(3)];
    await feed(trackersIn(folder, more, options), [...first, endOf(true)]);
    const { news } = await feed(
      trackersIn(folder, more, options),
      [stepAt(3), stepAt(4), endOf()],
      linesOf(first.slice(0, 3)),
    );
    const [name] = readdirSync(join(folder, "wandb"));
    expect(readdirSync(join(folder, "wandb"))).toEqual([name]);
    expect(news).toEqual([`W&B is offline: send the run with \`wandb sync ${join(folder, "wandb", name!)}\``]);
    const sync = (path: string) =>
      execute(python!, ["-m", "wandb", "sync", path], { env: { ...env, WANDB_MODE: "online" }, cwd: folder });
    await sync(join(folder, "wandb", name!));
    const ours = onlyRun().run;

    server.runs.clear();
    const { step: _, epoch: __, ...summary } = SUMMARY;
    const { left, ...config } = CONFIG;
    const lines = [...first, stepAt(4)]
      .flatMap((event) => linesOf([event]))
      .map((metrics) => {
        const { step, ...rest } = metrics as { step: number };
        const named = Object.entries(rest).map(([key, value]) => [
          key.startsWith("eval_") ? `eval/${key.slice(5)}` : `train/${key}`,
          value,
        ]);
        return { ...Object.fromEntries(named), "train/global_step": step };
      });
    const calls = JSON.stringify([config, lines, [], summary], (_, value) => (Number.isNaN(value) ? "<NaN>" : value));
    const own = join(folder, "own");
    await execute("mkdir", [own]);
    const script = writeIn(own, "own.py", OWN);
    await execute(python!, [script, writeIn(own, "calls.json", calls.replaceAll('"<NaN>"', "NaN"))], { env, cwd: own });
    const [theirs] = readdirSync(join(own, "wandb")).filter((each) => each.startsWith("offline-run-"));
    await sync(join(own, "wandb", theirs!));
    const real = onlyRun().run;

    expect(ours.history.map(told)).toEqual(real.history.map(told));
    const { _wandb: a, ...ourSummary } = told(ours.summary);
    const { _wandb: b, ...realSummary } = told(real.summary);
    expect(ourSummary).toEqual(realSummary);
    const { _wandb: c, ...ourConfig } = ours.config;
    const { _wandb: d, ...realConfig } = real.config;
    expect(ourConfig).toEqual(realConfig);
    expect((c!.value as { m: unknown }).m).toEqual((d!.value as { m: unknown }).m);
    for (const key of ["displayName", "tags", "notes", "groupName", "project"])
      expect(ours.variables[key]).toEqual(real.variables[key]);
    expect([ours.exitcode, real.exitcode]).toEqual([0, 0]);
  },
  60_000,
);

test("offline: samples are a file of the folder", async () => {
  const folder = newFolder();
  await feed(trackersIn(folder, { WANDB_MODE: "offline" }), EVENTS);
  const [name] = readdirSync(join(folder, "wandb"));
  expect(name).toMatch(/^offline-run-\d{8}_\d{6}-[a-z0-9]{8}$/);
  const table = join(folder, "wandb", name!, "files", "media", "table");
  expect(readFileSync(join(table, readdirSync(table)[0]!), "utf8")).toContain(" upon a time");
  expect(existsSync(join(folder, ".trackers", "wandb.spool"))).toBe(false);
});

test("a run of the library reports to W&B, samples among it, and tells where", async () => {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const texts = Array.from({ length: 8 }, (_, i) => `Take ${i} eggs and a pound of flour, and stir.`);
  await using model = await Model.open(tinyBase, { threads: 1 });
  const options = { lora_r: 2, max_seq_length: 16, per_device_train_batch_size: 4, logging_steps: 1, max_steps: 2 };
  const output_dir = newFolder();
  const given = { ...options, output_dir, overwrite_output_dir: true, samples: true, wandb_run_name: "mine" } as const;
  await using trainer = await Trainer.create(model, { ...given, train: texts, report_to: "wandb" });
  const events: RunEvent[] = [];
  for await (const event of trainer.run()) events.push(event);
  vi.unstubAllEnvs();
  const { id, run } = onlyRun();
  const news = events.flatMap((event) => (event.type === "tracker" ? [event.message] : []));
  expect(news).toEqual([`W&B shows the run mine at ${server.url}/somebody/lowrank/runs/${id}`]);
  const lines = run.history.map(told);
  const trained = linesOf(events).flatMap((metrics) => ("loss" in metrics ? [metrics.loss] : []));
  expect(lines.flatMap((line) => line["train/loss"] ?? [])).toEqual(trained);
  expect(lines.at(-1)).toMatchObject({ samples: { _type: "table-file" } });
  expect(run.config).toMatchObject({
    lora_r: { value: 2 },
    base_model: { value: tinyBase },
  });
  expect(told(run.summary)).toHaveProperty("peak_memory_bytes");
  expect(run.exitcode).toBe(0);
});
