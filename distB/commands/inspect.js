import { bytes, table } from "../base/text.js";
import { isAdapterFolder } from "../checkpoint/index.js";
import { candidateTargets, modelDtype } from "../model/index.js";
import { cpuInfo } from "../native/index.js";
import { choosePrecision, initialAdapter, threadCount } from "../setup/adapter.js";
import { openBase } from "../setup/base.js";
import { memoryLimits } from "../setup/memory/limits.js";
import { Planner, parameterCounts, samplesOf, trainableLine, USUAL_SAMPLES } from "../setup/memory/plan.js";
import { memoryTable, tightest } from "../setup/memory/room.js";
import { warnOfIds } from "../setup/texts.js";
import { inspectAdapter } from "./inspect-adapter.js";
import { warn } from "./warn.js";
const ADAPTER = { lora_alpha: 1, lora_dropout: 0, use_rslora: false, init_adapter: undefined, seed: 0 };
/** `lowrank inspect`: what a model is, and what training it would need. */
export async function run(o) {
    if (isAdapterFolder(o.base_model))
        return inspectAdapter(o.base_model, o.json);
    const model = openBase(o, warn);
    await warnOfIds(model, warn);
    const { spec } = initialAdapter({ ...ADAPTER, ...o }, new Set(), model);
    const precision = choosePrecision(o.precision, model);
    const limits = memoryLimits(o.memory_limit);
    const settings = {
        precision,
        batchSize: o.per_device_train_batch_size,
        accumulation: 1,
        sequence: o.max_seq_length,
        rank: spec.rank,
        checkpointing: o.gradient_checkpointing,
        optimizer: o.optim,
    };
    const planner = new Planner(model, spec, threadCount(o.threads, warn), o.base_model, samplesOf(USUAL_SAMPLES, true));
    const { memory } = planner.plan(settings, o.share_weights ? undefined : limits);
    const counts = parameterCounts(model, spec);
    const dtype = modelDtype(model);
    const targets = candidateTargets(model);
    const available = tightest(memory, limits);
    const { isa } = cpuInfo();
    if (o.json) {
        const { config } = model;
        const parameters = { base: counts.all - counts.trainable, trainable: counts.trainable };
        const found = { folder: model.folder, config, dtype, parameters, target_modules: targets, precision, memory };
        process.stdout.write(`${JSON.stringify({ ...found, available_bytes: available.bytes, isa })}\n`);
        return;
    }
    const architecture = Object.entries(model.config)
        .filter(([, value]) => value !== null)
        .map(([name, value]) => [
        name,
        typeof value === "object" ? JSON.stringify(value) : String(value),
    ]);
    const training = `Training with --precision ${precision} --lora_r ${o.lora_r} --max_seq_length ${o.max_seq_length} ` +
        `--per_device_train_batch_size ${o.per_device_train_batch_size}${o.gradient_checkpointing ? " --gradient_checkpointing" : ""}`;
    const text = [
        `Model: ${model.folder}`,
        table([...architecture, ["dtype", dtype], ["tensors", String(model.tensors.length)]]),
        `Modules for --target_modules: ${targets.join(", ")} (or all-linear)`,
        "",
        training,
        trainableLine(counts),
        memoryTable(memory),
        `${bytes(available.bytes)} are ${available.of}; instruction set ${isa}`,
    ];
    process.stdout.write(`${text.join("\n")}\n`);
}
