// The metrics of a run's events under the names that transformers' integrations give them.

/** Numbers of a line of metrics, as `train/loss` and `eval/loss`, and its step. */
export function namedMetrics(metrics: object): { step: number; values: Record<string, number> } {
  const { step, ...rest } = metrics as Record<string, unknown>;
  const numbers = Object.entries(rest).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const values = numbers.map(([name, value]) => [
    name.startsWith("eval_") ? `eval/${name.slice("eval_".length)}` : `train/${name}`,
    value,
  ]);
  return { step: step as number, values: Object.fromEntries(values) };
}

/** The last steps that a tracker has heard of. */
export interface Heard {
  train: number;
  eval: number;
}

/**
 * A run that goes on repeats the lines since its checkpoint, with the same numbers: a line is news if its step is later than
 * the last one of its kind.
 */
export function isNews(metrics: object, heard: Heard): boolean {
  const kind = "eval_loss" in metrics ? "eval" : "train";
  const { step } = metrics as { step: number };
  if (step <= heard[kind]) return false;
  heard[kind] = step;
  return true;
}
