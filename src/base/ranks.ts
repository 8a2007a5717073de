// What a process knows of its place among the ranks of a data-parallel run, and what it tells the launcher that started it.
import { spawnSync } from "node:child_process";
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
  /** Ranks on this machine, and this one's number among them. */
  localSize: number;
  localRank: number;
  /** The program that started them. */
  by: "mpirun" | "srun";
}

/** A task that Slurm's srun started beside others. */
export interface Task {
  task: number;
  tasks: number;
  /** Tasks on this machine, and this one's number among them. */
  local: number;
  localTask: number;
  /** srun's --mpi. Open MPI knows the other tasks by pmix alone; undefined where srun does not say. */
  plugin: string | undefined;
}

const whole = (value: string | undefined) => (value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined);

/**
 * Null where srun started one task only, or nothing: a batch script has SLURM_NTASKS and SLURM_PROCID, too, but no step. So has one task that is
 * a shell, in which the user may start ranks.
 */
export function taskOf(environment: Environment = process.env): Task | null {
  const [task, tasks] = [whole(environment.SLURM_PROCID), whole(environment.SLURM_STEP_NUM_TASKS)];
  if (task === undefined || tasks === undefined || tasks < 2) return null;
  // A task of a shell that mpirun started is mpirun's.
  if (environment.OMPI_COMM_WORLD_SIZE !== undefined) return null;
  const local = environment.SLURM_GTIDS?.split(",").length ?? 1;
  return {
    task,
    tasks,
    local,
    localTask: whole(environment.SLURM_LOCALID) ?? 0,
    plugin: whole(environment.PMIX_RANK) === undefined ? environment.SLURM_MPI_TYPE : "pmix",
  };
}

/** The ranks that Open MPI's mpirun or Slurm's srun started this process among; null where it started alone. */
export function worldOf(environment: Environment = process.env): World | null {
  const number = (name: string) => whole(environment[`OMPI_COMM_WORLD_${name}`]);
  const [rank, size] = [number("RANK"), number("SIZE")];
  if (rank !== undefined && size !== undefined)
    return { rank, size, localSize: number("LOCAL_SIZE") ?? 1, localRank: number("LOCAL_RANK") ?? 0, by: "mpirun" };
  const task = taskOf(environment);
  if (task?.plugin !== "pmix") return null;
  return { rank: task.task, size: task.tasks, localSize: task.local, localRank: task.localTask, by: "srun" };
}

/**
 * This process's share of the machine's processors. Ranks of one machine that are bound to no processors share all of them. A rank
 * that is bound has its own, as one whose number srun's --cpus-per-task gives.
 *
 * @param usable what is shared: the processors that the process may run on, or its cores
 */
export function processorShare(environment: Environment = process.env, usable = availableParallelism()): number {
  const world = worldOf(environment);
  const own = world?.by === "srun" ? whole(environment.SLURM_CPUS_PER_TASK) : undefined;
  if (own) return Math.min(own, usable);
  const isShared = launchedBy(environment) !== null || availableParallelism() >= cpus().length;
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
  /** `ready`: it is there. `joining`: it waits for the others. `joined`: it has met them, and all hear a request to stop at the same step. */
  what: "ready" | "joining" | "joined" | "error";
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

/** @param end ends the processes of all ranks at once; after the last call of a group, which nobody waits for, it does nothing */
export function endsRanks(end: () => void): void {
  ender = end;
}

/** For a rank that fails: the others would wait for it. Does nothing where there are no others. */
export function endRanks(): void {
  if (ender !== undefined) ender();
  else if (worldOf()?.by === "srun") endStep();
}

/** The others wait in MPI_Init for a rank that has failed before. mpirun ends them by itself; srun does so if it is told to. */
function endStep({ SLURM_JOB_ID, SLURM_STEP_ID }: Environment = process.env): void {
  spawnSync("scancel", ["--signal=KILL", `${SLURM_JOB_ID}.${SLURM_STEP_ID}`], { stdio: "ignore", timeout: 10_000 });
}
