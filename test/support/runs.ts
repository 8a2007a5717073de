import type { Line } from "../../src/report/facts.js";

/** Lines of a long run, with one outlier up and one down. @param seed another one is another run */
export function longRun(steps: number, seed = 0): Line[] {
  const noise = (i: number) => Math.sin(i * 12.9898 + seed) * 0.2;
  const spread = 500 * (1 + seed);
  return Array.from({ length: steps }, (_, i): Line => {
    const loss = i === 7777 ? 9 : i === 15_555 ? 0.5 : 2 + 2 / (1 + i / spread) + noise(i);
    const speed = { learning_rate: 3e-4 * (1 - i / steps), tokens_per_s: 3000 + 500 * noise(i + 1) };
    return { step: i + 1, epoch: i / 1000, loss, grad_norm: 1 + noise(i), ...speed };
  });
}
