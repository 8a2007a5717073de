// Which linears carry an adapter: names, "all-linear" or a regular expression, matched as PEFT matches them.
import { listLinears, type ModelSource } from "../engine.js";
import { LowrankError } from "../errors.js";
import { suggestion } from "./nearest.js";

export interface ResolvedTargets {
  /** Full module names, in the order of `listLinears`. */
  modules: string[];
  /** `target_modules` of adapter_config.json: sorted names, or a regular expression. */
  peft: string | string[];
}

/** Default target modules by `model_type`. */
const DEFAULTS: Record<string, string[]> = { llama: ["q_proj", "v_proj", "k_proj", "o_proj"] };

const ALL_LINEAR = "all-linear";

/** The last part of a module's name: q_proj. */
const shortName = (module: string) => module.slice(module.lastIndexOf(".") + 1);

/** Short names of the linears that can carry an adapter, in order of use. */
export function candidateTargets(model: ModelSource): string[] {
  return [...new Set(listLinears(model).map(({ name }) => shortName(name)))];
}

/**
 * @param targets as a user writes them: a comma list of names, "all-linear" or a regular expression of whole module
 * names; null is the family's default
 * @throws LowrankError E_TARGET where a name or the expression matches nothing
 */
export function resolveTargets(model: ModelSource, targets: string | null): ResolvedTargets {
  if (targets === null) return matchTargets(model, DEFAULTS[model.config.modelType] ?? ALL_LINEAR);
  const names = targets.split(",").map((name) => name.trim());
  const plain = names.every((name) => /^[\w.-]*$/.test(name));
  if (!plain || names.includes(ALL_LINEAR)) return matchTargets(model, targets.trim());
  return matchTargets(model, [...new Set(names.filter((name) => name !== ""))]);
}

/**
 * @param targets as adapter_config.json spells them: a list of names, or a string that is "all-linear" or a regular
 * expression
 * @throws LowrankError E_TARGET
 */
export function matchTargets(model: ModelSource, targets: string | string[]): ResolvedTargets {
  const modules = listLinears(model).map(({ name }) => name);
  if (targets === ALL_LINEAR) return { modules, peft: candidateTargets(model).sort() };
  if (typeof targets === "string") {
    const pattern = compile(targets);
    const matched = modules.filter((name) => pattern.test(name));
    if (matched.length === 0) {
      throw noMatch(model, `the regular expression ${targets} matches no module as a whole, such as ${modules[0]}`);
    }
    return { modules: matched, peft: targets };
  }
  if (targets.length === 0) throw noMatch(model, "the list is empty");
  const matches = (module: string, target: string) => module === target || module.endsWith(`.${target}`);
  for (const target of targets) {
    if (modules.some((module) => matches(module, target))) continue;
    throw noMatch(model, `"${target}" matches no linear of the model${suggestion(target, candidateTargets(model))}`);
  }
  const matched = modules.filter((module) => targets.some((target) => matches(module, target)));
  return { modules: matched, peft: [...targets].sort() };
}

function noMatch(model: ModelSource, problem: string): LowrankError {
  return new LowrankError(
    "E_TARGET",
    `target_modules: ${problem}. Modules of ${model.folder} that can carry an adapter: ` +
      `${candidateTargets(model).join(", ")} (or ${ALL_LINEAR}).`,
    "target_modules",
  );
}

/** Python's re.fullmatch. Its named groups are the one common spelling that differs. */
function compile(pattern: string): RegExp {
  try {
    return new RegExp(`^(?:${pattern.replaceAll("(?P<", "(?<")})$`);
  } catch (error) {
    throw new LowrankError(
      "E_TARGET",
      `target_modules: ${pattern} is neither a comma list of names nor a regular expression: ${(error as Error).message}.`,
      "target_modules",
      { cause: error },
    );
  }
}
