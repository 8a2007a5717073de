import { initialAdapter } from "../adapter.js";
import { memoryLimits } from "../memory/limits.js";
import { Planner, samplesOf } from "../memory/plan.js";
import { mappedWarning } from "../memory/room.js";
import { diskNeed, diskWarning, roomFor } from "./disk-space.js";
import { identityOf } from "./identity.js";
import { checkAgreement, restore } from "./resume.js";
import { memorySettings } from "./train.js";
/** @param given options that the user named */
export function planRun(o, given, base) {
    const { model, precision, threads, tokenizer } = base;
    const adapter = initialAdapter(o, given, model);
    const planner = new Planner(model, adapter.spec, threads, tokenizer, samplesOf(o, base.samplesOnly));
    const settings = memorySettings(o, precision, adapter);
    const plan = planner.plan(settings, base.sharesWeights ? undefined : memoryLimits(o.memory_limit));
    const checkMemory = () => planner.check(plan, settings, adapter.tensors !== null, memoryLimits(o.memory_limit));
    return { model, adapter, settings, plan, checkMemory };
}
/** Warns of what is slow or beyond what the base was made for. */
export function warnOf(o, { model, plan }, warn) {
    const mapped = mappedWarning(plan.memory, memoryLimits(o.memory_limit));
    if (mapped)
        warn(mapped);
    const { maxPositions } = model.config;
    if (o.max_seq_length > maxPositions) {
        warn(`max_seq_length ${o.max_seq_length} is more than the ${maxPositions} tokens that the base model was made for`);
    }
}
/** @throws LowrankError E_RESUME where the checkpoint is of another run */
export function prepareRun(o, { model, adapter, settings: { precision }, plan }, texts, resumption, warn) {
    const settings = identityOf(o, { model, spec: adapter.spec, precision, texts });
    if (resumption)
        checkAgreement(resumption, settings, warn);
    const prepared = { model, adapter, plan, texts, resumption, settings };
    const full = o.output_dir && diskWarning(o.output_dir, diskNeed(o, prepared), roomFor(o.output_dir));
    if (full)
        warn(full);
    return prepared;
}
/** Puts into the engine what the run begins with: the checkpoint's state, or the initial adapter. */
export async function beginWith(engine, { model, adapter, resumption }) {
    if (resumption)
        await restore(resumption, engine, model);
    else if (adapter.tensors)
        await engine.setAdapter(adapter.tensors);
}
