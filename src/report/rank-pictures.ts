// The picture of the ranks that an adapter uses.
import { statSync } from "node:fs";
import { join } from "node:path";
import { analyze, heatMap, type KindAnalysis } from "../analysis/index.js";
import { readFactors } from "../checkpoint/index.js";
import type { Run } from "./facts.js";
import type { Picture } from "./plot.js";

/** The runs of a sweep are shown twice, each alone and all of them beside each other: kinds by file, of the last files. */
const MOST_ANALYSED = 100;
const analysed = new Map<string, { version: string; kinds: KindAnalysis[] }>();

/** @returns null where the folder has no adapter */
function analyseOnce(folder: string): KindAnalysis[] | null {
  const file = join(folder, "adapter_model.safetensors");
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (!found) return null;
  const version = [found.ino, found.size, found.mtimeNs, found.ctimeNs].join(" ");
  const known = analysed.get(file);
  if (known?.version === version) return known.kinds;
  const kinds = analyze(readFactors(folder));
  analysed.delete(file);
  analysed.set(file, { version, kinds });
  if (analysed.size > MOST_ANALYSED) analysed.delete(analysed.keys().next().value!);
  return kinds;
}

/** A picture for each run with a LoRA adapter; none where there is no adapter, or one that has no ranks to show. */
export function rankPictures(runs: readonly Run[]): Picture[] {
  return runs.flatMap(({ folder, name }, i): Picture[] => {
    try {
      const kinds = analyseOnce(folder);
      if (!kinds) return [];
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
