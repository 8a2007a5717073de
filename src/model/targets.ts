// Which linears carry an adapter: names, "all-linear" or a regular expression, matched as PEFT matches them.

import { LowrankError } from "../base/errors.js";
import { suggestion } from "../base/nearest.js";
import type { ModelSource } from "../native/index.js";
import { familyOf, listLinears } from "./spec.js";

export interface ResolvedTargets {
  /** Full module names, in the order of `listLinears`. */
  modules: string[];
  /** `target_modules` of adapter_config.json: sorted names, or a regular expression. */
  peft: string | string[];
}

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
  if (targets === null) return matchTargets(model, familyOf(model.config).targets);
  const names = targets.split(",").map((name) => name.trim());
  const plain = names.every((name) => /^[\w.-]*$/.test(name)) && !names.includes(ALL_LINEAR);
  if (!plain) return matchTargets(model, targets.trim());
  const list = [...new Set(names.filter((name) => name !== ""))];
  const linears = listLinears(model);
  // PEFT is content where one of several names matches; a misspelled one would silently train less.
  const stray = list.find((target) => !linears.some(({ name }) => matches(name, target)));
  if (stray === undefined) return matchTargets(model, list);
  const near = suggestion(stray, candidateTargets(model));
  throw noMatch(model, "target_modules", `"${stray}" matches no linear of the model${near}`);
}

/** Whether PEFT's list entry `target` names a module. */
function matches(module: string, target: string): boolean {
  return module === target || module.endsWith(`.${target}`);
}

/**
 * @param targets as adapter_config.json spells them: a list of names, or a string that is "all-linear" or a regular
 * expression
 * @param where the key, and its file if any, for errors
 * @throws LowrankError E_TARGET where nothing matches
 */
export function matchTargets(
  model: ModelSource,
  targets: string | string[],
  where = "target_modules",
): ResolvedTargets {
  const modules = listLinears(model).map(({ name }) => name);
  if (targets === ALL_LINEAR) return { modules, peft: candidateTargets(model).sort() };
  const isList = typeof targets !== "string";
  const pattern = isList ? null : compile(targets, where);
  const matched = modules.filter((name) =>
    isList ? targets.some((target) => matches(name, target)) : pattern!.test(name),
  );
  if (matched.length > 0) return { modules: matched, peft: isList ? [...targets].sort() : targets };
  const what = isList ? targets.join(", ") || "an empty list" : `the regular expression ${targets}`;
  throw noMatch(model, where, `${what} matches none of the linears, such as ${modules[0]}`);
}

function noMatch(model: ModelSource, where: string, problem: string): LowrankError {
  return new LowrankError(
    "E_TARGET",
    `${where}: ${problem}. Modules of ${model.folder} that can carry an adapter: ` +
      `${candidateTargets(model).join(", ")} (or ${ALL_LINEAR}).`,
    "target_modules",
  );
}

/** Python's re.fullmatch. Its named groups are the one common spelling that differs. */
function compile(pattern: string, where: string): RegExp {
  try {
    return new RegExp(`^(?:${pattern.replaceAll("(?P<", "(?<")})$`);
  } catch (error) {
    throw new LowrankError(
      "E_TARGET",
      `${where}: ${pattern} is neither a comma list of names nor a regular expression: ${(error as Error).message}.`,
      "target_modules",
      { cause: error },
    );
  }
}
