// The launcher of `lowrank train --nproc_per_node`: starts ranks under mpirun, hands signals to them, and starts again where
// one was lost.
import { LowrankError } from "../base/errors.js";
import { launchersTerminal } from "../base/ranks.js";
import { mpirunArguments, rankEnvironment } from "./arguments.js";
import { runGroup } from "./group.js";
import { rankCount, readHosts } from "./hosts.js";
import { findMpirun } from "./mpirun.js";
import { Restarts, rankTokens, type Token } from "./restart.js";
import { removeSession, sessionFolder } from "./session.js";

export { refuseRanks } from "./checks.js";
export { findMpirun, type Mpirun } from "./mpirun.js";
export type { Token } from "./restart.js";

export interface LaunchOptions {
  nproc_per_node: number | undefined;
  hosts: string[] | undefined;
  max_restarts: number;
  output_dir: string;
  resume: string | undefined;
  overwrite_output_dir: boolean;
  dashboard: boolean;
}

/** Whether these options ask for ranks. */
export const asksForRanks = (o: Pick<LaunchOptions, "nproc_per_node" | "hosts">): boolean =>
  o.nproc_per_node !== undefined || o.hosts !== undefined;

export interface Launch {
  /** The options as they were given, in their normal spelling. */
  tokens: readonly Token[];
  /** Values that may stand on no command line, by the option's name. */
  secrets: ReadonlyMap<string, string>;
  /** The command's program and its arguments up to the name of the subcommand, included. */
  command: readonly string[];
  /** Asks to finish the step, to save and to end. */
  signal: AbortSignal;
  environment?: NodeJS.ProcessEnv;
  stdout?: (data: Buffer) => void;
  stderr?: (text: string) => void;
}

/**
 * Trains on several ranks. Returns when they have ended, also where the signal made them save and end.
 * @throws LowrankError E_MPI without Open MPI, E_RANK for a rank that was lost, or the error of a rank, with rank and machine
 */
export async function launch(o: LaunchOptions, given: Launch): Promise<void> {
  const { signal, environment = process.env } = given;
  const stdout = given.stdout ?? ((data) => void process.stdout.write(data));
  const stderr = given.stderr ?? ((text) => void process.stderr.write(text));
  if (o.dashboard) {
    const message = "--dashboard: a run of several ranks has no live page. Leave out --dashboard or --nproc_per_node.";
    throw new LowrankError("E_USAGE", message, "dashboard");
  }
  const hosts = readHosts(o.hosts, o.nproc_per_node);
  const mpirun = findMpirun(environment);
  const ranks = rankCount(hosts);
  const secrets = Object.fromEntries(
    [...given.secrets].map(([name, value]) => [`LOWRANK_${name.toUpperCase()}`, value]),
  );
  const { isTTY, columns } = process.stderr;
  const terminal = launchersTerminal(isTTY ? columns || 80 : null);
  const session = sessionFolder(environment);
  const ranksEnvironment = rankEnvironment(mpirun, { ...environment, ...secrets }, hosts, terminal, session);
  const first = rankTokens(given.tokens, new Set(given.secrets.keys()));
  const restarts = new Restarts(o.output_dir, first, o.resume !== undefined || o.overwrite_output_dir);
  let tokens = first;
  for (let restart = 0; !signal.aborted; restart++) {
    const command = [...given.command, ...tokens.map(({ text }) => text)];
    const end = await runGroup({
      mpirun: mpirun.path,
      args: mpirunArguments(hosts, ranksEnvironment, command),
      environment: ranksEnvironment,
      ranks,
      stop: signal,
      stdout,
      stderr,
    }).finally(() => removeSession(session));
    if (end.how !== "failed") return;
    const { lost, error } = end.cause;
    if (!lost || signal.aborted) throw error;
    if (restart === o.max_restarts) throw givenUp(error, o.max_restarts);
    const newest = restarts.newest();
    const from =
      newest === null ? "from where it began: there is no checkpoint yet" : `from ${newest} of ${o.output_dir}`;
    stderr(
      `warning: ${error.message}\nwarning: starting again (restart ${restart + 1} of ${o.max_restarts}) ${from}\n`,
    );
    tokens = restarts.again();
  }
}

function givenUp({ code, message, where }: LowrankError, restarts: number): LowrankError {
  const advice =
    restarts === 0
      ? " --max_restarts N starts again from the last checkpoint; --resume does so by hand."
      : ` This was the last of ${restarts} restarts; --resume goes on from the last checkpoint.`;
  return new LowrankError(code, message + advice, where);
}
