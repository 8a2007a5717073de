import { existsSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { fullError, isFull } from "../base/system-errors.js";
import { checkpointFolder, pruneCheckpoints, readAdapter, saveCheckpoint, savedSizes, trainerState, writeAdapter, writeAdapterFiles, writeBareAdapter, writeOptimizerState, writeRunState, writeTrainerState, } from "../checkpoint/index.js";
import { freeTensors } from "../native/index.js";
/** Writes checkpoints and the final adapter, and knows which checkpoint is the best. */
export class Saver {
    #o;
    #history;
    #best;
    #lastFolder;
    /** Whether the last save did. */
    #hasFailed = false;
    #pending = null;
    /** Whether the folder has been seen. */
    #wasThere = false;
    constructor(options) {
        this.#o = options;
        this.#history = [...(options.resume?.history ?? [])];
        this.#best = options.resume?.best ?? null;
        this.#lastFolder = options.resume?.folder ?? null;
    }
    get lastFolder() {
        return this.#lastFolder;
    }
    get best() {
        return this.#best?.metrics ?? null;
    }
    /** Remembers a line of metrics for trainer_state.json. */
    note(metrics) {
        this.#history.push(metrics);
        this.#wasThere ||= existsSync(this.#o.folder);
    }
    /**
     * Copies what is to be saved and writes it while training goes on; one is written at a time, and the last one of a run is
     * waited for. A checkpoint that cannot be written is a warning where the one before it is whole, and where this is not the run's
     * last one; training goes on. The second one in a row is an error: a run must not go far without being saved.
     * @param evaluation of this very step, where there is one
     * @throws LowrankError E_WRITE
     */
    async checkpoint(progress, state, evaluation) {
        await this.settle();
        await this.#noticeRemoval();
        const { step, maxSteps } = progress;
        const { engine, folder: output, identity, signal } = this.#o;
        const isBest = evaluation && !(this.#best && this.#best.metrics.eval_loss <= evaluation.eval_loss);
        const best = isBest ? { metrics: evaluation, folder: checkpointFolder(output, step) } : this.#best;
        const named = best && { step: best.metrics.step, metric: best.metrics[this.#o.metric], folder: best.folder };
        // As they are now: what follows changes them.
        const [adapter, optimizer] = [await this.#adapter(), await engine.optimizerState()];
        const trainer = trainerState({ ...progress, history: [...this.#history], best: named });
        const write = async (within) => {
            await writeAdapterFiles(within, adapter);
            await writeTrainerState(within, trainer);
            await writeOptimizerState(within, optimizer);
            await writeRunState(within, { ...state, best_eval: best?.metrics ?? null, ...identity });
        };
        const outcome = saveCheckpoint(output, step, write)
            .then((folder) => ({ folder }), (error) => ({
            error: fullError(error, checkpointFolder(output, step), this.#sizes(optimizer).checkpoint),
        }))
            .finally(() => freeTensors(adapter.tensors, ...("m" in optimizer ? [optimizer.m, optimizer.v] : [])));
        const pending = { progress, best, outcome, isDone: false };
        void outcome.then(() => {
            pending.isDone = true;
        });
        this.#pending = pending;
        if (step === maxSteps || signal?.aborted)
            await this.settle();
    }
    async collect() {
        if (this.#pending?.isDone)
            await this.settle();
    }
    async settle() {
        const pending = this.#pending;
        if (!pending)
            return;
        this.#pending = null;
        const result = await pending.outcome;
        if ("error" in result)
            return this.#goOnWithout(result.error, pending.progress);
        this.#lastFolder = result.folder;
        this.#hasFailed = false;
        this.#best = pending.best;
        const { step } = pending.progress;
        await this.#o.report({ type: "checkpoint", step, folder: result.folder, removed: await this.#prune() });
    }
    async #goOnWithout(error, { step, maxSteps }) {
        const isAllowed = this.#lastFolder !== null && !this.#hasFailed && step < maxSteps && !this.#o.signal?.aborted;
        if (!(error instanceof LowrankError) || error.code !== "E_WRITE" || !isAllowed)
            throw await this.#endOf(error);
        this.#hasFailed = true;
        const message = `${error.message} Training goes on without this checkpoint; the last whole one is ${this.#lastFolder}.`;
        await this.#o.report({ type: "warning", message });
    }
    #sizes(state) {
        const { model, tokenizer, adapter } = this.#o;
        return savedSizes(model, adapter.spec, state && "moments" in state ? "adamw_8bit" : "adamw", tokenizer);
    }
    /** Of a full disk that ends the run: what is small may still fit. @returns the error, with what was saved and how to go on */
    async #endOf(error) {
        if (!isFull(error))
            return error;
        const { folder } = this.#o;
        const saved = await this.#saveBare();
        const adapter = saved
            ? `The adapter as it is now was saved in ${folder}, without tokenizer and optimizer state.`
            : "The adapter alone could not be saved either.";
        const goOn = this.#lastFolder === null
            ? "There is no whole checkpoint to go on from."
            : `With room on the disk, --resume goes on from ${this.#lastFolder}.`;
        return new LowrankError("E_WRITE", `${error.message} ${adapter} ${goOn}`, error.where, { cause: error.cause });
    }
    /** @returns whether it succeeded; an earlier adapter stays where it did not */
    async #saveBare() {
        try {
            const adapter = await this.#adapter();
            // Another error may have ended the run.
            if (![...adapter.tensors.values()].every(({ data }) => data.every(Number.isFinite)))
                return false;
            await writeBareAdapter(this.#o.folder, adapter).finally(() => freeTensors(adapter.tensors));
            return true;
        }
        catch {
            return false;
        }
    }
    /** What cannot be removed takes up space only. @returns the folders removed */
    async #prune() {
        const { folder, limit, report } = this.#o;
        try {
            return await pruneCheckpoints(folder, limit, this.#best ? [this.#best.folder] : []);
        }
        catch (error) {
            if (!(error instanceof LowrankError))
                throw error;
            await report({ type: "warning", message: `Old checkpoints could not be removed: ${error.message}` });
            return [];
        }
    }
    /** Puts the best checkpoint's adapter back into the engine, if it is not there now. @returns its evaluation, if any */
    async restoreBest() {
        if (!this.#best)
            return null;
        const { metrics, folder } = this.#best;
        const { engine, model, report } = this.#o;
        if (folder !== this.#lastFolder && !existsSync(folder)) {
            const message = `The best checkpoint, ${folder}, was removed: the adapter of the last step is kept.`;
            await report({ type: "warning", message });
            return null;
        }
        if (folder !== this.#lastFolder)
            await engine.setAdapter(readAdapter(folder, model).tensors);
        await report({ type: "best", step: metrics.step, eval_loss: metrics.eval_loss, folder });
        return metrics;
    }
    async finish() {
        await this.#noticeRemoval();
        const adapter = await this.#adapter();
        try {
            await writeAdapter(this.#o.folder, adapter);
        }
        catch (error) {
            throw await this.#endOf(fullError(error, this.#o.folder, this.#sizes().adapter));
        }
        finally {
            freeTensors(adapter.tensors);
        }
        // A run that was killed right after its last checkpoint, and goes on with nothing left to do, has not removed old ones.
        await this.#prune();
    }
    /** Whoever removes the folder of a run that goes on has its files written anew, and is told. */
    async #noticeRemoval() {
        const { folder, report } = this.#o;
        const isThere = existsSync(folder);
        if (isThere || !this.#wasThere) {
            this.#wasThere ||= isThere;
            return;
        }
        const message = `${folder} was removed while the run goes on: it is made anew, without what was in it.`;
        await report({ type: "warning", message });
    }
    async #adapter() {
        const { engine, model, tokenizer, adapter, texts, identity } = this.#o;
        const run = { ...texts, settings: identity.settings, history: [...this.#history] };
        return { ...adapter, tensors: await engine.adapter(), baseModel: model.folder, run, tokenizer };
    }
}
