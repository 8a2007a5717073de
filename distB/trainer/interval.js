/** What happened since the last line of metrics. */
export class Interval {
    #losses;
    #steps;
    #tokens;
    #flop;
    /** Of work before the pause in progress, if any. */
    #milliseconds;
    #since = performance.now();
    constructor(begun = { losses: 0, steps: 0, tokens: 0, flop: 0, milliseconds: 0 }) {
        this.#losses = begun.losses;
        this.#steps = begun.steps;
        this.#tokens = begun.tokens;
        this.#flop = begun.flop;
        this.#milliseconds = begun.milliseconds;
    }
    /** While paused. */
    get state() {
        const [losses, steps, tokens] = [this.#losses, this.#steps, this.#tokens];
        return { losses, steps, tokens, flop: this.#flop, milliseconds: this.#milliseconds };
    }
    /** A loss that is no number, of a step that fp16 skips, is not part of the mean. */
    add(loss, tokens, flop) {
        if (Number.isFinite(loss)) {
            this.#losses += loss;
            this.#steps++;
        }
        this.#tokens += tokens;
        this.#flop += flop;
    }
    /** Stops the clock, as while evaluating and saving. */
    pause() {
        this.#milliseconds += performance.now() - this.#since;
    }
    resume() {
        this.#since = performance.now();
    }
    /** FLOP/s so far. */
    get rate() {
        return this.#flop / this.#seconds;
    }
    /** Tokens a second so far. */
    get speed() {
        return this.#tokens / this.#seconds;
    }
    get #seconds() {
        return (this.#milliseconds + performance.now() - this.#since) / 1000;
    }
    /** The line for this step; the interval goes on. @param peak FLOP/s of a product at its best */
    line(about, peak) {
        const seconds = this.#seconds;
        const { step, epoch, ...rest } = about;
        const speed = { tokens_per_s: this.#tokens / seconds, mfu: this.#flop / seconds / peak };
        return { step, epoch, loss: this.#losses / this.#steps, ...rest, ...speed };
    }
    /** The line for this step; a new interval begins. */
    metrics(...about) {
        const line = this.line(...about);
        this.#losses = this.#steps = this.#tokens = this.#flop = this.#milliseconds = 0;
        this.#since = performance.now();
        return line;
    }
}
