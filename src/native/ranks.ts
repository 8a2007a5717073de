import type { Engine } from "./engine.js";

/** This process among those that train one adapter together. All make the same calls, in the same order. */
export interface Ranks {
  readonly rank: number;
  readonly size: number;
  /** How the engine sums gradients over the ranks, in words, such as "by NCCL 2.27.3". */
  readonly sums: string;
  /** Each value's sum over the ranks, added in their order: the same bits on all ranks. @throws LowrankError E_GROUP */
  sum(values: readonly number[] | Float64Array): Promise<Float64Array>;
  /** Seconds that this rank has waited for others, since it began. */
  waited(): Promise<number>;
}

/** A process that trains alone. */
export const ALONE: Ranks = {
  rank: 0,
  size: 1,
  sums: "",
  sum: async (values) => Float64Array.from(values),
  waited: async () => 0,
};

/** The ranks of an engine with a group. */
export async function ranksOf(engine: Engine): Promise<Ranks> {
  const { rank, size, sumsOnDevice, aboutSums } = await engine.group();
  const around = aboutSums === "" ? "" : `, from host to host: ${aboutSums}`;
  return {
    rank,
    size,
    sums: sumsOnDevice ? `by ${aboutSums}` : `over MPI${around}`,
    sum: (values) => engine.sumOverRanks(values),
    waited: async () => (await engine.group()).waited,
  };
}
