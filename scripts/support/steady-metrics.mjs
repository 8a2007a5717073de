import { readFileSync } from "node:fs";
import { join } from "node:path";

const UNSTEADY = /^(tokens_per_s|mfu|slowest_rank|slowest_rank_s|waiting|train_runtime)$|_per_second$|_memory_bytes$/;

/** The lines of a run's metrics.jsonl, as texts, without the values that differ from run to run: times, speeds and memory. */
export function steadyMetrics(folder) {
  const lines = readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n");
  return lines.map((line) =>
    JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(line)).filter(([name]) => !UNSTEADY.test(name)))),
  );
}
