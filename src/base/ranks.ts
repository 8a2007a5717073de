// What a process knows of its place among the ranks of a data-parallel run, and what it tells the launcher that started it.
import { availableParallelism, cpus, hostname } from "node:os";

type Environment = Readonly<NodeJS.ProcessEnv>;

/** The variable by which the launcher (src/launch) tells a rank that it started it, and what standard error is. */
export const LAUNCHED = "LOWRANK_LAUNCHER";

/** The launcher's standard error, which a rank writes to through a pipe. */
export interface LaunchersTerminal {
  /** Null where it is no terminal. */
  columns: number | null;
}

export function launchersTerminal(columns: number | null): string {
  return columns === null ? "file" : `terminal:${columns}`;
}

/** Null where this process is no rank that the launcher started. */
export function launchedBy(environment: Environment = process.env): LaunchersTerminal | null {
  const value = environment[LAUNCHED];
  if (!value || worldOf(environment) === null) return null;
  const columns = /^terminal:(\d+)$/.exec(value)?.[1];
  return { columns: columns === undefined ? null : Number(columns) };
}

export interface World {
  rank: number;
  size: number;
  /** Ranks on this machine. */
  localSize: number;
}

/** The ranks that Open MPI's mpirun started this process among; null where it started alone. */
export function worldOf(environment: Environment = process.env): World | null {
  const number = (name: string) => {
    const value = environment[`OMPI_COMM_WORLD_${name}`];
    return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
  };
  const [rank, size] = [number("RANK"), number("SIZE")];
  if (rank === undefined || size === undefined) return null;
  return { rank, size, localSize: number("LOCAL_SIZE") ?? 1 };
}

/**
 * The processors that this process may use. Ranks of one machine that are bound to no processors share all of them. A rank
 * that is bound has its own.
 */
export function processorShare(environment: Environment = process.env): number {
  const usable = availableParallelism();
  const world = worldOf(environment);
  const isShared = launchedBy(environment) !== null || usable >= cpus().length;
  return world !== null && isShared ? Math.max(1, Math.floor(usable / world.localSize)) : usable;
}

/** An error as a program reads it. */
export interface ToldError {
  code: string;
  message: string;
  where?: string;
}

/** What a rank tells its launcher. */
export interface RankRecord {
  rank: number;
  host: string;
  pid: number;
  /** `ready`: a request to stop will be heard from here on. */
  what: "ready" | "error";
  error?: ToldError;
}

/** The control character "record separator", which stands in no text for people. */
export const RECORD_START = "\x1e";
/** A pipe takes a text of this size as a whole, whoever else writes. */
const LONGEST_RECORD = 4096;
const LONGEST_MESSAGE = 2500;

/** Tells the launcher, on standard error, which the launcher takes it out of. Does nothing in other processes. */
export function tellLauncher(what: RankRecord["what"], error?: ToldError): void {
  const world = worldOf();
  if (launchedBy() === null || world === null) return;
  const record: RankRecord = { rank: world.rank, host: hostname(), pid: process.pid, what };
  if (error) record.error = { ...error, message: error.message.slice(0, LONGEST_MESSAGE) };
  let text = `${RECORD_START}${JSON.stringify(record)}\n`;
  if (Buffer.byteLength(text) > LONGEST_RECORD && record.error) {
    record.error = { code: record.error.code, message: record.error.message.slice(0, LONGEST_MESSAGE / 4) };
    text = `${RECORD_START}${JSON.stringify(record)}\n`;
  }
  process.stderr.write(text);
}

let ender: (() => void) | undefined;

/** @param end ends the processes of all ranks at once */
export function endsRanks(end: (() => void) | undefined): void {
  ender = end;
}

/** For a rank that fails: the others would wait for it. Does nothing where there are no others. */
export function endRanks(): void {
  ender?.();
}
