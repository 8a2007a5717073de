// The picture of the ranks that an adapter uses.
import { statSync } from "node:fs";
import { join } from "node:path";
import { heatMap, type Shown } from "../analysis/index.js";
import type { Run } from "./facts.js";
import type { Picture } from "./plot.js";
import { Thread } from "./thread.js";

/** The runs of a sweep are shown twice, each alone and all of them beside each other. About 20 KB each. */
const MOST_KEPT = 100;
const kept = new Map<string, { version: string; kinds: Shown[] | null }>();

/** Differs where the folder has another adapter; null where it has none. */
function versionOf(folder: string): string | null {
  const found = statSync(join(folder, "adapter_model.safetensors"), { bigint: true, throwIfNoEntry: false });
  return found ? [found.ino, found.size, found.mtimeNs, found.ctimeNs].join(" ") : null;
}

/** A thread of its own reads and computes: it takes seconds for a large adapter. Null where there is no picture of the adapter. */
async function analyse(folders: string[], note: (folder: string, kinds: Shown[] | null) => void): Promise<void> {
  await using thread = new Thread<string, Shown[] | null>("rank-worker.js");
  await Promise.all(folders.map(async (folder) => note(folder, await thread.ask(folder))));
}

/** @returns the kinds of modules by folder */
async function ranksOfAll(folders: readonly string[]): Promise<Map<string, Shown[]>> {
  const versions = new Map(folders.map((folder) => [folder, versionOf(folder)]));
  const isKept = (folder: string) => kept.get(folder)?.version === versions.get(folder);
  const wanted = [...versions].flatMap(([folder, version]) => (version === null || isKept(folder) ? [] : [folder]));
  const found = new Map<string, Shown[] | null>();
  for (const folder of folders) if (isKept(folder)) found.set(folder, kept.get(folder)!.kinds);
  const note = (folder: string, kinds: Shown[] | null) => {
    found.set(folder, kinds);
    kept.delete(folder);
    kept.set(folder, { version: versions.get(folder)!, kinds });
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  };
  try {
    if (wanted.length > 0) await analyse(wanted, note);
  } catch {
    // The report of a run is whole without it.
  }
  return new Map([...found].flatMap(([folder, kinds]) => (kinds ? [[folder, kinds] as const] : [])));
}

/** A picture for each run with a LoRA adapter; none where there is no adapter, or one that has no ranks to show. */
export async function rankPictures(runs: readonly Run[]): Promise<Picture[]> {
  const found = await ranksOfAll(runs.map(({ folder }) => folder));
  return runs.flatMap(({ folder, name }, i): Picture[] => {
    const kinds = found.get(folder);
    if (!kinds) return [];
    const told = kinds.map(({ kind, modules }) => `${kind}: ${modules.map(({ rank99 }) => rank99).join(", ")}`);
    const whose = runs.length === 1 ? "" : ` of ${name}`;
    const about = { id: runs.length === 1 ? "ranks" : `ranks-${i + 1}`, title: `Ranks${whose}` };
    const summary = `Ranks that hold 99 % of each update's energy, layer by layer. ${told.join("; ")}.`;
    return [{ kind: "picture", ...about, summary, svg: heatMap(`Ranks of the adapter${whose}`, kinds) }];
  });
}
