/** For runs that write nothing. */
export class BestInMemory {
    lastFolder = null;
    #engine;
    #report;
    #best = null;
    constructor(engine, report) {
        this.#engine = engine;
        this.#report = report;
    }
    get best() {
        return this.#best?.metrics ?? null;
    }
    note() { }
    async checkpoint(_, __, evaluation) {
        if (!evaluation || (this.#best && this.#best.metrics.eval_loss <= evaluation.eval_loss))
            return;
        this.#best = { metrics: evaluation, adapter: await this.#engine.adapter() };
    }
    async collect() { }
    async settle() { }
    async restoreBest() {
        if (!this.#best)
            return null;
        const { metrics, adapter } = this.#best;
        await this.#engine.setAdapter(adapter);
        await this.#report({ type: "best", step: metrics.step, eval_loss: metrics.eval_loss, folder: null });
        return metrics;
    }
    async finish() { }
}
