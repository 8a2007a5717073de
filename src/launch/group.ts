// One start of all ranks under mpirun, from its beginning to its end.
import { spawn } from "node:child_process";
import { hostname } from "node:os";
import type { RankRecord } from "../base/ranks.js";
import { type Cause, causeOf } from "./cause.js";
import { RankOutput } from "./output.js";

/** From the first sign that a rank is gone mpirun has this time to end the others. It takes about two seconds. */
const LONGEST_END_MS = 4000;
/** Ends mpirun where the launcher itself was killed: its end of the pipe is closed then. */
const WATCH = 'read -r _; kill -TERM "$0"';

export interface GroupOptions {
  mpirun: string;
  args: readonly string[];
  environment: NodeJS.ProcessEnv;
  /** Number of ranks. */
  ranks: number;
  /** Asks the ranks to finish the step, to save and to end. */
  stop: AbortSignal;
  stdout: (data: Buffer) => void;
  stderr: (text: string) => void;
}

/** `stopped`: before there was anything to save. */
export type End = { how: "done" } | { how: "stopped" } | { how: "failed"; cause: Cause };

/**
 * Starts mpirun and waits for its end. mpirun has a session of its own: Ctrl-C at the terminal reaches the launcher alone,
 * for mpirun would end the ranks within a second, before they could save.
 */
export function runGroup(o: GroupOptions): Promise<End> {
  const records: RankRecord[] = [];
  const reports: string[] = [];
  const ready = new Map<number, RankRecord>();
  const joined = new Set<number>();
  const child = spawn(o.mpirun, o.args, {
    env: o.environment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const { pid } = child;
  const watch =
    pid === undefined
      ? undefined
      : spawn("/bin/sh", ["-c", WATCH, `${pid}`], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  // Its absence costs the guard, not the run.
  watch?.on("error", () => {});
  watch?.stdin?.on("error", () => {});
  let backstop: NodeJS.Timeout | undefined;
  const killAll = () => {
    child.kill("SIGKILL");
    for (const { host, pid: rank } of ready.values()) if (host === hostname()) killProcess(rank);
  };
  const failing = () => {
    backstop ??= setTimeout(killAll, LONGEST_END_MS);
  };
  const output = new RankOutput({
    text: o.stderr,
    record: (record) => {
      records.push(record);
      if (record.what === "ready") ready.set(record.rank, record);
      else if (record.what === "joined") joined.add(record.rank);
      else if (record.what === "error") failing();
    },
    report: (text) => {
      reports.push(text);
      if (!/^Warning: /.test(text)) failing();
    },
  });
  let early = false;
  const stop = () => {
    // Ranks that have not met have nothing to save, and some would wait for those that have ended.
    early = joined.size < o.ranks;
    child.kill(early ? "SIGTERM" : "SIGUSR2");
    if (early) failing();
  };
  const onExit = () => child.kill("SIGTERM");
  child.stdout.on("data", o.stdout);
  child.stderr.on("data", (data: Buffer) => output.write(data));
  process.on("exit", onExit);
  if (o.stop.aborted) stop();
  else o.stop.addEventListener("abort", stop);
  return new Promise((resolve, reject) => {
    const clean = () => {
      clearTimeout(backstop);
      watch?.kill("SIGKILL");
      process.off("exit", onExit);
      o.stop.removeEventListener("abort", stop);
    };
    child.on("error", (error) => {
      clean();
      reject(error);
    });
    child.on("close", (code, signal) => {
      clean();
      output.end();
      if (code === 0) resolve({ how: "done" });
      else if (early) resolve({ how: "stopped" });
      else {
        const ended = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
        resolve({ how: "failed", cause: causeOf(records, reports, ended) });
      }
    });
  });
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
