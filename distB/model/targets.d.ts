import { type ModelSource } from "../native/index.js";
export interface ResolvedTargets {
    /** Full module names, in the order of `listLinears`. */
    modules: string[];
    /** `target_modules` of adapter_config.json: sorted names, or a regular expression. */
    peft: string | string[];
}
/** Short names of the linears that can carry an adapter, in order of use. */
export declare function candidateTargets(model: ModelSource): string[];
/**
 * @param targets as a user writes them: a comma list of names, "all-linear" or a regular expression of whole module
 * names; null is the family's default
 * @throws LowrankError E_TARGET where a name or the expression matches nothing
 */
export declare function resolveTargets(model: ModelSource, targets: string | null): ResolvedTargets;
/**
 * @param targets as adapter_config.json spells them: a list of names, or a string that is "all-linear" or a regular
 * expression
 * @param where the key, and its file if any, for errors
 * @throws LowrankError E_TARGET where nothing matches
 */
export declare function matchTargets(model: ModelSource, targets: string | string[], where?: string): ResolvedTargets;
