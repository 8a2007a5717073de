import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type FileLock, lockFile, unlockFile } from "../../src/native/index.js";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lowrank-lock-"));
  file = join(folder, "lock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const addon = new URL("../../build/Release/lowrank.node", import.meta.url).pathname;
/** Locks `file`, tells how that went, and keeps the lock as long as it lives. */
const holder = `
  const { lockFile } = require(${JSON.stringify(addon)});
  globalThis.lock = lockFile(process.env.LOCKED ?? require("node:worker_threads").workerData);
  const said = typeof globalThis.lock === "object" ? "taken" : String(globalThis.lock);
  require("node:worker_threads").parentPort?.postMessage(said) ?? console.log(said);
  setInterval(() => globalThis.lock, 1000);
`;

function taken(lock: ReturnType<typeof lockFile>): FileLock {
  expect(lock).toBeTypeOf("object");
  return lock as FileLock;
}

test("a lock excludes others until it is given up, within a process, too", () => {
  const lock = taken(lockFile(file));
  expect(lockFile(file)).toBe("held");
  unlockFile(lock);
  const second = taken(lockFile(file));
  unlockFile(lock);
  expect(lockFile(file)).toBe("held");
  unlockFile(second);
});

test("the lock of a killed process is free", async () => {
  const child = spawn(process.execPath, ["-e", holder], { env: { ...process.env, LOCKED: file } });
  const said = await new Promise<string>((resolve) =>
    child.stdout.once("data", (data) => resolve(String(data).trim())),
  );
  expect(said).toBe("taken");
  expect(lockFile(file)).toBe("held");
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  unlockFile(taken(lockFile(file)));
});

test("worker threads exclude each other, and one that ends gives its lock up", async () => {
  const worker = new Worker(holder, { eval: true, workerData: file });
  expect(await new Promise((resolve) => worker.once("message", resolve))).toBe("taken");
  expect(lockFile(file)).toBe("held");
  await worker.terminate();
  unlockFile(taken(lockFile(file)));
});

test("a lock whose file was removed excludes nobody, and the next one makes the file anew", () => {
  const lock = taken(lockFile(file));
  rmSync(file);
  const second = taken(lockFile(file));
  expect(lockFile(file)).toBe("held");
  unlockFile(lock);
  unlockFile(second);
});

test("what the system refuses is its error, with a code", () => {
  expect(() => lockFile(join(folder, "none", "lock"))).toThrow(expect.objectContaining({ code: "ENOENT", errno: -2 }));
  expect(() => lockFile(folder)).toThrow(expect.objectContaining({ code: "EISDIR" }));
  writeFileSync(file, "text");
  unlockFile(taken(lockFile(file)));
});
