// The runs of a sweep by their options: one for each adapter, in a folder of its own.
import { basename, join } from "node:path";
import { LowrankError } from "../../base/errors.js";
import type { Variant } from "../../config/index.js";
import type { RunOptions } from "../run/options.js";

/** One adapter of a sweep. */
export interface SweepRun<O> {
  /** Its folder within the sweep's. */
  name: string;
  /** The options in which the runs differ. */
  values: Variant;
  options: O;
  /** Options that somebody named, for the sweep or for this run. */
  given: ReadonlySet<string>;
}

/** Longest name of a folder; more is cut off. */
const LONGEST_NAME = 80;

/** A value as a part of a file's name. */
function spelled(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.replaceAll(/[^\w.+]+/g, "-").replaceAll(/^[-.]+|-+$/g, "");
}

/** A folder's name by the options, such as r8 or r8_learning_rate-0.001. */
function nameOf(values: Variant): string {
  const parts = Object.entries(values).map(([option, value]) =>
    option === "lora_r" ? `r${value}` : `${option}-${spelled(value)}`,
  );
  return parts.join("_").slice(0, LONGEST_NAME);
}

/** Names of their own, whatever was cut off. */
function named(variants: readonly Variant[]): string[] {
  const taken = new Set<string>();
  return variants.map((values) => {
    const name = nameOf(values);
    let own = name;
    for (let n = 2; taken.has(own); n++) own = `${name}.${n}`;
    taken.add(own);
    return own;
  });
}

/** @param o of the sweep; a run writes no samples, and has its name in trackers */
export function sweepRuns<O extends RunOptions>(
  o: O,
  given: ReadonlySet<string>,
  variants: readonly Variant[],
): SweepRun<O>[] {
  const names = named(variants);
  return variants.map((values, i) => {
    const name = names[i]!;
    const output_dir = o.output_dir === undefined ? undefined : join(o.output_dir, name);
    const title = o.run_name ?? (o.output_dir === undefined ? undefined : basename(o.output_dir));
    const run_name = title === undefined ? undefined : `${title}-${name}`;
    const options = { ...o, ...values, output_dir, run_name, num_samples: 0 };
    return { name, values, options, given: new Set([...given, ...Object.keys(values)]) };
  });
}

/**
 * Refuses seeds where they also choose the texts that are held back.
 * @param hasValidation whether the texts to evaluate on are of their own
 * @throws LowrankError E_USAGE
 */
export function checkSeeds(runs: readonly SweepRun<RunOptions>[], hasValidation: boolean): void {
  if (hasValidation || new Set(runs.map(({ options }) => options.seed)).size <= 1) return;
  const message =
    "grid: seed: without validation_file the seed also decides which texts are held back. Name the texts to evaluate on with validation_file.";
  throw new LowrankError("E_USAGE", message, "seed");
}
