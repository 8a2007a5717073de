import { writeFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import {
  type Advice,
  advise,
  analyze,
  baseNorms,
  baseWeight,
  byKind,
  type Comparison,
  compare,
  compress,
  heatMap,
  type Intruders,
  intruders,
  isKept,
  type KindAnalysis,
  type Measured,
  padded,
  smallerRanks,
} from "../analysis/index.js";
import { LowrankError } from "../base/errors.js";
import { writeError } from "../base/system-errors.js";
import { columns } from "../base/text.js";
import { aboutAdapter, type Factors, readFactors } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import { openModel } from "../model/index.js";
import { TOLERANCE } from "../setup/sweep/recommend.js";
import { Progress, showsBar } from "../tracking/index.js";
import { adapterShown, locatedShown } from "./downloading.js";
import { onTexts } from "./evaluation.js";
import { warn } from "./warn.js";

/** `lowrank analyze`: the ranks that an adapter uses, by kind of module. */
export async function run(o: CommandOptions<"analyze">, inFile: ReadonlySet<string>): Promise<void> {
  const adapter = await adapterShown(o.adapter);
  const factors = readFactors(adapter, "left out");
  const norms = await normsOf(o, factors);
  const kinds = analyze(factors, (module) => norms.get(module));
  const { useRslora } = aboutAdapter(adapter);
  const hasTexts = o.validation_file !== undefined || o.dataset_name !== undefined;
  const advice = advise(kinds, useRslora, hasTexts ? await measuredOf(o, inFile, adapter) : undefined);
  const found = o.intruder_directions === undefined ? undefined : await intrudersOf(o, factors, o.intruder_directions);
  const comparisons = o.compare_with === undefined ? undefined : await comparisonOf(o, factors);
  if (o.picture !== undefined) {
    try {
      writeFileSync(o.picture, heatMap(`LoRA adapter ${o.adapter}`, kinds));
    } catch (error) {
      throw writeError(error, o.picture);
    }
  }
  const told = {
    adapter: o.adapter,
    kinds: kinds.map(inSnakeCase),
    advice: inSnakeCase(advice),
    ...(found && { intruders: found }),
    ...(comparisons && { comparison: comparisons.map(inSnakeCase) }),
  };
  process.stdout.write(o.json ? `${JSON.stringify(told)}\n` : report(o, kinds, advice, found, comparisons));
}

async function normsOf(o: CommandOptions<"analyze">, factors: readonly Factors[]): Promise<Map<string, number>> {
  if (o.base_model === undefined) return new Map();
  const { base_model } = await locatedShown({ base_model: o.base_model, revision: o.revision });
  const modules = factors.map(({ module }) => module);
  const norms = baseNorms(openModel(base_model, warn), modules);
  const missing = modules.find((module) => !norms.has(module));
  if (missing !== undefined) {
    const reason = `${o.base_model} has no plain f32, bf16 or f16 weight ${missing}.weight`;
    if (norms.size === 0) throw new LowrankError("E_ADAPTER", `${reason}: it is another model, or quantised.`, missing);
    warn(`${reason}; relative norms are left out where there is none`);
  }
  return norms;
}

/** Losses of the adapter cut to smaller and smaller ranks, until one is too high. */
function measuredOf(o: CommandOptions<"analyze">, inFile: ReadonlySet<string>, adapter: string): Promise<Measured> {
  const whole = readFactors(adapter);
  return onTexts({ ...o, adapter }, inFile, async ({ engine, evaluate }) => {
    const { eval_loss: evalLoss } = await evaluate();
    const measured: Measured = { evalLoss, cuts: [], tolerance: TOLERANCE };
    for (const rank of smallerRanks(Math.max(...whole.map((factors) => factors.rank)))) {
      await engine.setAdapter(padded(compress(whole, { rank }).factors, whole));
      const { eval_loss } = await evaluate();
      measured.cuts.push({ rank, evalLoss: eval_loss });
      if (!isKept(eval_loss, measured)) break;
    }
    return measured;
  });
}

/** Module by module: it takes seconds for each. */
async function intrudersOf(
  o: CommandOptions<"analyze">,
  factors: readonly Factors[],
  directions: number,
): Promise<Intruders[]> {
  if (o.base_model === undefined)
    throw new LowrankError("E_USAGE", "intruder_directions needs base_model.", "intruder_directions");
  const { base_model } = await locatedShown({ base_model: o.base_model, revision: o.revision });
  const model = openModel(base_model, warn);
  const progress = await Progress.open(showsBar());
  progress.start("comparing directions", factors.length);
  try {
    const found: Intruders[] = [];
    for (const each of factors) {
      const weight = baseWeight(model, each.module);
      if (weight?.length !== each.out * each.inputs) {
        const message = `${o.base_model} has no plain f32, bf16 or f16 weight ${each.module}.weight of ${each.out} x ${each.inputs} numbers: it is another model, or quantised.`;
        throw new LowrankError("E_ADAPTER", message, each.module);
      }
      found.push(intruders(weight, each, directions, o.intruder_threshold));
      progress.update(found.length);
      // The bar is drawn here.
      await setImmediate();
    }
    return found;
  } finally {
    progress.stop();
  }
}

function intruderTable(o: CommandOptions<"analyze">, found: readonly Intruders[]): string {
  const rows = byKind(found, (each) => each).map(({ kind, modules: list }) => {
    const counts = list.map((each) => each.intruders);
    const least = Math.min(...list.flatMap(({ cosines }) => cosines));
    return [kind, short(mean(counts)), String(Math.max(...counts)), short(least)];
  });
  const what = `Intruder directions: of the ${o.intruder_directions} leading singular vectors of each tuned weight, those with a cosine below ${o.intruder_threshold} to all of the base's`;
  return `${what}\n${columns([["module", "mean", "most", "least cosine"], ...rows])}`;
}

async function comparisonOf(o: CommandOptions<"analyze">, factors: readonly Factors[]): Promise<Comparison[]> {
  const comparisons = compare(factors, readFactors(await adapterShown(o.compare_with!), "left out"));
  if (comparisons.length > 0) return comparisons;
  const message = `${o.adapter} and ${o.compare_with} have no module of the same name and shape in common.`;
  throw new LowrankError("E_ADAPTER", message, "compare_with");
}

/** The keys of the JSON, also of nested objects, as the other commands spell theirs. */
function inSnakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inSnakeCase);
  if (typeof value !== "object" || value === null) return value;
  const named = Object.entries(value).map(([key, each]) => [
    key.replace(/([A-Z]|\d+)/g, (part) => `_${part.toLowerCase()}`),
    inSnakeCase(each),
  ]);
  return Object.fromEntries(named);
}

