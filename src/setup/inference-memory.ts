import { type AdapterSpec, type EngineOptions, type MemoryPlan, type ModelSource, planMemory } from "../engine.js";
import { memoryLimits } from "./available-memory.js";
import { processItems } from "./process-items.js";
import { fitsAll, memoryTable, planOf, refusal } from "./room.js";

/**
 * What evaluating or generating takes, once the tokenizer is loaded. LOWRANK_DEBUG shows it on standard error.
 * @param what is done, such as "Evaluating"
 * @param advice what to do where it does not fit
 * @throws LowrankError E_MEMORY with the plan
 */
export function planInference(
  { model, adapter, engine }: { model: ModelSource; adapter: AdapterSpec | null; engine: EngineOptions },
  { what, advice, limits = memoryLimits() }: { what: string; advice: string; limits?: ReturnType<typeof memoryLimits> },
): MemoryPlan {
  const plan = planOf([...planMemory(model, adapter, engine).items, ...processItems("inference", model, null)]);
  if (process.env.LOWRANK_DEBUG) process.stderr.write(`${memoryTable(plan)}\n`);
  if (!fitsAll(plan, limits)) throw refusal(`${what} with these settings`, plan, limits, advice);
  return plan;
}
