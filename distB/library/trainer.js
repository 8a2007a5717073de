import { LowrankError } from "../base/errors.js";
import { writeAdapter } from "../checkpoint/index.js";
import { Engine } from "../native/index.js";
import { parameterCounts } from "../setup/memory/plan.js";
import { RunFolder } from "../setup/run/folder.js";
import { beginWith, planRun, prepareRun, warnOf } from "../setup/run/prepare.js";
import { checkRunOptions, trainedSamples, trainPrepared } from "../setup/run/train.js";
import { readTrainingTexts, tellEnd } from "../setup/texts.js";
import { evaluateModel } from "../trainer/index.js";
import { checkPath, runOptions, trainerEvaluateOptions, trainerGenerateOptions } from "./arguments.js";
import { channel } from "./channel.js";
import { checkModel, register } from "./model.js";
import { checkOptions } from "./options.js";
import { Gate } from "./state.js";
import { continuation, readRequest } from "./text.js";
/** Fine-tunes an adapter on a model, on a native thread of its own. */
export class Trainer {
    #model;
    #options;
    #prepared;
    #engine;
    #folder;
    #warnings;
    #samples;
    #unregister;
    #gate = new Gate();
    /** Ends a run: after the step in progress, and after the micro-batch in progress. */
    #stop = new AbortController();
    #abort = new AbortController();
    #running = Promise.resolve();
    #closing;
    constructor(model, parts) {
        this.#model = model;
        this.#options = parts.options;
        this.#prepared = parts.prepared;
        this.#engine = parts.engine;
        this.#folder = parts.folder;
        this.#warnings = parts.warnings;
        this.#samples = parts.samples;
        this.#unregister = register(model, this, "Trainer.create");
    }
    /**
     * Reads and tokenises the texts, plans the memory and takes it. Nothing is written to `output_dir` before the first step.
     * @throws LowrankError E_USAGE, E_MEMORY, E_OUTPUT_EXISTS and those of reading
     */
    static async create(model, given) {
        checkModel(model, "Trainer.create");
        const checked = checkOptions(given);
        const { options } = checked;
        checkRunOptions(options);
        const { output_dir: output } = options;
        const inputs = [model.folder, options.init_adapter];
        const folder = output === undefined ? null : new RunFolder({ ...options, output_dir: output }, inputs);
        folder?.check();
        const warnings = [];
        const warn = (message) => warnings.push(message);
        const { source, precision, threads, sharesWeights } = model;
        const base = { model: source, precision, threads, tokenizer: null, sharesWeights, samplesOnly: false };
        const plan = planRun(options, checked.given, base);
        plan.checkMemory();
        warnOf(options, plan, warn);
        tellEnd(options, model.tokenizer, { info: () => { }, warn });
        let engine;
        try {
            // From here on no other run may change the checkpoints.
            const resumption = (await folder?.findCheckpoint(warn)) ?? null;
            const from = { ...options, threads, train_file: checked.train, validation_file: checked.validation };
            const texts = await readTrainingTexts(from, model.tokenizer, source.config.vocabSize, { warn });
            const prepared = prepareRun(options, plan, texts, resumption, warn);
            engine = await Engine.create(source, plan.adapter.spec, plan.plan.engine);
            await beginWith(engine, prepared);
            return new Trainer(model, { options, prepared, engine, folder, warnings, samples: checked.samples });
        }
        catch (error) {
            await engine?.close();
            folder?.release();
            throw error;
        }
    }
    get state() {
        return this.#gate.state;
    }
    /** What it takes of the memory, item by item. */
    get memory() {
        return this.#prepared.plan.memory;
    }
    get parameters() {
        return parameterCounts(this.#prepared.model, this.#prepared.adapter.spec);
    }
    /**
     * Trains, once. The run goes on when the next event is asked for: while one is handled, the trainer is free for its other
     * methods. Leaving the loop ends the run after the micro-batch in progress.
     * @param signal ends it after the micro-batch in progress, with the signal's reason; nothing is saved
     * @throws LowrankError E_NAN and others of the run; E_BUSY, E_STATE, E_BROKEN, E_CLOSED
     */
    async *run(options = {}) {
        const { signal } = runOptions(options);
        this.#gate.beginRun();
        const leave = new AbortController();
        const abort = AbortSignal.any([this.#abort.signal, leave.signal, ...(signal ? [signal] : [])]);
        const task = async (put) => {
            abort.throwIfAborted();
            for (const message of this.#warnings.splice(0))
                await put({ type: "warning", message });
            const work = { engine: this.#engine, report: put, signal: this.#stop.signal, abort, begin: () => this.#begin() };
            const result = await trainPrepared(this.#options, this.#prepared, work);
            if (this.#samples && !result.aborted) {
                const signals = AbortSignal.any([this.#stop.signal, abort]);
                for await (const event of trainedSamples(this.#options, this.#prepared, this.#engine, signals)) {
                    abort.throwIfAborted();
                    await put(event);
                }
                abort.throwIfAborted();
            }
            await put({ type: "end", ...result });
        };
        const hooks = {
            taken: () => this.#gate.pause(),
            asked: () => this.#gate.resume(),
            left: () => {
                this.#gate.leave();
                leave.abort(new Error("the reader has left"));
            },
        };
        let settle = () => { };
        this.#running = new Promise((resolve) => {
            settle = resolve;
        });
        let isBroken = false;
        try {
            yield* channel(task, hooks);
        }
        catch (error) {
            isBroken = !(abort.aborted && error === abort.reason);
            throw error;
        }
        finally {
            this.#gate.endRun(isBroken);
            this.#folder?.release();
            settle();
        }
    }
    async #begin() {
        await this.#folder?.begin(this.#prepared.resumption);
    }
    /** Lets the run finish the step in progress, save and end; its `end` event says `aborted`. */
    stop() {
        this.#stop.abort();
    }
    /**
     * The text that follows a prompt, by the model with the adapter as it is now. With `wait` it begins as soon as no step and no
     * other call is in progress, and a run stands still until the text has its end or its reader has left.
     */
    async *generate(prompt, options = {}) {
        const { wait, ...wanted } = trainerGenerateOptions(options);
        const leave = wait ? await this.#gate.enterLater("generate", wanted.signal) : this.#gate.enter("generate");
        if (!leave)
            return;
        try {
            const { maxSequence } = this.#prepared.plan.engine;
            const read = await readRequest(prompt, wanted, this.#model.tokenizer, maxSequence, "the trainer's longest sequence");
            yield* continuation(this.#engine, this.#model.tokenizer, this.#model.folder, read);
        }
        finally {
            leave();
        }
    }
    /** Loss and perplexity on the validation texts, with the adapter as it is now. */
    async evaluate(options = {}) {
        const { signal } = trainerEvaluateOptions(options);
        return this.#use("evaluate", async () => {
            const { validation } = this.#prepared.texts;
            const batchSize = this.#options.per_device_eval_batch_size;
            return (await evaluateModel(this.#engine, validation, { batchSize, abort: signal }));
        });
    }
    /** A copy of the adapter as it is now. */
    adapter() {
        return this.#use("adapter", async () => {
            const { spec, targets } = this.#prepared.adapter;
            return { folder: this.#options.output_dir ?? "", spec, targets, tensors: await this.#engine.adapter() };
        });
    }
    /** Writes the adapter as it is now, in PEFT's layout, and the tokenizer beside it. @throws LowrankError E_WRITE */
    async save(folder) {
        checkPath(folder, "trainer.save", "the adapter's folder");
        return this.#use("save", async () => {
            const { spec, targets } = this.#prepared.adapter;
            const tensors = await this.#engine.adapter();
            const { folder: baseModel, tokenizer } = this.#model;
            await writeAdapter(folder, { tensors, spec, targets, baseModel, tokenizer });
        });
    }
    async #use(method, work) {
        const leave = this.#gate.enter(method);
        try {
            return await work();
        }
        finally {
            leave();
        }
    }
    /** Ends what is in progress and frees the memory. May be called at any time, also twice. */
    close() {
        this.#closing ??= this.#close();
        return this.#closing;
    }
    async #close() {
        const wasPaused = this.#gate.isWithReader;
        this.#gate.close();
        this.#abort.abort(new LowrankError("E_CLOSED", "run: the trainer was closed."));
        // A run whose reader is between two events ends when the reader comes back, which may be never.
        if (!wasPaused)
            await this.#running;
        await this.#engine.close();
        this.#folder?.release();
        this.#unregister();
    }
    async [Symbol.asyncDispose]() {
        await this.close();
    }
}
