// The facts that a run's report tells besides its metrics.
import { basename, resolve } from "node:path";
import { packageVersion } from "../../base/version.js";
import { lengthsOf, type TextEnd, type TokenDataset } from "../../data/index.js";
import { type AdapterSpec, cpuInfo, type ModelSource } from "../../native/index.js";
import type { KnownFacts, TextFacts } from "../../report/index.js";
import { type Plan, parameterCounts } from "../memory/plan.js";
import { endsTexts, type TrainingTexts } from "../texts.js";
import type { RunOptions } from "./options.js";

/** The parts of a prepared run that its report tells of. */
interface Parts {
  model: ModelSource;
  adapter: { spec: AdapterSpec };
  plan: Plan;
  texts: TrainingTexts;
}

/** Most bins of the histogram of lengths. */
const BINS = 32;

function textFacts(dataset: TokenDataset, o: RunOptions, edges: number[], end: TextEnd | null): TextFacts {
  const { lengths } = dataset;
  const full = lengths.reduce((sum, length) => sum + Number(length >= o.max_seq_length), 0);
  const counts = new Array<number>(edges.length - 1).fill(0);
  let bin = 0;
  for (const length of lengths) {
    while (bin < counts.length - 1 && length >= edges[bin + 1]!) bin++;
    counts[bin]!++;
  }
  const cut = o.long_text === "chunk" ? 0 : end && dataset.countCut(o.max_seq_length, end);
  const learned_tokens = dataset.classifier ? lengthsOf(lengths).tokens : dataset.learnedTokens;
  return { texts: lengths.length, ...lengthsOf(lengths), learned_tokens, full, cut, edges, counts };
}

/** From the shortest text to beyond the longest one, each bin of the same whole number of tokens. */
function edgesOf(datasets: TokenDataset[]): number[] {
  const lengths = datasets.flatMap((dataset) => [dataset.lengths[0] ?? 1, dataset.lengths.at(-1) ?? 1]);
  const [least, beyond] = [Math.min(...lengths), Math.max(...lengths) + 1];
  const width = Math.ceil((beyond - least) / BINS);
  const bins = Math.ceil((beyond - least) / width);
  return Array.from({ length: bins + 1 }, (_, i) => least + i * width);
}

/** @param config the run's settings, as trackers show them */
export async function reportFacts(
  o: RunOptions & { output_dir: string },
  { model, adapter, plan, texts }: Parts,
  config: Record<string, unknown>,
): Promise<KnownFacts> {
  const { tokenizer, training, validation, renders } = texts;
  const hasEnd = o.add_eos && renders.every((render) => render.kind !== "classified" && endsTexts(render));
  const end = hasEnd ? await tokenizer.textEnd() : null;
  const edges = edgesOf([training, validation]);
  return {
    name: o.run_name ?? basename(resolve(o.output_dir)),
    versions: { lowrank: packageVersion(), "Node.js": process.versions.node, processor: cpuInfo().isa },
    config: { ...config, threads: plan.engine.threads },
    parameters: parameterCounts(model, adapter.spec),
    memory: plan.memory,
    data: { training: textFacts(training, o, edges, end), validation: textFacts(validation, o, edges, end) },
  };
}
