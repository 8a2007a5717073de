import type { Optimizer, Precision } from "../../native/index.js";

/** Settings that decide how much memory a training run needs. */
export interface MemorySettings {
  precision: Precision;
  batchSize: number;
  accumulation: number;
  sequence: number;
  rank: number;
  /** Gradient checkpointing of every block. */
  checkpointing: boolean;
  optimizer: Optimizer;
  /** Quantises a base that is stored plainly; undefined where it stays as it is. */
  base?: "use_8bit" | "use_4bit" | undefined;
}

type Change = Partial<MemorySettings>;

const SHORTEST_SEQUENCE = 32;

/** Half of a number, half of that and so on. */
function halves(from: number, least: number): number[] {
  const list: number[] = [];
  for (let n = Math.floor(from / 2); n >= least; n = Math.floor(n / 2)) list.push(n);
  return list;
}

/** Batches of at most `n` texts, with as many texts in a step as before. */
function smallerBatch({ batchSize, accumulation }: MemorySettings, n: number): Change {
  return { batchSize: n, accumulation: Math.ceil((accumulation * batchSize) / n) };
}

const FLAGS: Record<Exclude<keyof MemorySettings, "base">, string> = {
  precision: "precision",
  batchSize: "per_device_train_batch_size",
  accumulation: "gradient_accumulation_steps",
  sequence: "max_seq_length",
  rank: "lora_r",
  checkpointing: "gradient_checkpointing",
  optimizer: "optim",
};

function asFlags(settings: MemorySettings, change: Change): string {
  const flags = (Object.keys(FLAGS) as (keyof typeof FLAGS)[])
    .filter((key) => change[key] !== undefined && change[key] !== settings[key])
    .map((key) => (change[key] === true ? `--${FLAGS[key]}` : `--${FLAGS[key]} ${change[key]}`));
  return [...(change.base === undefined ? [] : [`--${change.base}`]), ...flags].join(" ");
}

/**
 * Settings that may be changed, each from the slightest change to the largest, in the order in which single changes are
 * named.
 */
function waysOf(settings: MemorySettings, fixed: Fixed) {
  const { batchSize, sequence, rank } = settings;
  // A quantised base is computed with in bf16 unless something else is asked for.
  const format: Change = settings.precision === "fp32" ? { precision: "bf16" } : {};
  const bases = fixed.base || settings.base ? [] : (["use_8bit", "use_4bit"] as const);
  return {
    again: settings.checkpointing ? [] : [{ checkpointing: true }],
    batches: halves(batchSize, 1).map((n) => smallerBatch(settings, n)),
    lengths: halves(sequence, SHORTEST_SEQUENCE).map((n): Change => ({ sequence: n })),
    formats: settings.precision === "fp32" ? [format] : [],
    optimizers: settings.optimizer === "adamw" ? [{ optimizer: "adamw_8bit" as const }] : [],
    bases: bases.map((base): Change => ({ base, ...format })),
    ranks: fixed.rank ? [] : halves(rank, 1).map((n): Change => ({ rank: n })),
  } satisfies Record<string, Change[]>;
}

const joined = (changes: readonly Change[]): Change => Object.assign({}, ...changes);

/** Without the changes that are not needed beside the others. */
function needed(changes: Change[], fits: (change: Change) => boolean): Change[] {
  return changes.reduceRight<Change[]>((kept, change) => {
    const others = kept.filter((one) => one !== change);
    return fits(joined(others)) ? others : kept;
  }, changes);
}

/** Settings that the user cannot choose. */
export interface Fixed {
  rank: boolean;
  /** Whether the base may not be quantised. */
  base: boolean;
}

/**
 * The smallest changes that fit, as flags: of one setting, where that is enough, each way; else of several together, of a
 * base as it is and of a quantised one.
 */
export function proposals(
  settings: MemorySettings,
  fixed: Fixed,
  fits: (changed: MemorySettings) => boolean,
): string[] {
  const tried = new Map<string, boolean>();
  const fitting = (change: Change) => {
    const key = JSON.stringify(Object.entries(change).sort());
    const known = tried.get(key) ?? fits({ ...settings, ...change });
    tried.set(key, known);
    return known;
  };
  const ways = waysOf(settings, fixed);
  const { again, batches, formats, optimizers, bases, lengths, ranks } = ways;
  // A quantised base is computed with in another format, which may be enough alone.
  const lists: Change[][] = formats.some(fitting) ? Object.values({ ...ways, bases: [] }) : Object.values(ways);
  const singles = lists.flatMap((list) => list.find(fitting) ?? []);
  if (singles.length > 0) return singles.map((change) => asFlags(settings, change));

  // The changes with the least effect on the results come first. All of them are tried at once; then the unneeded ones are
  // taken back.
  const small = [...again, ...batches.slice(-1), ...formats];
  const together = (base: Change[]): Change[] => {
    const begin = [...small, ...base];
    const steps: Change[][] = [[], optimizers];
    for (const length of lengths) steps.push([...optimizers, length]);
    for (const rank of ranks) steps.push([...optimizers, ...lengths.slice(-1), rank]);
    const enough = steps.map((step) => [...begin, ...step]).find((changes) => fitting(joined(changes)));
    if (!enough) return [];
    const least = needed(enough, fitting);
    // The largest batch that still fits.
    const rest = least.filter((change) => change !== batches.at(-1));
    const batch = rest.length === least.length ? undefined : batches.find((one) => fitting(joined([...rest, one])));
    return [joined(batch ? [...rest, batch] : least)];
  };
  const quantized = bases.map((base) => together([base])).find((found) => found.length > 0) ?? [];
  const lines = [...together([]), ...quantized].map((change) => asFlags(settings, change));
  return [...new Set(lines)];
}
