import { existsSync } from "node:fs";
import { join } from "node:path";
import { isObject, readJsonObject } from "../base/json.js";
import { count, table } from "../base/text.js";
import { aboutAdapter, checkpointProblem } from "../checkpoint/index.js";
import { repositoryOf } from "../hub/index.js";

/** trainer_state.json of a checkpoint; null where there is none. */
function progressOf(folder: string): Record<string, unknown> | null {
  const file = join(folder, "trainer_state.json");
  if (!existsSync(file)) return null;
  const { global_step, max_steps, epoch, best_metric, best_global_step, log_history } = readJsonObject(file);
  const lines: unknown[] = Array.isArray(log_history) ? log_history : [];
  const last = lines.filter((line) => isObject(line) && "eval_loss" in line).at(-1);
  const eval_loss = isObject(last) ? last.eval_loss : null;
  return { global_step, max_steps, epoch, eval_loss, best_metric, best_global_step };
}

/** Facts of an adapter or a checkpoint. All of them but the base's are told without the base. */
export async function inspectAdapter(folder: string, json: boolean): Promise<void> {
  const {
    base,
    targetModules,
    rules,
    useRslora,
    useDora,
    bias,
    modulesToSave,
    tokenIndices,
    ensureWeightTying: _,
    ...about
  } = aboutAdapter(folder);
  const trained = progressOf(folder);
  const problem = trained === null ? null : await checkpointProblem(folder);
  const found = {
    adapter: folder,
    base_model: base,
    ...about,
    use_rslora: useRslora,
    use_dora: useDora,
    lora_bias: bias,
    modules_to_save: modulesToSave,
    trainable_token_indices: tokenIndices ?? null,
    target_modules: targetModules,
    ...rules,
  };
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...found, trained, problem })}\n`);
    return;
  }
  const rows: [string, string][] = [
    ["base", existsSync(base) || repositoryOf(base, "model") ? base : `${base} (not there)`],
    ["r", String(about.rank)],
    ["alpha", `${about.alpha} (scale ${useRslora ? "alpha / sqrt(r)" : "alpha / r"})`],
    ["dropout", String(about.dropout)],
    ...(useDora ? [["DoRA", "yes"] satisfies [string, string]] : []),
    ...(bias ? [["bias of B", "yes"] satisfies [string, string]] : []),
    ...(modulesToSave.length > 0 ? [["trained whole", modulesToSave.join(", ")] satisfies [string, string]] : []),
    ...(tokenIndices ? [["trained tokens", JSON.stringify(tokenIndices)] satisfies [string, string]] : []),
    ["target modules", typeof targetModules === "string" ? targetModules : targetModules.join(", ")],
    ...Object.entries(rules).map(([key, value]) => [key, JSON.stringify(value)] satisfies [string, string]),
    ["parameters", `${count(about.parameters)} in ${count(about.tensors)} tensors (${about.dtypes.join(", ")})`],
  ];
  if (trained) {
    const shown = (value: unknown) => (typeof value === "number" ? String(value) : "unknown");
    rows.push(["trained", `${shown(trained.global_step)} of ${shown(trained.max_steps)} steps`]);
    if (typeof trained.eval_loss === "number") rows.push(["evaluation loss", trained.eval_loss.toFixed(4)]);
    if (typeof trained.best_metric === "number")
      rows.push(["best", `${trained.best_metric.toFixed(4)} at step ${shown(trained.best_global_step)}`]);
    if (problem !== null) rows.push(["damaged", problem]);
  }
  process.stdout.write(`${trained ? "Checkpoint" : "LoRA adapter"}: ${folder}\n${table(rows)}\n`);
}
