// However a process or a thread ends, whatever a trainer is doing: no crash, no hang, the exit code that was asked for.
import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";
import { tinyBase } from "../support/tiny.js";

const child = new URL("../support/exit-child.mjs", import.meta.url).pathname;
/** Seconds after which a process counts as hanging. */
const LIMIT_S = 30;

interface Ended {
  code: number | null;
  signal: string | null;
  output: string;
}

function end(state: string, way: string, place: string): Promise<Ended> {
  return new Promise((resolve) => {
    const process_ = spawn(process.execPath, [child, tinyBase, state, way, place], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [process_.stdout, process_.stderr]) stream.on("data", (data) => (output += data));
    const timer = setTimeout(() => process_.kill("SIGKILL"), LIMIT_S * 1000);
    process_.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, output });
    });
  });
}

const STATES = ["opened", "opening", "idle", "running", "paused", "working", "writing", "closing", "closed"];

describe.each(STATES)("a process, %s", (state) => {
  test("process.exit", async () => {
    expect(await end(state, "exit", "main")).toMatchObject({ code: 7, signal: null, output: "" });
  });

  test("an uncaught exception", async () => {
    const { code, signal, output } = await end(state, "throw", "main");
    expect([code, signal]).toEqual([1, null]);
    expect(output).toContain("thrown on purpose");
  });

  test("SIGTERM", async () => {
    expect(await end(state, "kill", "main")).toMatchObject({ code: null, signal: "SIGTERM" });
  });
});

describe.each(["opened", "idle", "paused", "working", "closing", "closed"])("nothing left to do, %s", (state) => {
  test("the process ends by itself", async () => {
    expect(await end(state, "nothing", "main")).toMatchObject({ code: 0, signal: null, output: "" });
  });
});

describe.each(STATES)("a worker thread, %s", (state) => {
  test("terminate", async () => {
    expect(await end(state, "terminate", "thread")).toMatchObject({ code: 0, output: "thread ended with 1\n" });
  });

  test("process.exit in the thread", async () => {
    expect(await end(state, "exit", "thread")).toMatchObject({ code: 0, output: "thread ended with 7\n" });
  });

  test("an uncaught exception in the thread", async () => {
    const { code, output } = await end(state, "throw", "thread");
    expect(code).toBe(5);
    expect(output).toContain("thread: thrown on purpose");
  });
});
