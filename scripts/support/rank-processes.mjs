import { readdirSync, readFileSync } from "node:fs";

/** Process ids of the living ranks of a run on this machine, by rank. @param output the run's output_dir, as the launcher was given it */
export function ranksOf(output) {
  const found = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`--output_dir=${output}\0`)) continue;
      const rank = /(?:^|\0)OMPI_COMM_WORLD_RANK=(\d+)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"))?.[1];
      if (rank !== undefined) found[Number(rank)] = Number(pid);
    } catch {
      // It has ended.
    }
  }
  return found;
}
