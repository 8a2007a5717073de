// Ranks on this machine, under Open MPI's mpirun.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { SESSION, sessionFolder } from "../../src/launch/session.js";
import { cliFile, type Finished, jsonLines, type RunOptions, root, run } from "./tiny.js";

/** For a machine of few processors, and for root. */
const ENVIRONMENT = {
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  OMPI_MCA_rmaps_base_oversubscribe: "1",
  OMPI_MCA_hwloc_base_binding_policy: "none",
  OMPI_MCA_plm_rsh_agent: "",
  OMPI_MCA_btl: "self,vader",
  OMPI_MCA_btl_vader_single_copy_mechanism: "none",
  OMPI_MCA_mpi_yield_when_idle: "1",
};

/** Why ranks cannot be tested here; null where they can. */
export function noRanks(): string | null {
  if (!existsSync(join(root, "build/Release/liblowrank_mpi.so"))) return "the addon was built without Open MPI";
  return spawnSync("mpirun", ["--version"]).status === 0 ? null : "there is no mpirun";
}

/**
 * Runs the built command in several ranks. @param args of all; a rank's own ones come last
 * @param program in the place of the built command
 */
export function ranks(
  size: number,
  args: string[],
  {
    own = () => [],
    program = () => cliFile,
    ...options
  }: RunOptions & {
    own?: (rank: number) => string[];
    program?: (rank: number) => string;
  } = {},
): Promise<Finished> {
  const each = Array.from({ length: size }, (_, rank) => [
    ...(rank > 0 ? [":"] : []),
    ...["-n", "1", process.execPath, program(rank), ...args, ...own(rank)],
  ]);
  const session = { [SESSION]: sessionFolder(process.env) };
  return run("mpirun", each.flat(), { ...options, env: { ...ENVIRONMENT, ...session, ...options.env } });
}

/** Losses, norms and evaluations of a run are another's, but for the order in which sums were made. @param from first step */
export function expectCloseMetrics(output: string, reference: string, from = 1) {
  const names = ["loss", "grad_norm", "eval_loss", "eval_perplexity", "learning_rate"] as const;
  const [found, expected] = [output, reference].map((folder) =>
    jsonLines(join(folder, "metrics.jsonl")).filter(({ step }) => step! >= from),
  );
  expect(found!.map(({ step }) => step)).toEqual(expected!.map(({ step }) => step));
  let compared = 0;
  for (const [i, line] of expected!.entries()) {
    for (const name of names) {
      if (line[name] === undefined) continue;
      compared++;
      // An overflow of fp16 is no number.
      if (found![i]![name] === line[name]) continue;
      const difference = Math.abs(found![i]![name]! - line[name]) / Math.max(Math.abs(line[name]), 1e-30);
      expect(difference, `${name} of step ${line.step}: ${found![i]![name]}, expected ${line[name]}`).toBeLessThan(
        1e-6,
      );
    }
  }
  expect(compared).toBeGreaterThan(10);
}
