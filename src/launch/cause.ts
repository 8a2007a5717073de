// Why a group of ranks ended: from what its ranks told and from mpirun's reports.
import { constants } from "node:os";
import { LowrankError } from "../base/errors.js";
import type { RankRecord } from "../base/ranks.js";

/** Whether a rank was lost, so that another start may end well, and the error for people. */
export interface Cause {
  lost: boolean;
  error: LowrankError;
}

/** Codes of errors by which a rank tells that another one is gone. */
const OTHERS_FAULT = new Set(["E_GROUP"]);

function signalName(number: number): string {
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return name === undefined ? `signal ${number}` : `signal ${number} (${name})`;
}

const KILLED_HINT = "; where nobody sent it, the system ends a process so when memory has run out";

/** @param host unknown where undefined */
const place = (rank: number, host: string | undefined) => `rank ${rank}${host === undefined ? "" : ` on ${host}`}`;

function lost(message: string): Cause {
  return { lost: true, error: new LowrankError("E_RANK", message) };
}

/** A report that names what ended a rank. @param hosts of ranks that have told theirs */
function fromReport(report: string, hosts: ReadonlyMap<number, string>): Cause | undefined {
  const bySignal = /process rank (\d+) with PID \d+ on node (\S+) exited on signal (\d+)/.exec(report);
  if (bySignal) {
    const [rank, signal] = [Number(bySignal[1]), Number(bySignal[3])];
    const hint = signal === constants.signals.SIGKILL ? KILLED_HINT : "";
    return lost(`${place(rank, bySignal[2])} was ended by ${signalName(signal)}${hint}.`);
  }
  const node = /lost communication with a remote daemon.*?Remote daemon: \S+ on node (\S+)/.exec(report)?.[1];
  if (node !== undefined) return lost(`The machine ${node} and its ranks are gone: mpirun has no connection to it.`);
  const byCode = /Process name: \[.*?,(\d+)\] Exit code: (\d+)/.exec(report);
  if (byCode) {
    const rank = Number(byCode[1]);
    return lost(`${place(rank, hosts.get(rank))} ended with code ${byCode[2]} and without a message.`);
  }
  const aborted = /MPI_ABORT was invoked on rank (\d+).*?errorcode (-?\d+)/i.exec(report);
  if (aborted) {
    const rank = Number(aborted[1]);
    return lost(`${place(rank, hosts.get(rank))} ended all ranks (MPI_Abort, code ${aborted[2]}).`);
  }
  return undefined;
}

/** Of ranks that have not met: those that the others waited for. */
function notCome(records: readonly RankRecord[]): string {
  const which = (wanted: RankRecord["what"]) => records.filter(({ what }) => what === wanted);
  const [came, met] = [new Set(which("joining").map(({ rank }) => rank)), which("joined")];
  const missing = which("ready").filter(({ rank }) => !came.has(rank));
  if (met.length > 0 || missing.length === 0) return "";
  return ` Still on its way: ${missing.map(({ rank, host }) => place(rank, host)).join(", ")}.`;
}

/** Reports beside the one that names the cause. */
const BESIDE = /^(Primary job terminated normally|Warning: Could not find the environment variable)/i;

/**
 * The cause of a group's end, as one message that names rank and machine.
 * @param ended how mpirun itself ended, in words
 */
export function causeOf(records: readonly RankRecord[], reports: readonly string[], ended: string): Cause {
  const hosts = new Map(records.map(({ rank, host }) => [rank, host]));
  const causes = reports.flatMap((report) => fromReport(report, hosts) ?? []);
  // A rank that died at once comes before what the others say of it.
  const bySignal = causes.find(({ error }) => / was ended by | are gone: /.test(error.message));
  const errors = records.filter(({ what }) => what === "error");
  // A rank that hangs is ended with the others, by a signal: the others knew it before.
  const late = errors.find(({ error }) => error?.code === "E_TIMEOUT")?.error;
  if (late) return { lost: true, error: new LowrankError(late.code, late.message + notCome(records), late.where) };
  const own = errors.find(({ error }) => error && !OTHERS_FAULT.has(error.code)) ?? errors[0];
  if (own?.error) {
    const { code, message, where } = own.error;
    const isOthers = OTHERS_FAULT.has(code);
    if (!(isOthers && causes.length > 0) && !bySignal) {
      return { lost: isOthers, error: new LowrankError(code, `${place(own.rank, own.host)}: ${message}`, where) };
    }
  }
  const found = bySignal ?? causes[0];
  if (found) return found;
  const said = reports.filter((report) => !BESIDE.test(report)).join("\n");
  return {
    lost: false,
    error: new LowrankError("E_MPI", `mpirun ${ended}.${said === "" ? "" : `\n${said}`}`, "mpirun"),
  };
}
