import type { AdapterEngine } from "../native/index.js";

/** The share of the time that measuring may take. */
const SHARE = 0.01;

/**
 * FLOP/s of a product at its best. The machine's other load changes. So the peak is measured again beside the steps that are compared
 * with it: now and then, and where steps were faster than it. The first step does not wait for it.
 */
export class MatmulPeak {
  readonly #engine: Pick<AdapterEngine, "matmulPeak">;
  #best = 0;
  #milliseconds = 0;
  #end = 0;
  #wasExceeded = false;
  #hasWarned = false;

  constructor(engine: Pick<AdapterEngine, "matmulPeak">) {
    this.#engine = engine;
  }

  get flopPerSecond(): number {
    return this.#best;
  }

  async #measure(): Promise<void> {
    const begin = performance.now();
    this.#best = await this.#engine.matmulPeak(this.#best > 0);
    this.#end = performance.now();
    this.#milliseconds = this.#end - begin;
  }

  /** @param reached FLOP/s of the steps since the last call */
  async keepUp(reached: number): Promise<void> {
    if (this.#best === 0) await this.#measure();
    const isDue = performance.now() - this.#end >= this.#milliseconds / SHARE;
    if (isDue || (reached > this.#best && !this.#wasExceeded)) await this.#measure();
    if (reached > this.#best) this.#wasExceeded = true;
  }

  /** Once, for a share above one: why that can be. */
  warning(share: number): string | null {
    if (share <= 1 || this.#hasWarned) return null;
    this.#hasWarned = true;
    return (
      `mfu is ${Math.round(100 * share)} %: the steps were faster than a product alone whenever that was measured, as where ` +
      "other programs used the processors just then. Losses and tokens/s are right."
    );
  }
}
