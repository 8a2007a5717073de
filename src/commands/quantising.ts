// Shows how far quantising is.
import type { Log, Progress } from "../tracking/index.js";
import { LINE_S } from "./tokenising.js";

/** For commands without a log: their results go to standard output. */
export const STDERR = { info: (line: string) => void process.stderr.write(`${line}\n`) };

/**
 * @param isFree whether the bar is nobody else's just now
 * @returns shows so many steps of all as a bar, or as lines where there is none
 */
export function quantising(
  progress: Pick<Progress, "shown" | "start" | "update" | "stop">,
  log: Pick<Log, "info">,
  isFree = () => true,
): (done: number, total: number) => void {
  const start = performance.now();
  let last = start;
  let drawn = false;
  return (done, total) => {
    const now = performance.now();
    if (done === total) {
      if (drawn) progress.stop();
      const seconds = ((now - start) / 1000).toFixed(0);
      if (last > start) log.info(`quantised the weights in ${seconds} s`);
    } else if (progress.shown) {
      if (!isFree()) return;
      if (!drawn) progress.start("quantising", total);
      drawn = true;
      progress.update(done);
    } else if (now - last >= LINE_S * 1000) {
      last = now;
      log.info(`quantising: ${Math.floor((done / total) * 100)} %`);
    }
  };
}
