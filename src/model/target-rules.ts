// PEFT's keys beside target_modules: modules that are left out, layers, and ranks and alphas of single modules.
import { LowrankError } from "../base/errors.js";

/** As adapter_config.json spells them. Names are matched as those of `target_modules`; keys of patterns are regular expressions. */
export interface TargetRules {
  exclude_modules?: string | string[];
  layers_to_transform?: number[];
  layers_pattern?: string[];
  rank_pattern?: Record<string, number>;
  alpha_pattern?: Record<string, number>;
}

/** Python's re.match of a whole name. Python's named groups are the one common spelling that differs. */
export function pythonPattern(pattern: string, wrap: (pattern: string) => string, where: string, what: string): RegExp {
  try {
    return new RegExp(wrap(pattern.replaceAll("(?P<", "(?<")));
  } catch (error) {
    const message = `${where}: ${pattern} is ${what}: ${(error as Error).message}.`;
    throw new LowrankError("E_TARGET", message, where, { cause: error });
  }
}

/** Whether PEFT's list entry `target` names a module. */
export function names(module: string, target: string): boolean {
  return module === target || module.endsWith(`.${target}`);
}

/** The modules that a list of names, or a regular expression of whole names, means. */
export function matcher(targets: string | string[], where: string): (module: string) => boolean {
  if (typeof targets !== "string") return (module) => targets.some((target) => names(module, target));
  const what = "neither a comma list of names nor a regular expression";
  const pattern = pythonPattern(targets, (text) => `^(?:${text})$`, where, what);
  return (module) => pattern.test(module);
}

const isWrong = "no regular expression";

/** The number of a module's layer, as PEFT finds it: the first number of the name, or the number behind one of the patterns. */
export function layerOf(module: string, patterns: string[]): number | null {
  const regexes =
    patterns.length === 0
      ? [/^.*?\.[^.]*\.(?<idx>\d+)\./]
      : patterns.map((p) =>
          pythonPattern(p, (text) => `^(?:|.*?\\.)${text}\\.(?<idx>\\d+)\\.`, "layers_pattern", isWrong),
        );
  for (const regex of regexes) {
    const found = regex.exec(module)?.groups?.idx;
    if (found !== undefined) return Number(found);
  }
  return null;
}

/** The values of a pattern's keys that match a module, in the pattern's order: the first one counts. */
function valuesOf(pattern: Record<string, number>, where: string): (module: string) => number[] {
  const keys = Object.entries(pattern).map(
    ([key, value]) => [pythonPattern(key, (text) => `^(.*\\.)?(${text})$`, where, isWrong), value] as const,
  );
  return (module) => keys.filter(([regex]) => regex.test(module)).map(([, value]) => value);
}

/** The value of each module that a key of the pattern matches. @throws LowrankError E_TARGET where a key matches none */
export function patternValues(
  pattern: Record<string, number>,
  modules: string[],
  where: string,
): Record<string, number> {
  for (const [key, value] of Object.entries(pattern)) {
    const own = valuesOf({ [key]: value }, where);
    if (modules.some((module) => own(module).length > 0)) continue;
    const message = `${where}: "${key}" matches none of the modules with an adapter, such as ${modules[0]}.`;
    throw new LowrankError("E_TARGET", message, where);
  }
  const all = valuesOf(pattern, where);
  const found = modules.map((module) => [module, all(module)[0]] as const);
  return Object.fromEntries(found.filter((entry): entry is [string, number] => entry[1] !== undefined));
}

/**
 * The same values in a form that PEFT reads alike in every order of the keys, for it sorts the keys when it saves: whole names where two
 * keys that match one module have different values.
 */
export function portablePattern(pattern: Record<string, number>, modules: string[]): Record<string, number> {
  const all = valuesOf(pattern, "pattern");
  const depends = modules.some((module) => new Set(all(module)).size > 1);
  return depends ? patternValues(pattern, modules, "pattern") : pattern;
}
