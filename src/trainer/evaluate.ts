import { LowrankError } from "../base/errors.js";
import { type AdapterEngine, ALONE, type Ranks } from "../native/index.js";
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
  /** Ranks that share the batches, and have one result: the bits of one process. */
  ranks?: Ranks | undefined;
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
  const { batchSize, signal, abort, onProgress, ranks = ALONE } = options;
  const parts = [...batches(positions(dataset), batchSize)];
  const width = dataset.classifier?.labels.length ?? 0;
  // One number a batch, and the logits of its texts: each rank fills in its own.
  const losses = new Float64Array(parts.length);
  const logits = new Float64Array(dataset.length * width);
  const labels: Float32Array[] = [];
  let count = 0;
  let isStopped = false;
  for (const [i, part] of parts.entries()) {
    isStopped ||= signal?.aborted === true;
    if (isStopped) break;
    const { batch, supervisedTokens } = dataset.batch(part);
    count += supervisedTokens;
    if (dataset.classifier) labels.push(...batch.sequences.map((text) => text.labels!));
    if (i % ranks.size !== ranks.rank) continue;
    if (dataset.classifier) {
      const found = await engine.classify(batch);
      logits.set(found.logits, i * batchSize * width);
      losses[i] = found.loss;
    } else losses[i] = await engine.evaluate(batch);
    abort?.throwIfAborted();
    await onProgress?.(i + 1, parts.length);
  }
  const [stopped, ...sums] = await ranks.sum([Number(isStopped), ...losses]);
  if (stopped! > 0) return null;
  const eval_loss = sums.reduce((sum, loss) => sum + loss, 0) / count;
  if (!dataset.classifier) return { eval_loss, eval_perplexity: Math.exp(eval_loss) };
  const predictions = new Predictions(dataset.classifier);
  const all = Float32Array.from(await ranks.sum(logits));
  for (const [i, those] of labels.entries()) predictions.add(all.subarray(i * width, (i + 1) * width), those);
  return { eval_loss, ...predictions.metrics() };
}
