import type { Ranks } from "../native/index.js";
import type { RankMetrics } from "./events.js";

/** How long each rank works, and how long it waits for the others, since the last line of metrics. */
export class RankTimes {
  readonly #ranks: Ranks;
  #begin = 0;
  #waitedBefore = 0;
  #steps = 0;
  /** Seconds: forward and backward passes, waiting and sending, whole steps. */
  #work = 0;
  #waiting = 0;
  #total = 0;

  constructor(ranks: Ranks) {
    this.#ranks = ranks;
  }

  async beginStep(): Promise<void> {
    this.#waitedBefore = await this.#ranks.waited();
    this.#begin = performance.now();
  }

  /** This rank's micro-batches are done. */
  worked(): void {
    this.#work += (performance.now() - this.#begin) / 1000;
  }

  async endStep(): Promise<void> {
    this.#total += (performance.now() - this.#begin) / 1000;
    this.#waiting += (await this.#ranks.waited()) - this.#waitedBefore;
    this.#steps++;
  }

  /** Asks all ranks, at the same step. A new interval begins. */
  async metrics(): Promise<RankMetrics> {
    const { rank, size } = this.#ranks;
    const own = new Float64Array(size + 1);
    own[rank] = this.#work / this.#steps;
    own[size] = this.#waiting / this.#total / size;
    this.#work = this.#waiting = this.#total = this.#steps = 0;
    const all = await this.#ranks.sum(own);
    const works = all.subarray(0, size);
    const slowest = works.indexOf(Math.max(...works));
    return { slowest_rank: slowest, slowest_rank_s: works[slowest]!, waiting: all[size]! };
  }
}
