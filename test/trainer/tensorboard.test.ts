// Event files: read by a reader of our own, and by TensorBoard's where Python has it.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { trackersOf } from "../../src/setup/run/trackers.js";
import { crc32c } from "../../src/tracking/trackers/event-file.js";
import { TensorBoard } from "../../src/tracking/trackers/index.js";
import { temporaryFolders } from "../support/folders.js";

const folder = temporaryFolders();
const { python, reason } = peerPython("tensorboard");
if (reason) console.log(`skipped: TensorBoard's own reader (${reason})`);

const stepLine = (step: number, loss: number) => ({
  step,
  epoch: step / 4,
  loss,
  grad_norm: 2,
  learning_rate: 1e-4,
  tokens_per_s: 10,
  mfu: 0.5,
});
const step = (at: number, loss: number) =>
  ({ type: "step", step: at, loss, tokens_per_s: 10, metrics: stepLine(at, loss) }) as const;

/** Steps 1 to 4 of a run, with an evaluation. */
function firstPart(path: string): void {
  const tracker = new TensorBoard(path);
  tracker.start({ history: [] });
  for (const at of [1, 2, 3, 4]) tracker.event(step(at, 5 - at));
  tracker.event({ type: "eval", metrics: { step: 4, epoch: 1, eval_loss: 1.25, eval_perplexity: 3.5 } });
  tracker.event({ type: "step", step: 5, loss: 9, tokens_per_s: 1, metrics: null });
  tracker.end();
}

/** Goes on from the checkpoint of step 2. */
function secondPart(path: string): void {
  const tracker = new TensorBoard(path);
  tracker.start({ history: [stepLine(1, 4), stepLine(2, 3)] });
  for (const at of [3, 4, 5]) tracker.event(step(at, 10 + at));
  tracker.end();
}

interface Seen {
  step: number;
  fileVersion?: string;
  sessionStart?: boolean;
  values: [tag: string, value: number][];
}

/** Fields of a protobuf message, by the wire format. */
function* fields(bytes: Buffer): Generator<[field: number, value: Buffer | bigint]> {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const head = Number(varint());
    const kind = head & 7;
    if (kind === 0) {
      yield [head >> 3, varint()];
      continue;
    }
    const length = kind === 2 ? Number(varint()) : kind === 1 ? 8 : 4;
    at += length;
    yield [head >> 3, bytes.subarray(at - length, at)];
  }
}

function* records(file: Buffer): Generator<Buffer> {
  const unmask = (stored: number) => {
    const rotated = (stored - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  };
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    expect(unmask(file.readUInt32LE(at + 8))).toBe(crc32c(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(unmask(file.readUInt32LE(at + 12 + length))).toBe(crc32c(data));
    yield data;
    at += length + 16;
  }
}

function read(file: string): Seen[] {
  return [...records(readFileSync(file))].map((data) => {
    const seen: Seen = { step: 0, values: [] };
    for (const [field, value] of fields(data)) {
      if (field === 2) seen.step = Number(value);
      if (field === 3) seen.fileVersion = String(value);
      if (field === 7) seen.sessionStart = [...fields(value as Buffer)].some(([f, v]) => f === 1 && v === 1n);
      if (field !== 5) continue;
      for (const [, item] of fields(value as Buffer)) {
        const [[, tag], [, number]] = [...fields(item as Buffer)] as [[number, Buffer], [number, Buffer]];
        seen.values.push([String(tag), number.readFloatLE()]);
      }
    }
    return seen;
  });
}

const files = (path: string) =>
  readdirSync(path)
    .sort()
    .map((name) => join(path, name));

test("the checksum is CRC-32C", () => {
  // RFC 3720, B.4, and the usual check value.
  expect(crc32c(new Uint8Array(32)).toString(16)).toBe("8a9136aa");
  expect(crc32c(Buffer.from("123456789")).toString(16)).toBe("e3069283");
});

test("every number of a line of metrics is a scalar of its step, under transformers' tags", () => {
  const path = join(folder(), "runs");
  firstPart(path);
  const [version, start, ...events] = read(files(path)[0]!);
  expect(version).toMatchObject({ step: 0, fileVersion: "brain.Event:2" });
  expect(start).toMatchObject({ step: 0, sessionStart: true });
  expect(events.map(({ step, values }) => [step, values.length])).toEqual([
    [1, 6],
    [2, 6],
    [3, 6],
    [4, 6],
    [4, 3],
  ]);
  const tags = [
    "train/epoch",
    "train/loss",
    "train/grad_norm",
    "train/learning_rate",
    "train/tokens_per_s",
    "train/mfu",
  ];
  expect(events[1]!.values.map(([tag]) => tag)).toEqual(tags);
  expect(events[1]!.values[1]).toEqual(["train/loss", 3]);
  expect(events[4]!.values).toEqual([
    ["train/epoch", 1],
    ["eval/loss", 1.25],
    ["eval/perplexity", 3.5],
  ]);
});

test("report_to asks for it", () => {
  const options = { use_wandb: false, wandb_project: undefined, wandb_entity: undefined, run_name: undefined };
  const names = (one: "none" | "tensorboard", output_dir?: string) =>
    trackersOf({ ...options, output_dir, report_to: [one] }, {}).map(({ name }) => name);
  expect(names("none", folder())).toEqual(["metrics.jsonl"]);
  expect(names("tensorboard", folder())).toEqual(["metrics.jsonl", "TensorBoard"]);
  expect(names("tensorboard")).toEqual([]);
});

test("a run that goes on begins a later file at its first step", () => {
  const path = folder();
  firstPart(path);
  secondPart(path);
  const [first, second] = files(path);
  expect(read(first!)).toHaveLength(7);
  const [version, start, ...events] = read(second!);
  expect([version!.step, start!.step, start!.sessionStart]).toEqual([3, 3, true]);
  expect(events.map(({ step }) => step)).toEqual([3, 4, 5]);
});

test("in another folder its history comes first; a name of the future is followed", () => {
  const path = folder();
  secondPart(path);
  expect(
    read(files(path)[0]!)
      .slice(2)
      .map(({ step }) => step),
  ).toEqual([1, 2, 3, 4, 5]);
  writeFileSync(join(path, "events.out.tfevents.9999999998.host.1.0"), "");
  secondPart(path);
  expect(files(path).at(-1)).toMatch(/tfevents\.9999999999\./);
});

const READ = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = EventAccumulator(sys.argv[1])
found.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}))
`;

import { peerPython } from "../support/python.js";

test.skipIf(reason !== undefined)("TensorBoard reads each step once, as it was last", () => {
  const path = folder();
  firstPart(path);
  secondPart(path);
  const seen = JSON.parse(execFileSync(python!, ["-c", READ, path], { encoding: "utf8" }));
  expect(seen["train/loss"]).toEqual([
    [1, 4],
    [2, 3],
    [3, 13],
    [4, 14],
    [5, 15],
  ]);
  expect(seen["eval/loss"]).toEqual([]);
});
