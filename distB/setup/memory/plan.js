import { count } from "../../base/text.js";
import { trainRows } from "../../config/index.js";
import { PLAIN } from "../../model/index.js";
import { listLinears, planMemory, } from "../../native/index.js";
import { SAMPLE } from "../../trainer/index.js";
import { quantizedSource } from "../base.js";
import { memoryLimits } from "./limits.js";
import { processItems } from "./process.js";
import { proposals } from "./proposals.js";
import { fitsAll, planOf, refusal } from "./room.js";
/**
 * What saving makes of an adapter of so many bytes: copies of it and of both moments on both sides of the addon, and what
 * the allocator keeps of them. Measured over the table of docs/memory.md.
 */
function savingBytes(adapters, optimizer) {
    // Of a large adapter the copies count, and with 8-bit moments they are a little more than half of what they are with f32; of a small
    // one what the allocator keeps.
    const copies = 5 * (optimizer === "adamw" ? adapters : 0.55 * adapters);
    return Math.min(10 * adapters, copies + 22 * 2 ** 20);
}
/** Options of a base that is quantised without more words. */
const AS_PROPOSED = { quant_type: undefined, double_quant: true, quantize_skip: undefined };
/** Whether a base may be quantised while it is loaded. */
function isPlain({ tensors }) {
    return tensors.every(({ dtype, quantize }) => quantize === undefined && PLAIN.includes(dtype));
}
const { num_samples, sample_max_new_tokens } = trainRows;
/** Of a run that asks for no other. */
export const USUAL_SAMPLES = {
    num_samples: num_samples.defaultValue,
    sample_max_new_tokens: sample_max_new_tokens.defaultValue,
};
/** By the options of a run. */
export function samplesOf(o, samplesOnly) {
    return { sampleTokens: o.num_samples === 0 ? 0 : SAMPLE.promptTokens + o.sample_max_new_tokens, samplesOnly };
}
export class Planner {
    #model;
    #adapter;
    #threads;
    #process;
    #quantized = new Map();
    #generation;
    /**
     * @param adapter whose rank the settings decide
     * @param tokenizer folder or file of the tokenizer that is still to be loaded; null where it has been
     */
    constructor(model, adapter, threads, tokenizer, generation = samplesOf(USUAL_SAMPLES, false)) {
        this.#generation = generation;
        this.#process = processItems("training", model, tokenizer);
        this.#model = model;
        this.#adapter = adapter;
        this.#threads = threads;
    }
    /** @param limits where the weights may be copied: they are if the plan keeps within these with them */
    plan(settings, limits) {
        const copying = limits && this.#plan(settings, true);
        return copying && fitsAll(copying.memory, limits) ? copying : this.#plan(settings, false);
    }
    /** The base as settings want it. */
    #source(base) {
        if (base === undefined)
            return this.#model;
        const options = { ...AS_PROPOSED, use_4bit: base === "use_4bit", use_8bit: base === "use_8bit" };
        const source = this.#quantized.get(base) ?? quantizedSource(this.#model, options, () => { });
        this.#quantized.set(base, source);
        return source;
    }
    #plan(settings, copyWeights) {
        const { precision, batchSize, sequence, rank, checkpointing, optimizer } = settings;
        const model = this.#source(settings.base);
        // Samples are written with the same engine after training.
        const sample = Math.min(this.#generation.sampleTokens, this.#model.config.maxPositions);
        const maxSequence = Math.max(sequence, sample);
        const engine = {
            precision,
            threads: this.#threads,
            maxTokens: batchSize * sequence,
            maxSequence,
            cacheTokens: this.#generation.samplesOnly ? sample : maxSequence,
            training: true,
            optimizer,
            checkpointedBlocks: checkpointing ? this.#model.config.layers : 0,
            copyWeights,
        };
        const adapter = { ...this.#adapter, rank };
        const { items } = planMemory(model, adapter, engine);
        const saving = savingBytes(items.find(({ name }) => name === "adapters")?.bytes ?? 0, optimizer);
        const memory = planOf([...items, { name: "saving", bytes: saving }, ...this.#process]);
        return { adapter, engine, memory };
    }
    /**
     * @param fixedRank whether another rank is no way out
     * @throws LowrankError E_MEMORY with the plan and what would fit
     */
    check(plan, settings, fixedRank, limits = memoryLimits()) {
        if (fitsAll(plan.memory, limits))
            return;
        const fixed = { rank: fixedRank, base: !isPlain(this.#model) };
        const ways = proposals(settings, fixed, (s) => fitsAll(this.plan(s).memory, limits));
        const advice = ways.length > 0
            ? `What would fit:\n${ways.map((line) => `  ${line}`).join("\n")}`
            : "No smaller setting would fit: use a smaller model.";
        throw refusal("Training with these settings", plan.memory, limits, advice);
    }
}
export function parameterCounts(model, adapter) {
    const base = model.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    const targets = new Set(adapter?.targets);
    const sizes = listLinears(model).filter(({ name }) => targets.has(name));
    const trainable = sizes.reduce((sum, l) => sum + (adapter?.rank ?? 0) * (l.inFeatures + l.outFeatures), 0);
    return { trainable, all: base + trainable };
}
/** The line of peft's `print_trainable_parameters`. */
export function trainableLine({ trainable, all }) {
    const share = ((100 * trainable) / all).toFixed(4);
    return `trainable params: ${count(trainable)} || all params: ${count(all)} || trainable%: ${share}`;
}
