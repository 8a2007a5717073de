import {
  type AdapterSpec,
  CPU,
  type EngineOptions,
  type MemoryItem,
  type MemoryPlan,
  type ModelSource,
  planMemory,
} from "../../native/index.js";
import { limitsOn, type MemoryLimit, memoryLimits } from "./limits.js";
import { processAtMost, processItems } from "./process.js";
import { fitsAll, memoryTable, planOf, refusal } from "./room.js";

export interface Inference {
  model: ModelSource;
  adapter: AdapterSpec | null;
  engine: EngineOptions;
}

export interface InferencePlan {
  engine: EngineOptions;
  memory: MemoryPlan;
}

/** Another device has copies of its own. */
const isOfProcessor = ({ device = CPU }: EngineOptions) => device === CPU;

/**
 * The plan of evaluating or generating, once the tokenizer is loaded.
 * @param copies whether the weights are copied where they fit beside the other items; a short text would be done before
 * the copy
 * @param process the process's own share, which changes while it runs
 */
export function inferencePlan(
  { model, adapter, engine }: Inference,
  copies: boolean,
  limits: MemoryLimit[] = memoryLimits(),
  process: MemoryItem[] = processItems("inference", model, null),
): InferencePlan {
  const plan = (copyWeights: boolean): InferencePlan => {
    const options = { ...engine, copyWeights };
    return { engine: options, memory: planOf([...planMemory(model, adapter, options).items, ...process]) };
  };
  const copying = copies && isOfProcessor(engine) && plan(true);
  return copying && fitsAll(copying.memory, limits) ? copying : plan(false);
}

/**
 * The same plan, checked. LOWRANK_DEBUG shows it on standard error.
 * @param what the work, such as "Evaluating"
 * @param advice the remedy where it does not fit
 * @throws LowrankError E_MEMORY with the plan
 */
export function planInference(
  inference: Inference,
  {
    what,
    advice,
    copies = false,
    limits = limitsOn(inference.engine.device),
  }: { what: string; advice: string; copies?: boolean; limits?: MemoryLimit[] },
): InferencePlan {
  // Short texts are quick, and the exact look at the process takes 8 ms.
  const rough = inferencePlan(inference, copies, limits, processAtMost("inference"));
  const isEnough =
    rough.engine.copyWeights === (copies && isOfProcessor(inference.engine)) && fitsAll(rough.memory, limits);
  if (isEnough && !process.env.LOWRANK_DEBUG) return rough;
  const plan = inferencePlan(inference, copies, limits);
  if (process.env.LOWRANK_DEBUG) process.stderr.write(`${memoryTable(plan.memory)}\n`);
  if (!fitsAll(plan.memory, limits)) throw refusal(`${what} with these settings`, plan.memory, limits, advice);
  return plan;
}
