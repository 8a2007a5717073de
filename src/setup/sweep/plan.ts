import { initialAdapter } from "../adapter.js";
import type { RunOptions } from "../run/options.js";
import { type PlannedBase, planRun, type RunPlan } from "../run/prepare.js";
import type { SweepRun } from "./runs.js";

/** The plans of a sweep's runs, which share engine and memory. */
export interface SweepPlan {
  /** In the order of the runs: also of the engine's adapters. */
  runs: RunPlan[];
  /** @throws LowrankError E_MEMORY */
  checkMemory(): void;
}

/** One plan for all runs: of the run with the largest batch, with the other adapters beside it. */
export function planSweep(runs: readonly SweepRun<RunOptions>[], base: PlannedBase): SweepPlan {
  const adapters = runs.map(({ options, given }) => initialAdapter(options, given, base.model));
  const batch = (run: SweepRun<RunOptions>) => run.options.per_device_train_batch_size;
  const largest = runs.reduce((most, run, i) => (batch(run) > batch(runs[most]!) ? i : most), 0);
  const beside = adapters.filter((_, i) => i !== largest).map(({ spec }) => spec);
  const { options, given } = runs[largest]!;
  const shared = planRun(options, given, base, beside);
  return {
    runs: adapters.map((adapter) => ({ ...shared, adapter, plan: { ...shared.plan, adapter: adapter.spec } })),
    checkMemory: shared.checkMemory,
  };
}
