// A training run from its options: what the command and the library have in common.
import { readFileSync } from "node:fs";
import { LowrankError } from "../../base/errors.js";
import { readEosIds } from "../../data/index.js";
import { cpuInfo } from "../../native/index.js";
import { BestInMemory, modelFlop, SAMPLE, Saver, samples, train, } from "../../trainer/index.js";
import { stopIds } from "../adapter.js";
/** The settings that decide how much memory a run needs. */
export function memorySettings(o, precision, adapter) {
    return {
        precision,
        batchSize: o.per_device_train_batch_size,
        accumulation: o.gradient_accumulation_steps,
        sequence: o.max_seq_length,
        rank: adapter.spec.rank,
        checkpointing: o.gradient_checkpointing,
        optimizer: o.optim,
    };
}
/** Whether the best checkpoint's adapter is the result. */
function loadsBest({ load_best_model_at_end: wanted, eval_strategy, save_strategy }) {
    return wanted ?? (eval_strategy !== "no" && save_strategy !== "no");
}
/** @throws LowrankError E_USAGE naming options that make no sense together */
export function checkRunOptions(o) {
    const needs = [];
    const need = (option, holds, what) => {
        if (!holds)
            needs.push(`${option} needs ${what}`);
    };
    const evaluates = o.eval_strategy !== "no";
    if (o.load_best_model_at_end === true) {
        need("load_best_model_at_end", evaluates, "eval_strategy steps or epoch");
        need("load_best_model_at_end", o.save_strategy !== "no", "save_strategy steps or epoch");
    }
    if (o.early_stopping_patience !== undefined)
        need("early_stopping_patience", evaluates, "eval_strategy steps or epoch");
    if (needs.length > 0)
        throw new LowrankError("E_USAGE", `${needs.join("; ")}.`);
}
/** The most memory that the process has had resident. */
function peakMemory() {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
    return Number(found?.[1] ?? process.resourceUsage().maxRSS) * 1024;
}
/** @param work with an engine that holds what the run begins with */
export async function trainPrepared(o, prepared, work) {
    const result = await trainEngine(o, prepared, work);
    const memory = { peak_memory_bytes: peakMemory(), planned_memory_bytes: prepared.plan.memory.totalBytes };
    return { ...result, summary: { ...result.summary, ...memory } };
}
async function trainEngine(o, prepared, work) {
    const { model, adapter, texts, resumption, settings } = prepared;
    const { tokenizer, training, validation } = texts;
    const { engine, report } = work;
    const limit = o.save_total_limit === 0 ? null : o.save_total_limit;
    const identity = { settings, cpu: cpuInfo().isa };
    const keeper = o.output_dir === undefined
        ? new BestInMemory(engine, report)
        : new Saver({
            ...{ engine, model, tokenizer, adapter, report, limit, identity, signal: work.signal },
            folder: o.output_dir,
            texts: { training: training.counts, validation: validation.counts },
            metric: o.metric_for_best_model,
            resume: resumption ?? undefined,
        });
    return train({
        ...work,
        modelFlop: modelFlop(model, adapter.spec),
        training,
        validation,
        batchSize: o.per_device_train_batch_size,
        evalBatchSize: o.per_device_eval_batch_size,
        accumulation: o.gradient_accumulation_steps,
        epochs: o.num_train_epochs,
        maxSteps: o.max_steps,
        learningRate: o.learning_rate,
        scheduler: o.lr_scheduler,
        warmupRatio: o.warmup_ratio,
        warmupSteps: o.warmup_steps,
        weightDecay: o.weight_decay,
        maxGradNorm: o.max_grad_norm,
        lossScaling: settings.precision === "fp16" ? { initial: o.loss_scale, window: o.loss_scale_window } : undefined,
        shuffle: o.shuffle,
        groupByLength: o.group_by_length,
        seed: o.seed,
        loggingSteps: o.logging_steps,
        evaluating: { strategy: o.eval_strategy, every: o.eval_steps },
        saving: { strategy: o.save_strategy, every: o.save_steps },
        metric: o.metric_for_best_model,
        earlyStopping: o.early_stopping_patience === undefined
            ? undefined
            : { patience: o.early_stopping_patience, threshold: o.early_stopping_threshold },
        loadBest: loadsBest(o),
        resume: resumption?.state,
        saver: keeper,
    });
}
/** What the trained model writes after the beginnings of some validation texts, as events. */
export function trainedSamples(o, { model, texts, plan }, engine, signal) {
    const { tokenizer, validation } = texts;
    const items = Array.from({ length: Math.min(o.num_samples, validation.length) }, (_, i) => i);
    const prompts = items.map((item) => validation.beginning(item, SAMPLE.promptTokens));
    // Not more than there is a cache for.
    const { maxSequence, cacheTokens = maxSequence } = plan.engine;
    const ends = stopIds(readEosIds(model.folder), tokenizer);
    return samples(engine, tokenizer, {
        prompts,
        seed: o.seed,
        maxNewTokens: o.sample_max_new_tokens,
        maxSequence: cacheTokens,
        stopIds: ends,
        signal,
    });
}
