import { LowrankError } from "../base/errors.js";
import type { AdapterEngine, Batch } from "../native/index.js";
import { type ClassificationMetrics, Predictions } from "./classification.js";
import { batches, type Dataset, positions } from "./windows.js";

export interface Evaluation extends ClassificationMetrics {
  eval_loss: number;
  /** Of a language model. */
  eval_perplexity?: number | undefined;
}

export interface EvaluateOptions {
  batchSize: number;
  signal?: AbortSignal | undefined;
  /** Ends it with the signal's reason. */
  abort?: AbortSignal | undefined;
  onProgress?: (done: number, total: number) => void | Promise<void>;
}

/** The same for a model that is not being trained. @throws LowrankError E_TENSOR_VALUE, E_NAN where the loss is no number */
export async function evaluateModel(
  engine: AdapterEngine,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Evaluation | null> {
  const found = await evaluate(engine, dataset, options);
  if (!found || Number.isFinite(found.eval_loss)) return found;
  await engine.checkWeights();
  throw new LowrankError(
    "E_NAN",
    `The evaluation loss is ${found.eval_loss}, though the base's weights are numbers: the adapter had diverged, or its base is another. Try --precision fp32.`,
  );
}

/**
 * Mean token loss over a data set, and its exponential; of classified texts the mean loss of the labels, and metrics.
 * @returns null where the signal was raised before the end
 */
export async function evaluate(
  engine: AdapterEngine,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Evaluation | null> {
  const { batchSize, signal, abort, onProgress } = options;
  const total = Math.ceil(dataset.length / batchSize);
  let loss = 0;
  let count = 0;
  let done = 0;
  const predictions = dataset.classifier && new Predictions(dataset.classifier);
  for (const part of batches(positions(dataset), batchSize)) {
    if (signal?.aborted) return null;
    const { batch, supervisedTokens } = dataset.batch(part);
    if (predictions) loss += await predict(engine, batch, predictions);
    else loss += await engine.evaluate(batch);
    count += supervisedTokens;
    abort?.throwIfAborted();
    await onProgress?.(++done, total);
  }
  if (predictions) return { eval_loss: loss / count, ...predictions.metrics() };
  return { eval_loss: loss / count, eval_perplexity: Math.exp(loss / count) };
}

/** @returns the sum of the losses */
async function predict(engine: AdapterEngine, batch: Batch, predictions: Predictions): Promise<number> {
  const { logits, loss } = await engine.classify(batch);
  const width = logits.length / batch.sequences.length;
  for (const [i, { labels }] of batch.sequences.entries()) {
    predictions.add(logits.subarray(i * width, (i + 1) * width), labels!);
  }
  return loss;
}
