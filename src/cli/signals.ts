import { constants } from "node:os";
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
  for (const signal of signals) process.on(signal, onSignal);
  try {
    await work(controller.signal);
    return exitCode;
  } catch (error) {
    // Stopped before there was anything to save.
    if (exitCode !== 0 && error === controller.signal.reason) return exitCode;
    throw error;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}
