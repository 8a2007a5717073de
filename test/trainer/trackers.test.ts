// Trackers are fed by every run, and end none.
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Model, type RunEvent, Trainer, type TrainerOptions } from "../../src/index.js";
import { MetricsFile, type Tracker, Trackers } from "../../src/tracking/trackers/index.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";
import { jsonLines } from "../support/tiny.js";

const newFolder = temporaryFolders();
const START: RunEvent = { type: "start", steps: 2, steps_per_epoch: 1, warmup_steps: 0 };
const evalAt = (step: number) =>
  ({ type: "eval", metrics: { step, epoch: 1, eval_loss: 1, eval_perplexity: 2 } }) as const;

/** A tracker that does nothing besides the given methods. */
const tracker = (name: string, own: Partial<Tracker>): Tracker => ({ name, start() {}, event() {}, end() {}, ...own });

/** Feeds a whole run. @returns the warnings */
async function feed(...some: Tracker[]): Promise<string[]> {
  const trackers = new Trackers(some);
  trackers.start({ history: [] });
  for (const event of [START, evalAt(1), evalAt(2)]) trackers.event(event);
  await trackers.end(20);
  return trackers.takeWarnings();
}

test.each<[string, Partial<Tracker>, string]>([
  [
    "throws",
    {
      event: () => {
        throw new Error("no space");
      },
    },
    "no space",
  ],
  [
    "throws at the start",
    {
      start: () => {
        throw new Error("no server");
      },
    },
    "no server",
  ],
  [
    "throws what is no error",
    {
      end: () => {
        throw "odd";
      },
    },
    "odd",
  ],
  ["rejects", { event: () => Promise.reject(new Error("no network")) }, "no network"],
  ["hangs at the end", { end: () => new Promise(() => {}) }, "it has not ended within 0.02 s"],
  ["hangs at the first event", { event: () => new Promise(() => {}) }, "it has not ended within 0.02 s"],
])("a tracker that %s is one warning, and the others hear all", async (_, own, why) => {
  const heard: string[] = [];
  const other = tracker("other", { event: ({ type }) => void heard.push(type), end: () => void heard.push("over") });
  expect(await feed(tracker("odd", own), other)).toEqual([`odd failed, and the run goes on: ${why}`]);
  expect(heard).toEqual(["start", "eval", "eval", "over"]);
});

test("a tracker that takes its time hears one event after the other, and the run does not wait", async () => {
  const heard: unknown[] = [];
  let isBusy = false;
  const slow = async (what: unknown) => {
    expect(isBusy).toBe(false);
    isBusy = true;
    await new Promise((resolve) => setImmediate(resolve));
    heard.push(what);
    isBusy = false;
  };
  const trackers = new Trackers([
    tracker("slow", { start: () => slow("start"), event: ({ type }) => slow(type), end: () => slow("over") }),
  ]);
  trackers.start({ history: [] });
  trackers.event(START);
  trackers.event(evalAt(1));
  expect(heard).toEqual([]);
  await trackers.end();
  expect(heard).toEqual(["start", "start", "eval", "over"]);
  expect(trackers.takeWarnings()).toEqual([]);
});

test("metrics.jsonl holds the lines from before it was removed, or could not be written", () => {
  const folder = join(newFolder(), "metrics");
  const path = join(folder, "metrics.jsonl");
  mkdirSync(folder);
  const metrics = new MetricsFile(path);
  const steps = () => jsonLines(path).map(({ step }) => step);
  metrics.start({ history: [{ step: 1 }] });
  metrics.event(evalAt(2));
  rmSync(folder, { recursive: true });
  metrics.event(evalAt(3));
  renameSync(path, join(folder, "elsewhere"));
  metrics.event(evalAt(4));
  expect(steps()).toEqual([1, 2, 3, 4]);
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "a file in the way");
  expect(() => metrics.event(evalAt(5))).toThrow(/cannot be written/);
  rmSync(folder);
  mkdirSync(folder);
  metrics.event(evalAt(6));
  metrics.end();
  expect(steps()).toEqual([1, 2, 3, 4, 5, 6]);
});

const TEXTS = Array.from({ length: 8 }, (_, i) => `Take ${i} eggs and a pound of flour, and stir.`);

async function run(options: TrainerOptions): Promise<RunEvent[]> {
  await using model = await Model.open(tinyBase, { threads: 1 });
  const fixed = { train: TEXTS, lora_r: 2, max_seq_length: 16, per_device_train_batch_size: 4, logging_steps: 1 };
  await using trainer = await Trainer.create(model, { ...fixed, eval_steps: 2, ...options });
  const events: RunEvent[] = [];
  for await (const event of trainer.run()) events.push(event);
  return events;
}

const linesOf = (events: RunEvent[]) =>
  events.flatMap((event): { step: number }[] => {
    if (event.type === "end") return [event.summary];
    return (event.type === "step" || event.type === "eval") && event.metrics ? [event.metrics] : [];
  });

test("the library writes metrics.jsonl, also of a run that goes on; what is in the way of it is one warning", async () => {
  const output_dir = newFolder();
  const first = await run({ output_dir, max_steps: 2, overwrite_output_dir: true });
  const path = join(output_dir, "metrics.jsonl");
  expect(jsonLines(path)).toEqual(linesOf(first));
  expect(linesOf(first).map(({ step }) => step)).toEqual([1, 2, 2, 2]);
  const rest = await run({ output_dir, max_steps: 3, resume: "auto" });
  expect(jsonLines(path)).toEqual([...linesOf(first).slice(0, -1), ...linesOf(rest)]);
  rmSync(path);
  mkdirSync(join(path, "in the way"), { recursive: true });
  const last = await run({ output_dir, max_steps: 4, resume: "auto" });
  expect(last.at(-1)).toMatchObject({ type: "end", steps: 4 });
  const warnings = last.flatMap((event) => (event.type === "warning" ? [event.message] : []));
  expect(warnings.filter((message) => message.startsWith("metrics.jsonl"))).toEqual([
    expect.stringMatching(/^metrics\.jsonl failed, and the run goes on: \S+metrics\.jsonl cannot be written/),
  ]);
  expect(readdirSync(output_dir)).toContain("checkpoint-4");
});
