/** Metrics that a run can be judged by; smaller is better. */
export const METRICS = ["eval_loss", "eval_perplexity"];
/** Ends a run that gets no better, by the rules of transformers' `EarlyStoppingCallback`. */
export class EarlyStopping {
    #options;
    #best;
    #waited;
    constructor(options, begun = { best: null, waited: 0 }) {
        this.#options = options;
        this.#best = begun.best;
        this.#waited = begun.waited;
    }
    get state() {
        return { best: this.#best, waited: this.#waited };
    }
    note(metric) {
        const best = this.#best;
        const improved = best === null || (metric < best && best - metric > this.#options.threshold);
        this.#waited = improved ? 0 : this.#waited + 1;
        // The best is the best, however little better it is.
        if (best === null || metric < best)
            this.#best = metric;
    }
    get isOver() {
        return this.#waited >= this.#options.patience;
    }
}
