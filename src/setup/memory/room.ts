// A memory plan beside the memory of the machine.

import { LowrankError } from "../../base/errors.js";
import { bytes, table } from "../../base/text.js";
import type { MemoryItem, MemoryPlan } from "../../native/index.js";
import type { MemoryLimit } from "./limits.js";

export function planOf(items: MemoryItem[]): MemoryPlan {
  return { items, totalBytes: items.reduce((sum, item) => sum + item.bytes, 0) };
}

/**
 * Bytes of a plan that count against a limit. Mapped weights are read again from disk when the next step needs them. So the other items
 * must fit; weights that do not fit beside them are slow, not impossible. A device's memory counts against the device's limits alone.
 */
function need({ items }: MemoryPlan, { countsMapped, ofDevice = false, ranks = 1, taken = [] }: MemoryLimit): number {
  const shares = {
    host: ofDevice ? 0 : 1,
    mapped: countsMapped && !ofDevice ? 1 / ranks : 0,
    device: ofDevice ? 1 : 0,
  };
  const counted = items.filter(({ name }) => !taken.includes(name));
  return counted.reduce((sum, { place, bytes }) => sum + shares[place] * bytes, 0);
}

/** The room that a limit leaves beside a plan; negative where the plan does not fit. */
function room(plan: MemoryPlan, limit: MemoryLimit): number {
  return limit.bytes - need(plan, limit);
}

/** Whether a plan keeps within every limit. */
export function fitsAll(plan: MemoryPlan, limits: MemoryLimit[]): boolean {
  return limits.every((limit) => room(plan, limit) >= 0);
}

/** The limit that leaves the least room. */
export function tightest(plan: MemoryPlan, limits: MemoryLimit[]): MemoryLimit {
  return limits.reduce((least, limit) => (room(plan, limit) < room(plan, least) ? limit : least));
}

/** The refusal of a plan that does not fit. @param advice the remedy */
export function refusal(what: string, plan: MemoryPlan, limits: MemoryLimit[], advice: string): LowrankError {
  const limit = tightest(plan, limits);
  const besides = limit.countsMapped || limit.ofDevice ? "" : " besides the mapped weights";
  const found = `but ${bytes(limit.bytes)} are ${limit.of}`;
  const message = `${what} needs ${bytes(need(plan, limit))}${besides}, ${found}.\n${memoryTable(plan)}\n${advice}`;
  return new LowrankError("E_MEMORY", message);
}

/** A warning where the weights do not fit into memory beside the plan's other items. */
export function mappedWarning(plan: MemoryPlan, limits: MemoryLimit[]): string | undefined {
  const [first, ...others] = limits.filter(({ countsMapped, ofDevice }) => !countsMapped && !ofDevice);
  const least = others.reduce((a, b) => (b.bytes < a.bytes ? b : a), first!);
  if (need(plan, { ...least, countsMapped: true }) <= least.bytes) return undefined;
  return `The weights do not fit into memory beside the rest (${bytes(least.bytes)} are ${least.of}): every step will read them from disk.`;
}

export function memoryTable({ items, totalBytes }: MemoryPlan): string {
  const rows = items.map(({ name, bytes: n }): [string, string] => [name, bytes(n)]);
  return `Memory plan:\n${table([...rows, ["total", bytes(totalBytes)]])}`;
}
