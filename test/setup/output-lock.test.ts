// The right to write into a folder: of one process, until it is gone, on every kind of disk and in every container.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { LOCK, OutputLock } from "../../src/setup/run/lock.js";
import { buildPreload } from "../support/faults.js";
import { workFolder } from "../support/tiny.js";

const work = workFolder("lock");
const library = work.path("odd-host.so");
const missing = buildPreload("odd-host.c", library);
if (missing !== null) console.log(`setup/output-lock.test.ts: ${missing}; other hosts and disks are not tried`);
const module = new URL("../../dist/setup/run/lock.js", import.meta.url).href;
const holders: ChildProcess[] = [];

afterEach(() => {
  for (const child of holders.splice(0)) child.kill("SIGKILL");
});
afterAll(() => work.remove());

let folders = 0;
function newFolder(): string {
  const folder = work.path(`f${folders++}`);
  mkdirSync(folder);
  return folder;
}

interface Taken {
  child: ChildProcess;
  /** "taken", or the error's message. */
  said: string;
  pid: number;
}

/** A process that takes the lock, tells so and lives on. */
async function take(folder: string, env: NodeJS.ProcessEnv = {}): Promise<Taken> {
  const code = `
    const { OutputLock } = await import(${JSON.stringify(module)});
    globalThis.lock = new OutputLock(${JSON.stringify(folder)});
    try { lock.check(); lock.take(); console.log("taken"); } catch (error) { console.log(error.code + ": " + error.message); }
    setInterval(() => {}, 1000);`;
  const preload = Object.keys(env).length > 0 ? { LD_PRELOAD: library } : {};
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    env: { ...process.env, ...preload, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  holders.push(child);
  const said = await new Promise<string>((resolve) => child.stdout!.once("data", (data) => resolve(`${data}`.trim())));
  return { child, said, pid: child.pid! };
}

async function kill({ child }: Taken): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

const PLACES: [string, NodeJS.ProcessEnv, NodeJS.ProcessEnv][] = [
  ["an ordinary disk", {}, {}],
  ["a disk without hard links", { HOST_NAME: "one" }, { HOST_NAME: "one" }],
  ["another container", { HOST_NAME: "one" }, { HOST_NAME: "two" }],
  ["a disk without locks", { HOST_NAME: "one", NO_FLOCK: "1" }, { HOST_NAME: "one", NO_FLOCK: "1" }],
];

describe.each(PLACES)("%s", (_, first, second) => {
  test.skipIf(missing !== null)("the second is refused, and has the lock once the first was killed", async () => {
    const folder = newFolder();
    const holder = await take(folder, first);
    expect(holder.said).toBe("taken");
    const refused = await take(folder, second);
    expect(refused.said).toContain("E_OUTPUT_LOCKED: Another run (process ");
    expect(refused.said).toContain(`process ${holder.pid}${second.HOST_NAME === "two" ? " on one" : ""}) is writing`);
    expect(refused.said).not.toContain("remove");
    await kill(holder);
    expect((await take(folder, second)).said).toBe("taken");
  });
});

test.skipIf(missing !== null)(
  "without locks of the kernel, a process of another host is believed to live",
  async () => {
    const folder = newFolder();
    const holder = await take(folder, { HOST_NAME: "one", NO_FLOCK: "1" });
    await kill(holder);
    const refused = await take(folder, { HOST_NAME: "two", NO_FLOCK: "1" });
    expect(refused.said).toContain(`process ${holder.pid} on one`);
    expect(refused.said).toContain(`remove ${folder}/${LOCK}*`);
  },
);

const held = (folder: string, holder: object, name = LOCK) =>
  writeFileSync(`${folder}/${name}`, JSON.stringify(holder));

test("a lock that is written in a file alone: of a dead process, of another of its number, of an earlier version", () => {
  const folder = newFolder();
  const lock = new OutputLock(folder);
  const holder = { pid: 2 ** 22 + 1, started: "1", host: hostname() };
  for (const name of [LOCK, `${LOCK}.pid`]) {
    for (const dead of [
      holder,
      { ...holder, pid: process.pid },
      { ...holder, pid: process.pid, started: null, boot: "1" },
    ]) {
      held(folder, dead, name);
      lock.take();
      lock.release();
    }
    held(folder, { ...holder, pid: process.ppid, started: null }, name);
    expect(() => lock.check()).toThrow(`process ${process.ppid})`);
    expect(() => lock.take()).toThrow(`process ${process.ppid})`);
    held(folder, { ...holder, host: "elsewhere" }, name);
    expect(() => lock.take()).toThrow(/on elsewhere.*remove/);
    held(folder, holder, name);
  }
  writeFileSync(`${folder}/${LOCK}`, '{"pid": 1');
  lock.take();
  lock.release();
});

test("two of one process exclude each other, and nothing is left", () => {
  const folder = newFolder();
  const [first, second] = [new OutputLock(folder), new OutputLock(folder)];
  first.take();
  first.take();
  first.check();
  expect(() => second.check()).toThrow(`process ${process.pid})`);
  expect(() => second.take()).toThrow(`process ${process.pid})`);
  second.release();
  expect(() => second.take()).toThrow(`process ${process.pid})`);
  first.release();
  second.take();
  expect(JSON.parse(readFileSync(`${folder}/${LOCK}`, "utf8"))).toMatchObject({ pid: process.pid, kernel: true });
  second.release();
  expect(readdirSync(folder)).toEqual([]);
});

test("that of a worker thread ends with the thread", async () => {
  const folder = newFolder();
  const code = `
    const { OutputLock } = await import(${JSON.stringify(module)});
    globalThis.lock = new OutputLock(${JSON.stringify(folder)});
    lock.take();
    (await import("node:worker_threads")).parentPort.postMessage("taken");
    setInterval(() => {}, 1000);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  await new Promise((resolve) => worker.once("message", resolve));
  const lock = new OutputLock(folder);
  expect(() => lock.take()).toThrow("is writing to");
  await worker.terminate();
  lock.take();
  lock.release();
});
