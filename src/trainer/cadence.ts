/** The steps after which something is done: every N steps, at the end of each epoch, or never. */
export type Strategy = "steps" | "epoch" | "no";

export interface Cadence {
  strategy: Strategy;
  /** Steps between two times, of the strategy `steps`. */
  every: number;
}

/** The last step ends an epoch, too. */
export function isDue({ strategy, every }: Cadence, step: number, perEpoch: number, total: number): boolean {
  if (strategy === "no") return false;
  return step === total || step % (strategy === "steps" ? every : perEpoch) === 0;
}
