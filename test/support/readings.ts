// Calls of an engine together with the number that they leave with it.
import type { Batch, Engine, OptimizerOptions } from "../../src/native/index.js";

/** Forward and backward; the sum of the token losses. */
export async function trainedLoss(
  engine: Engine,
  batch: Batch,
  lossScale: number,
  rngStream: number,
  adapter?: number,
) {
  await engine.setReadings({ windowLoss: 0 }, adapter);
  await engine.forwardBackward(batch, lossScale, rngStream, { adapter });
  return (await engine.readings(adapter)).windowLoss;
}

/** The optimizer's step; the norm before clipping. */
export async function steppedNorm(engine: Engine, options: OptimizerOptions, adapter?: number) {
  await engine.optimizerStep(options, adapter);
  return (await engine.readings(adapter)).gradNorm;
}
