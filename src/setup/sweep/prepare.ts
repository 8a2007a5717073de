import type { RunFolder } from "../run/folder.js";
import type { RunOptions } from "../run/options.js";
import { prepareRun } from "../run/prepare.js";
import type { TrainingTexts } from "../texts.js";
import type { SweepPlan } from "./plan.js";
import { checkSeeds, type SweepRun } from "./runs.js";
import type { PreparedRun } from "./train.js";

interface Tell {
  warn: (message: string) => void;
  note?: (message: string) => void;
  detail?: (message: string) => void;
}

/**
 * The runs with their checkpoints, from which they go on.
 * @param folders of the runs, in their order
 * @throws LowrankError E_USAGE, E_RESUME, E_CHECKPOINT
 */
export async function prepareSweep(
  runs: readonly SweepRun<RunOptions>[],
  folders: readonly RunFolder[],
  plan: SweepPlan,
  texts: TrainingTexts,
  { warn, note, detail }: Tell,
): Promise<PreparedRun[]> {
  checkSeeds(runs, texts.hashes.validation !== null);
  const found: PreparedRun[] = [];
  for (const [i, run] of runs.entries()) {
    const folder = folders[i]!;
    const warnOfRun = (message: string) => warn(`${run.name}: ${message}`);
    // From here on no other run may change the checkpoints.
    const checkpoint = await folder.findCheckpoint(warnOfRun);
    if (checkpoint) note?.(`${run.name}: going on after step ${checkpoint.state.step} of ${checkpoint.folder}`);
    found.push({
      ...run,
      prepared: prepareRun(run.options, plan.runs[i]!, texts, checkpoint, warnOfRun),
      begin: async () => {
        for (const later of await folder.begin(checkpoint)) detail?.(`removed ${later}`);
      },
      release: () => folder.release(),
    });
  }
  return found;
}
