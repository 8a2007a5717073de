import { LowrankError } from "../base/errors.js";
import { batches, positions } from "./windows.js";
/** The same for a model that is not being trained. @throws LowrankError E_TENSOR_VALUE, E_NAN where the loss is no number */
export async function evaluateModel(engine, dataset, options) {
    const found = await evaluate(engine, dataset, options);
    if (!found || Number.isFinite(found.eval_loss))
        return found;
    await engine.checkWeights();
    throw new LowrankError("E_NAN", `The evaluation loss is ${found.eval_loss}, though the base's weights are numbers: the adapter had diverged, or its base is another. Try --precision fp32.`);
}
/**
 * Mean token loss over a data set, and its exponential.
 * @returns null where the signal was raised before the end
 */
export async function evaluate(engine, dataset, options) {
    const { batchSize, signal, abort, onProgress } = options;
    const total = Math.ceil(dataset.length / batchSize);
    let loss = 0;
    let count = 0;
    let done = 0;
    for (const part of batches(positions(dataset), batchSize)) {
        if (signal?.aborted)
            return null;
        const { batch, supervisedTokens } = dataset.batch(part);
        loss += await engine.evaluate(batch);
        count += supervisedTokens;
        abort?.throwIfAborted();
        await onProgress?.(++done, total);
    }
    return { eval_loss: loss / count, eval_perplexity: Math.exp(loss / count) };
}
