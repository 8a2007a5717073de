// Worker thread: the ranks of the adapters of some folders, a message for each.
import { parentPort, workerData } from "node:worker_threads";
import type { Answer } from "./rank-pictures.js";
import { ranksOf } from "./ranks.js";

for (const folder of workerData as string[]) {
  try {
    parentPort!.postMessage({ folder, kinds: ranksOf(folder) } satisfies Answer);
  } catch {
    parentPort!.postMessage({ folder, kinds: null } satisfies Answer);
  }
}
