import { epochOrder, groupByLength } from "../data/index.js";
/** Position ranges of a batch size over an order; the last may be shorter. */
export function* batches(order, batchSize) {
    for (let at = 0; at < order.length; at += batchSize)
        yield order.subarray(at, at + batchSize);
}
export function positions(dataset) {
    return Int32Array.from({ length: dataset.length }, (_, i) => i);
}
/** The windows of a run in order. An epoch's last window may be smaller. */
export function* windows(dataset, o) {
    const perEpoch = Math.ceil(dataset.length / o.batchSize);
    const stepsPerEpoch = Math.ceil(perEpoch / o.accumulation);
    const all = positions(dataset);
    let step = o.done ?? 0;
    let first = (step % stepsPerEpoch) * o.accumulation;
    for (let epoch = Math.floor(step / stepsPerEpoch);; epoch++, first = 0) {
        const order = epochOrder(all, o.seed, epoch, o.shuffle);
        const ordered = o.groupByLength
            ? groupByLength(order, o.batchSize * o.accumulation, (item) => dataset.tokens(item))
            : order;
        for (let at = first; at < perEpoch; at += o.accumulation) {
            if (step === o.steps)
                return;
            const items = ordered.subarray(at * o.batchSize, (at + o.accumulation) * o.batchSize);
            const microBatches = [...batches(items, o.batchSize)].map((part) => dataset.batch(part));
            const sum = (of) => microBatches.reduce((total, m) => total + of(m), 0);
            yield {
                step: ++step,
                epoch: epoch + (at + microBatches.length) / perEpoch,
                microBatches,
                firstIndex: epoch * perEpoch + at,
                supervisedTokens: sum((m) => m.supervisedTokens),
                tokens: sum((m) => m.tokens),
            };
        }
    }
}
