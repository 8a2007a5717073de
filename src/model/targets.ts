// Which linears carry an adapter: names, "all-linear" or a regular expression, matched as PEFT matches them.

import { LowrankError } from "../base/errors.js";
import { suggestion } from "../base/nearest.js";
import type { AdapterSpec, ModelSource } from "../native/index.js";
import { familyOf, listLinears } from "./spec.js";
import { tablesOf } from "./tables.js";
import { layerOf, matcher, names, patternValues, portablePattern, type TargetRules } from "./target-rules.js";

export interface ResolvedTargets {
  /** Full module names, in the order of `listLinears`. */
  modules: string[];
  /** `target_modules` of adapter_config.json: sorted names, or a regular expression. */
  peft: string | string[];
  /** The other keys of adapter_config.json that decide modules, ranks and alphas. */
  rules?: TargetRules;
  /** The modules' weights are stored (in, out): PEFT's fan_in_fan_out. */
  transposed?: boolean;
  /** Of single modules, by full name. */
  ranks?: Record<string, number>;
  alphas?: Record<string, number>;
}

/** The part of an adapter's description that the targets decide. */
export function targetSpec({
  modules,
  ranks,
  alphas,
}: ResolvedTargets): Pick<AdapterSpec, "targets" | "ranks" | "alphas"> {
  return { targets: modules, ...(ranks && { ranks }), ...(alphas && { alphas }) };
}

const ALL_LINEAR = "all-linear";

/** The last part of a module's name: q_proj. */
const shortName = (module: string) => module.slice(module.lastIndexOf(".") + 1);

/** Names that get an adapter where nothing else is asked for. */
export const defaultTargets = (model: ModelSource): string[] => familyOf(model.config).targets;

/** Short names of the linears that can carry an adapter, in order of use. */
export function candidateTargets(model: ModelSource): string[] {
  return [...new Set(listLinears(model).map(({ name }) => shortName(name)))];
}

/** A comma list's names, or the text itself where it is all-linear or a regular expression. */
function listed(targets: string): string | string[] {
  const parts = targets.split(",").map((name) => name.trim());
  const plain = parts.every((name) => /^[\w.-]*$/.test(name));
  if (parts.length === 1 && parts[0]!.toLowerCase() === ALL_LINEAR) return ALL_LINEAR;
  return plain ? [...new Set(parts.filter((name) => name !== ""))] : targets.trim();
}

/** As a user writes them: `exclude_modules` may be a comma list. */
export type GivenRules = { [K in keyof TargetRules]?: TargetRules[K] | undefined };

/**
 * @param targets as a user writes them: a comma list of names, "all-linear" or a regular expression of whole module
 * names; null is the family's default
 * @throws LowrankError E_TARGET where a name, an expression or a rule matches nothing
 */
export function resolveTargets(model: ModelSource, targets: string | null, given: GivenRules = {}): ResolvedTargets {
  const { exclude_modules: excluded, ...others } = given;
  const rules: TargetRules = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined));
  if (excluded !== undefined) rules.exclude_modules = typeof excluded === "string" ? listed(excluded) : excluded;
  const wanted = targets === null ? defaultTargets(model) : listed(targets);
  // PEFT is content where one of several names matches; a misspelled one would silently train less.
  if (rules.exclude_modules !== undefined) refuseStrays(model, rules.exclude_modules, "exclude_modules");
  if (targets !== null) {
    refuseOthers(model, wanted, rules.exclude_modules ?? []);
    refuseStrays(model, wanted, "target_modules");
  }
  return matchTargets(model, wanted, "target_modules", rules);
}

/** Targets of PEFT that would silently get no adapter: embeddings, and the head. */
function refuseOthers(model: ModelSource, targets: string | string[], excluded: string | string[]): void {
  if (targets === ALL_LINEAR) return;
  const [isTarget, isOut] = [matcher(targets, "target_modules"), matcher(excluded, "exclude_modules")];
  // Layers that train whole are left out as in PEFT.
  const other = tablesOf(model.spec).find(({ module, trains }) => !trains && isTarget(module) && !isOut(module));
  if (!other) return;
  const instead = other.canTrain ? "modules_to_save trains it whole" : "leave it out, or name it in exclude_modules";
  const message = `target_modules matches ${other.module}, ${other.what}, which gets no adapter: ${instead}.`;
  throw new LowrankError("E_TARGET", message, "target_modules");
}

