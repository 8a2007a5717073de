// Lengths of texts in a few numbers.

export interface Lengths {
  tokens: number;
  shortest: number;
  median: number;
  longest_of_95_percent: number;
  longest: number;
}

/** @param sorted lengths, the smallest first */
export function lengthsOf(sorted: Int32Array): Lengths {
  const quantile = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return {
    tokens: sorted.reduce((sum, length) => sum + length, 0),
    shortest: sorted[0] ?? 0,
    median: quantile(0.5),
    longest_of_95_percent: quantile(0.95),
    longest: sorted.at(-1) ?? 0,
  };
}
