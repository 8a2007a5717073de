// Whether resident memory stays flat. Needs node --expose-gc.
import { readFileSync } from "node:fs";
import { trimHeaps } from "../../dist/native/index.js";

const LARGEST_GROWTH = 0.01;

/** MiB resident after a full collection, and with the allocators' reserves given back. */
export function resident() {
  globalThis.gc();
  trimHeaps();
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]) / 1024;
}

/**
 * Compares the third quarter of the samples with the last (before, code is still being compiled). It takes the least of
 * each, for a save in progress holds copies for a moment. It prints the result and sets the exit code: 1 where the
 * memory has grown by more than 1 %.
 */
export function judge(what, samples) {
  const quarter = Math.floor(samples.length / 4);
  const [early, late] = [samples.slice(2 * quarter, 3 * quarter), samples.slice(-quarter)].map((part) =>
    Math.min(...part),
  );
  const growth = late / early - 1;
  console.log(
    `${what}: ${early.toFixed(1)} MiB resident early, ${late.toFixed(1)} MiB late, ` +
      `${(100 * growth).toFixed(2)} % growth (at most ${100 * LARGEST_GROWTH} %)`,
  );
  process.exitCode = growth <= LARGEST_GROWTH ? 0 : 1;
}
