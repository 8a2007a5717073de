// Shows how far the loading of weights is.
import type { LoadingWork, OnLoading } from "../native/index.js";
import type { Log, Progress } from "../tracking/index.js";
import { LINE_S } from "./tokenising.js";

/** For commands without a log: their results go to standard output. */
export const STDERR = { info: (line: string) => void process.stderr.write(`${line}\n`) };

export type Bar = Pick<Progress, "shown" | "start" | "update" | "stop">;
export type Lines = Pick<Log, "info">;

/** How a work is called: on its bar, in a line, and when it is done; and bytes or steps of a unit of the bar. */
interface Words {
  bar: string;
  line: string;
  done: string;
  unit: number;
}

const MIB = 2 ** 20;
const WORDS = {
  quantising: { bar: "quantising", line: "quantising", done: "quantised the weights", unit: 1 },
  copying: { bar: "reading weights, MiB", line: "reading weights", done: "read the weights", unit: MIB },
} as const satisfies Record<LoadingWork, Words>;

export function shownWork(
  { bar, line, done: ended, unit }: Words,
  progress: Bar,
  log: Lines,
  isFree: () => boolean,
  start: number,
): (done: number, total: number) => void {
  let last = start;
  let drawn = false;
  let isDone = false;
  return (done, total) => {
    const now = performance.now();
    if (isDone) return;
    if (done === total) {
      isDone = true;
      if (drawn) progress.stop();
      const seconds = ((now - start) / 1000).toFixed(0);
      if (last > start) log.info(`${ended} in ${seconds} s`);
    } else if (progress.shown) {
      if (!isFree()) return;
      if (!drawn) progress.start(bar, Math.ceil(total / unit));
      drawn = true;
      progress.update(Math.floor(done / unit));
    } else if (now - last >= LINE_S * 1000) {
      last = now;
      log.info(`${line}: ${Math.floor((done / total) * 100)} %`);
    }
  };
}

/**
 * @param isFree whether nothing else uses the bar at the moment
 * @returns a function that shows `done` of `total` steps as a bar, or as lines where there is no bar
 */
export function loading(progress: Bar, log: Lines, isFree = () => true): OnLoading {
  const shown = new Map<LoadingWork, (done: number, total: number) => void>();
  // One work begins where the one before it ended.
  let since = performance.now();
  return (work, done, total) => {
    const show = shown.get(work) ?? shownWork(WORDS[work], progress, log, isFree, since);
    shown.set(work, show);
    show(done, total);
    if (done === total) since = performance.now();
  };
}