const short = (value: number) => (value === 0 ? "0" : Number(value.toPrecision(3)).toString());
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function report(
  o: CommandOptions<"analyze">,
  kinds: readonly KindAnalysis[],
  advice: Advice,
  found?: readonly Intruders[],
  comparisons?: readonly Comparison[],
): string {
  const relative = kinds.some(({ modules }) => modules.some(({ relativeNorm }) => relativeNorm !== undefined));
  const head = [
    "module",
    "layers",
    "r",
    "norm",
    ...(relative ? ["/ weight"] : []),
    "stable",
    "effective",
    "90 %",
    "99 %",
    "overlap in",
    "out",
  ];
  const rows = kinds.map(({ kind, modules, layerOverlap }) => {
    const of = (value: (module: KindAnalysis["modules"][number]) => number) => short(mean(modules.map(value)));
    return [
      ...[kind, String(modules.length), of(({ rank }) => rank), of(({ norm }) => norm)],
      ...(relative ? [of(({ relativeNorm }) => relativeNorm ?? Number.NaN)] : []),
      ...[
        of(({ stableRank }) => stableRank),
        of(({ effectiveRank }) => effectiveRank),
        of(({ rank90 }) => rank90),
        of(({ rank99 }) => rank99),
      ],
      ...(layerOverlap ? [short(layerOverlap.inputs), short(layerOverlap.outputs)] : ["", ""]),
    ];
  });
  const parts = [
    `LoRA adapter: ${o.adapter}. Means over the layers; stable, effective, 90 % and 99 %: ranks of the update.\n${columns([head, ...rows])}`,
  ];
  const advised = advice.kinds.map(
    ({ kind, rank, alpha, reason }) => `  ${kind}: r ${rank}, alpha ${alpha}; ${reason}`,
  );
  const sweep = `Which rank the task needs, a sweep tells: lowrank sweep --ranks ${advice.sweepRanks.join()}, with the other options of the run.`;
  parts.push(`Ranks, at the same scale\n${advised.join("\n")}\nRank ${advice.rank}: ${advice.reason}.\n${sweep}`);
  if (found) parts.push(intruderTable(o, found));
  if (comparisons) {
    const compared = comparisons.map((c) => [c.module, short(c.cosine), short(c.inputs), short(c.outputs)]);
    parts.push(
      `Beside ${o.compare_with}: cosine of the updates, overlap of their directions\n${columns([["module", "cosine", "in", "out"], ...compared])}`,
    );
  }
  return `${parts.join("\n\n")}\n`;
}
