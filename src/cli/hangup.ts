import { readFileSync, readlinkSync } from "node:fs";

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Whether a process ignores SIGHUP, the first signal. */
function ignores(pid: number | "self"): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(read(`/proc/${pid}/status`))?.[1];
  return mask !== undefined && (Number.parseInt(mask.slice(-1), 16) & 1) === 1;
}

/** GNU nohup puts a standard input in the place of a terminal that cannot be read: nobody else does. */
function hasNohupsInput(): boolean {
  try {
    const flags = Number.parseInt(/^flags:\s*(\d+)$/m.exec(read("/proc/self/fdinfo/0"))?.[1] ?? "0", 8);
    return readlinkSync("/proc/self/fd/0") === "/dev/null" && (flags & 3) === 1;
  } catch {
    return false;
  }
}

/** GNU nohup writes to nohup.out where there is a terminal. */
function hasNohupsOutput(): boolean {
  try {
    return /\/nohup\.out$/.test(readlinkSync("/proc/self/fd/1"));
  } catch {
    return false;
  }
}

/**
 * Whether SIGHUP is to be ignored because whoever started this process had it so, as `nohup` does. Node.js gives every signal
 * its default back when it starts. The command's launcher (scripts/support/lowrank.mjs) looks before; where Node.js was started
 * without it, the parent process and the traces of nohup are asked.
 */
export function ignoresHangup(): boolean {
  const { LOWRANK_SIGHUP: found } = process.env;
  if (found === "ignored" || found === "default") return found === "ignored";
  const byShell = /(^|\/)nohup$/.test(process.env._ ?? "");
  return ignores("self") || ignores(process.ppid) || byShell || hasNohupsInput() || hasNohupsOutput();
}
