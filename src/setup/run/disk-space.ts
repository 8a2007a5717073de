// The size of a run's checkpoints beside the room on the disk.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { freeBytes } from "../../base/system-errors.js";
import { bytes, count } from "../../base/text.js";
import { type SavedSizes, savedSizes } from "../../checkpoint/index.js";
import type { RunOptions } from "./options.js";
import { stepsOf } from "./steps.js";
import type { Prepared } from "./train.js";

export interface DiskNeed extends SavedSizes {
  /** Checkpoints that are there at once, with the one that is being written. */
  checkpoints: number;
  /** The number of checkpoints with the lowest limit. */
  fewest: number;
}

/** Checkpoints of a run from its beginning, or from `from` on. */
function countSaves(o: RunOptions, steps: { total: number; perEpoch: number }, from: number): number {
  if (o.save_strategy === "no") return 0;
  const every = o.save_strategy === "epoch" ? steps.perEpoch : o.save_steps;
  return Math.max(0, Math.ceil(steps.total / every) - Math.floor(from / every));
}

export function diskNeed(o: RunOptions, prepared: Pick<Prepared, "model" | "plan" | "texts" | "resumption">): DiskNeed {
  const { model, plan, texts, resumption } = prepared;
  const steps = stepsOf(o, texts.training.length);
  // Earlier ones of a run that goes on in its folder are there, too.
  const saves = countSaves(o, steps, resumption && !resumption.inPlace ? resumption.state.step : 0);
  // Beside the newest one, the best one is never removed.
  const least = o.eval_strategy === "no" ? 1 : 2;
  const kept = o.save_total_limit === 0 ? saves : Math.max(least, o.save_total_limit) + 1;
  const sizes = savedSizes(model, plan.adapter, o.optim, texts.tokenizer);
  return { ...sizes, checkpoints: Math.min(saves, kept), fewest: Math.min(saves, least + 1) };
}

/** The room in an output folder: the free room, and the size of earlier checkpoints that this run removes or keeps. */
export function roomFor(folder: string): number | undefined {
  const free = freeBytes(folder);
  return free === undefined ? undefined : free + checkpointBytes(folder);
}

function checkpointBytes(folder: string): number {
  try {
    const within = readdirSync(folder).filter((name) => /^checkpoint-\d+$/.test(name));
    const files = within.flatMap((name) => readdirSync(join(folder, name)).map((file) => join(folder, name, file)));
    return files.reduce((sum, file) => sum + statSync(file).size, 0);
  } catch {
    // A folder that is not there yet, or that another run changes, counts as empty.
    return 0;
  }
}

/** @param room bytes; undefined where it is not known */
export function diskWarning(folder: string, need: DiskNeed, room: number | undefined): string | undefined {
  const { adapter, checkpoint, checkpoints, fewest } = need;
  const total = checkpoints * checkpoint + adapter;
  if (room === undefined || room >= total) return undefined;
  const one = checkpoints === 0 ? adapter : checkpoint;
  const what =
    checkpoints === 0
      ? "the adapter"
      : `${count(checkpoints)} checkpoint${checkpoints === 1 ? "" : "s"} of ${bytes(checkpoint)} at once and the adapter`;
  const none = one > room ? ` Not even one ${checkpoints === 0 ? "adapter" : "checkpoint"} fits.` : "";
  const limit =
    fewest < checkpoints && fewest * checkpoint + adapter <= room ? "keep fewer with --save_total_limit, " : "";
  return (
    `The disk of ${folder} has too little room: the run needs ${bytes(total)} (${what}), and there are ${bytes(room)}.${none} ` +
    `Free some space, ${limit}or choose another --output_dir.`
  );
}
