// Attempts, one after the other, at requests whose failure may pass.
import { setTimeout as sleep } from "node:timers/promises";
import { Passing } from "./failures.js";

export type Wait = (milliseconds: number, signal: AbortSignal | undefined) => Promise<unknown>;

/** @throws the signal's reason */
export const wait: Wait = (milliseconds, signal) =>
  sleep(milliseconds, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());

/** Attempts without a byte of progress. */
const MOST = 5;
/** Longest time that a server may ask for; beyond it a person decides. */
const LONGEST_MS = 60_000;

/**
 * Repeats an attempt that fails for a passing cause.
 * @param attempt tells of each progress; after one the count begins anew
 * @throws the lasting error where it does not pass
 */
export async function persist<T>(
  attempt: (progress: () => void) => Promise<T>,
  signal: AbortSignal | undefined,
  pause: Wait,
): Promise<T> {
  let failed = 0;
  for (;;) {
    let progressed = false;
    const progress = () => {
      progressed = true;
    };
    try {
      return await attempt(progress);
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      signal?.throwIfAborted();
      failed = progressed ? 0 : failed + 1;
      const backOff = failed === 0 ? 0 : 500 * 2 ** (failed - 1);
      const after = error.afterMs ?? backOff;
      if (failed >= MOST || after > LONGEST_MS) throw error.lasting;
      await pause(after, signal);
    }
  }
}
