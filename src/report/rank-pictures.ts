// The picture of the ranks that an adapter uses.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { analyze, heatMap } from "../analysis/index.js";
import { readFactors } from "../checkpoint/index.js";
import type { Run } from "./facts.js";
import type { Picture } from "./plot.js";

/** A picture for each run with a LoRA adapter; none where there is no adapter, or one that has no ranks to show. */
export function rankPictures(runs: readonly Run[]): Picture[] {
  return runs.flatMap(({ folder, name }, i): Picture[] => {
    if (!existsSync(join(folder, "adapter_model.safetensors"))) return [];
    try {
      const kinds = analyze(readFactors(folder));
      const told = kinds.map(({ kind, modules }) => `${kind}: ${modules.map(({ rank99 }) => rank99).join(", ")}`);
      const whose = runs.length === 1 ? "" : ` of ${name}`;
      const about = { id: runs.length === 1 ? "ranks" : `ranks-${i + 1}`, title: `Ranks${whose}` };
      const summary = `Ranks that hold 99 % of each update's energy, layer by layer. ${told.join("; ")}.`;
      return [{ kind: "picture", ...about, summary, svg: heatMap(`Ranks of the adapter${whose}`, kinds) }];
    } catch {
      // The report of a run is whole without it.
      return [];
    }
  });
}
