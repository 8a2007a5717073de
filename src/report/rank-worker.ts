// Thread: the ranks that the adapter of a folder uses, as far as a report shows them.
import { byKind, type Shown, spectrum } from "../analysis/index.js";
import { readFactors } from "../checkpoint/index.js";
import { answerJobs } from "./thread.js";

/** @throws LowrankError where the folder has no plain LoRA adapter */
function ranksOf(folder: string): Shown[] {
  return byKind(readFactors(folder), (factors, { layer }) => {
    const { rank99, norm } = spectrum(factors);
    return { module: factors.module, layer, rank99, norm };
  });
}

answerJobs((folder: string): Shown[] | null => {
  try {
    return ranksOf(folder);
  } catch {
    return null;
  }
});
