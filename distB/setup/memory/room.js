// A memory plan beside what there is.
import { LowrankError } from "../../base/errors.js";
import { bytes, table } from "../../base/text.js";
/**
 * The plan's item that is mapped from files. It is page cache: given back to the system when something else needs the
 * memory, and read again from disk when the next step needs the weights. So the rest of the plan must fit, and weights
 * that do not fit beside it are slow, not impossible.
 */
const MAPPED = "weights (mapped)";
export function planOf(items) {
    return { items, totalBytes: items.reduce((sum, item) => sum + item.bytes, 0) };
}
/** What of a plan counts against a limit. */
function need({ items }, { countsMapped }) {
    return items.reduce((sum, { name, bytes }) => sum + (name === MAPPED && !countsMapped ? 0 : bytes), 0);
}
/** What a limit leaves beside a plan; negative where the plan does not fit. */
function room(plan, limit) {
    return limit.bytes - need(plan, limit);
}
/** Whether a plan keeps within every limit. */
export function fitsAll(plan, limits) {
    return limits.every((limit) => room(plan, limit) >= 0);
}
/** The limit that leaves the least room. */
export function tightest(plan, limits) {
    return limits.reduce((least, limit) => (room(plan, limit) < room(plan, least) ? limit : least));
}
/** The refusal of a plan that does not fit. @param advice what to do about it */
export function refusal(what, plan, limits, advice) {
    const limit = tightest(plan, limits);
    const besides = limit.countsMapped ? "" : " besides the mapped weights";
    const found = `but ${bytes(limit.bytes)} are ${limit.of}`;
    const message = `${what} needs ${bytes(need(plan, limit))}${besides}, ${found}.\n${memoryTable(plan)}\n${advice}`;
    return new LowrankError("E_MEMORY", message);
}
/** A warning where the weights do not fit into memory beside the rest of the plan. */
export function mappedWarning({ totalBytes }, limits) {
    const [first, ...others] = limits.filter(({ countsMapped }) => !countsMapped);
    const least = others.reduce((a, b) => (b.bytes < a.bytes ? b : a), first);
    if (totalBytes <= least.bytes)
        return undefined;
    return `The weights do not fit into memory beside the rest (${bytes(least.bytes)} are ${least.of}): every step will read them from disk.`;
}
export function memoryTable({ items, totalBytes }) {
    const rows = items.map(({ name, bytes: n }) => [name, bytes(n)]);
    return `Memory plan:\n${table([...rows, ["total", bytes(totalBytes)]])}`;
}
