// A run's time by operation: a table for people, and a trace for chrome://tracing or Perfetto.
import { writeFileSync } from "node:fs";
import { writeError } from "../base/system-errors.js";
import type { EngineProfile } from "../native/index.js";

interface OperationTime {
  name: string;
  calls: number;
  seconds: number;
  flop: number;
}

interface Call {
  name: string;
  begin: number;
  seconds: number;
  flop: number;
}

function* calls({ names, events }: EngineProfile): Generator<Call> {
  for (let i = 0; i < events.length; i += 4) {
    yield { name: names[events[i]!]!, begin: events[i + 1]!, seconds: events[i + 2]!, flop: events[i + 3]! };
  }
}

/** The operations that took longest first, each with its share of the time and, of products, its speed. */
export function profileTable(profile: EngineProfile): string {
  const rows = new Map<string, OperationTime>();
  let total = 0;
  for (const { name, seconds, flop } of calls(profile)) {
    const row = rows.get(name) ?? { name, calls: 0, seconds: 0, flop: 0 };
    rows.set(name, { name, calls: row.calls + 1, seconds: row.seconds + seconds, flop: row.flop + flop });
    total += seconds;
  }
  const peak = profile.matmulPeak;
  const sorted = [...rows.values()].sort((a, b) => b.seconds - a.seconds);
  const all = sorted.reduce((sum, { flop }) => sum + flop, 0);
  const speed = (flop: number, seconds: number) => {
    if (flop === 0 || seconds === 0) return "";
    const rate = flop / seconds;
    return `${(rate / 1e9).toFixed(0).padStart(7)} GFLOP/s ${((100 * rate) / peak).toFixed(0).padStart(4)} % of peak`;
  };
  const line = (name: string, n: string, seconds: number, flop: number) =>
    `  ${name.padEnd(22)} ${n.padStart(8)} ${seconds.toFixed(3).padStart(10)} s ${((100 * seconds) / total).toFixed(1).padStart(5)} % ${speed(flop, seconds)}`.trimEnd();
  const lines = sorted.map((row) => line(row.name, String(row.calls), row.seconds, row.flop));
  const head = `Operations, calls and time (a product's best here: ${(peak / 1e9).toFixed(0)} GFLOP/s):`;
  return [head, ...lines, line("all", "", total, all)].join("\n");
}

/** @throws LowrankError E_WRITE */
export function writeTrace(file: string, profile: EngineProfile): void {
  const microseconds = (seconds: number) => Math.round(seconds * 1e7) / 10;
  const traceEvents = Array.from(calls(profile), ({ name, begin, seconds, flop }) => ({
    name,
    ph: "X",
    ts: microseconds(begin),
    dur: microseconds(seconds),
    pid: 1,
    tid: 1,
    ...(flop > 0 ? { args: { gflops: Math.round(flop / seconds / 1e9) } } : {}),
  }));
  try {
    writeFileSync(file, JSON.stringify({ traceEvents, displayTimeUnit: "ms" }));
  } catch (error) {
    throw writeError(error, file);
  }
}