function refuseStrays(model: ModelSource, targets: string | string[], where: string): void {
  if (typeof targets === "string") return;
  const known = listLinears(model).map(({ name }) => name);
  if (where === "exclude_modules") known.push(...tablesOf(model.spec).map(({ module }) => module));
  const stray = targets.find((target) => !known.some((name) => names(name, target)));
  if (stray === undefined) return;
  const whole = tablesOf(model.spec).find(({ module, trains }) => trains && names(module, stray));
  if (whole) {
    const message = `${where}: "${stray}" is ${whole.what}, which trains whole and gets no adapter: leave it out.`;
    throw new LowrankError("E_TARGET", message, where);
  }
  const near = suggestion(stray, candidateTargets(model));
  throw noMatch(model, where, `"${stray}" matches no linear of the model${near}`);
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
  rules: TargetRules = {},
): ResolvedTargets {
  const linears = listLinears(model).map(({ name }) => name);
  const wanted = targets === ALL_LINEAR ? candidateTargets(model).sort() : targets;
  const matched = linears.filter(matcher(wanted, where));
  const isList = typeof wanted !== "string";
  if (matched.length === 0) {
    const what = isList ? wanted.join(", ") || "an empty list" : `the regular expression ${wanted}`;
    throw noMatch(model, where, `${what} matches none of the linears, such as ${linears[0]}`);
  }
  const modules = narrowed(model, matched, isList, rules);
  const found: ResolvedTargets = { modules, peft: isList ? [...wanted].sort() : wanted };
  if (familyOf(model.config).transposed) found.transposed = true;
  const written = { ...rules };
  if (rules.rank_pattern) {
    found.ranks = patternValues(rules.rank_pattern, modules, "rank_pattern");
    written.rank_pattern = portablePattern(rules.rank_pattern, modules);
  }
  if (rules.alpha_pattern) {
    found.alphas = patternValues(rules.alpha_pattern, modules, "alpha_pattern");
    written.alpha_pattern = portablePattern(rules.alpha_pattern, modules);
  }
  if (Object.keys(written).length > 0) found.rules = written;
  return found;
}

/** Without the modules that `exclude_modules` names, and of the wanted layers alone. */
function narrowed(model: ModelSource, modules: string[], isList: boolean, rules: TargetRules): string[] {
  const { exclude_modules: excluded, layers_to_transform: layers, layers_pattern: patterns = [] } = rules;
  const fail = (where: string, message: string) => new LowrankError("E_TARGET", `${where}: ${message}.`, where);
  if (layers === undefined && patterns.length > 0)
    throw fail("layers_pattern", "it needs layers_to_transform beside it");
  if (layers !== undefined && !isList) {
    throw fail(
      "layers_to_transform",
      "it needs target_modules as a list of names; a regular expression names the layers itself",
    );
  }
  let left = modules;
  if (layers !== undefined) {
    const found = new Set(left.map((module) => layerOf(module, patterns)));
    const stray = layers.find((layer) => !found.has(layer));
    if (stray !== undefined) {
      const behind =
        patterns.length > 0 ? ` behind ${patterns.join(", ")}` : `, it has ${model.spec.layers}, from 0 on`;
      throw fail("layers_to_transform", `the model has no layer ${stray}${behind}`);
    }
    left = left.filter((module) => layers.includes(layerOf(module, patterns)!));
  }
  if (excluded !== undefined) {
    const isOut = matcher(excluded, "exclude_modules");
    left = left.filter((module) => !isOut(module));
    if (left.length === 0) throw fail("exclude_modules", "every module of target_modules is excluded");
  }
  return left;
}

function noMatch(model: ModelSource, where: string, problem: string): LowrankError {
  return new LowrankError(
    "E_TARGET",
    `${where}: ${problem}. Modules of ${model.folder} that can carry an adapter: ` +
      `${candidateTargets(model).join(", ")} (or ${ALL_LINEAR}).`,
    where.endsWith("exclude_modules") ? "exclude_modules" : "target_modules",
  );
}
