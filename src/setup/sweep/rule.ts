// What a stopping rule needs of the runs that it compares.
import { LowrankError } from "../../base/errors.js";
import type { RunOptions } from "../run/options.js";
import { stepsOf } from "../run/steps.js";
import { checkRunOptions } from "../run/train.js";
import type { Rule } from "./judge.js";
import type { SweepRun } from "./runs.js";

const refusal = (kind: Rule["kind"], what: string) =>
  new LowrankError("E_USAGE", `stopping_rule ${kind} ${what}.`, "stopping_rule");

/** Before anything is read. @throws LowrankError E_USAGE naming options that make no sense together */
export function checkSweepOptions(kind: Rule["kind"], runs: readonly SweepRun<RunOptions>[]): void {
  for (const { options } of runs) checkRunOptions(options);
  if (kind !== "none" && runs.some(({ options }) => options.eval_strategy === "no"))
    throw refusal(kind, "compares evaluations: eval_strategy must be steps or epoch");
}

/** @param rows examples, or packs of them @throws LowrankError E_USAGE where a stopping rule would compare runs of different lengths */
export function checkLengths(kind: Rule["kind"], runs: readonly SweepRun<RunOptions>[], rows: number): void {
  if (kind === "none") return;
  const steps = runs.map(({ options }) => stepsOf(options, rows));
  if (steps.some(({ total, perEpoch }) => total !== steps[0]!.total || perEpoch !== steps[0]!.perEpoch))
    throw refusal(kind, "compares runs after the same steps: their batch sizes must be the same");
}
