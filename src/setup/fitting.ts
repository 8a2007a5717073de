import type { Optimizer, Precision } from "../engine.js";

/** Settings that decide how much memory a training run needs. */
export interface Settings {
  precision: Precision;
  batchSize: number;
  accumulation: number;
  sequence: number;
  rank: number;
  /** Gradient checkpointing of every block. */
  checkpointing: boolean;
  optimizer: Optimizer;
}

type Change = Partial<Settings>;

const SHORTEST_SEQUENCE = 32;

/** Half of a number, half of that and so on. */
function halves(from: number, least: number): number[] {
  const list: number[] = [];
  for (let n = Math.floor(from / 2); n >= least; n = Math.floor(n / 2)) list.push(n);
  return list;
}

/** Batches of at most `n` texts, with as many texts in a step as before. */
function smallerBatch({ batchSize, accumulation }: Settings, n: number): Change {
  return { batchSize: n, accumulation: Math.ceil((accumulation * batchSize) / n) };
}

const FLAGS: Record<keyof Settings, string> = {
  precision: "precision",
  batchSize: "per_device_train_batch_size",
  accumulation: "gradient_accumulation_steps",
  sequence: "max_seq_length",
  rank: "lora_r",
  checkpointing: "gradient_checkpointing",
  optimizer: "optim",
};

function asFlags(settings: Settings, change: Change): string {
  return (Object.keys(FLAGS) as (keyof Settings)[])
    .filter((key) => change[key] !== undefined && change[key] !== settings[key])
    .map((key) => (change[key] === true ? `--${FLAGS[key]}` : `--${FLAGS[key]} ${change[key]}`))
    .join(" ");
}

/**
 * The smallest changes that fit, as flags: of one setting, where that is enough, each way; else of several together.
 * @param fixedRank whether the rank is not the user's to choose
 */
export function proposals(settings: Settings, fixedRank: boolean, fits: (changed: Settings) => boolean): string[] {
  const { batchSize, sequence, rank } = settings;
  const batches = halves(batchSize, 1).map((n) => smallerBatch(settings, n));
  const lengths = halves(sequence, SHORTEST_SEQUENCE).map((n): Change => ({ sequence: n }));
  const formats: Change[] = settings.precision === "fp32" ? [{ precision: "bf16" }] : [];
  const ranks = fixedRank ? [] : halves(rank, 1).map((n): Change => ({ rank: n }));
  const again: Change[] = settings.checkpointing ? [] : [{ checkpointing: true }];
  const first = (list: Change[]) => list.find((change) => fits({ ...settings, ...change }));
  const singles = [again, batches, lengths, formats, ranks].flatMap((list) => first(list) ?? []);
  if (singles.length > 0) return singles.map((change) => asFlags(settings, change));

  const small: Change = { ...again[0], ...formats[0], ...batches.at(-1) };
  const both = [{}, ...ranks].flatMap((r) => [{}, ...lengths].map((length): Change => ({ ...small, ...r, ...length })));
  const together = first(both);
  return together ? [asFlags(settings, together)] : [];
}
