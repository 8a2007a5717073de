import { planMemory, } from "../../native/index.js";
import { memoryLimits } from "./limits.js";
import { processItems } from "./process.js";
import { fitsAll, memoryTable, planOf, refusal } from "./room.js";
/**
 * What evaluating or generating takes, once the tokenizer is loaded.
 * @param copies whether the weights are copied where they fit beside the rest; a short text would be done before that is
 * @param process the process's own share, which changes while it runs
 */
export function inferencePlan({ model, adapter, engine }, copies, limits = memoryLimits(), process = processItems("inference", model, null)) {
    const plan = (copyWeights) => {
        const options = { ...engine, copyWeights };
        return { engine: options, memory: planOf([...planMemory(model, adapter, options).items, ...process]) };
    };
    const copying = copies && plan(true);
    return copying && fitsAll(copying.memory, limits) ? copying : plan(false);
}
/**
 * The same, checked. LOWRANK_DEBUG shows it on standard error.
 * @param what is done, such as "Evaluating"
 * @param advice what to do where it does not fit
 * @throws LowrankError E_MEMORY with the plan
 */
export function planInference(inference, { what, advice, copies = false, limits = memoryLimits(), }) {
    const plan = inferencePlan(inference, copies, limits);
    if (process.env.LOWRANK_DEBUG)
        process.stderr.write(`${memoryTable(plan.memory)}\n`);
    if (!fitsAll(plan.memory, limits))
        throw refusal(`${what} with these settings`, plan.memory, limits, advice);
    return plan;
}
