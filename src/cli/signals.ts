import { constants } from "node:os";
import { launchedBy, tellLauncher, worldOf } from "../base/ranks.js";
import { ignoresHangup } from "./hangup.js";

/** Exit codes of a program that a signal ended. */
const code = (signal: NodeJS.Signals) => 128 + constants.signals[signal];

/**
 * Runs work that a signal may ask to stop. The first signal raises the abort signal, so that the step in progress
 * is finished and saved; the second ends the process at once.
 * @returns the exit code: 0, or the signal's
 */
export async function stoppable(work: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const controller = new AbortController();
  let exitCode = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    if (exitCode !== 0) process.exit(code(signal));
    exitCode = code(signal);
    controller.abort(signal);
  };
  const signals: NodeJS.Signals[] = ignoresHangup() ? ["SIGINT", "SIGTERM"] : ["SIGINT", "SIGTERM", "SIGHUP"];
  // mpirun hands SIGUSR2 on, which asks a rank to stop. It ends as a rank that has done its work, for mpirun would end the
  // others at once. Each rank may be asked more than once.
  const onRequest = () => controller.abort("SIGUSR2");
  const world = worldOf();
  if (world !== null) process.on("SIGUSR2", onRequest);
  // By SIGTERM mpirun ends the ranks when one is gone. There is nothing to wait for.
  if (launchedBy() !== null) process.on("SIGTERM", () => process.exit(code("SIGTERM")));
  else for (const signal of signals) process.on(signal, onSignal);
  tellLauncher("ready");
  try {
    await work(controller.signal);
    // mpirun, and srun with --kill-on-bad-exit, end all others when one ends with another code. The first rank may still have work.
    return world !== null && world.rank > 0 ? 0 : exitCode;
  } catch (error) {
    // Stopped before there was anything to save.
    if (controller.signal.aborted && error === controller.signal.reason) return exitCode;
    throw error;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    process.off("SIGUSR2", onRequest);
  }
}
