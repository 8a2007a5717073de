// Modules that train whole beside an adapter (PEFT's modules_to_save): the embedding and the head.
import { LowrankError } from "../base/errors.js";
import type { ModelSource } from "../native/index.js";
import { tablesOf } from "./tables.js";

/**
 * Full names of the modules that these names mean: as PEFT matches them, each module whose name ends so.
 * @throws LowrankError E_TARGET where a name means neither the embedding nor the head
 */
export function wholeModules({ spec, folder }: ModelSource, names: readonly string[], where: string): string[] {
  const tables = tablesOf(spec).flatMap(({ module, canTrain }) => (canTrain ? [module] : []));
  const stray = names.find((name) => !tables.some((table) => table.endsWith(name)));
  if (stray !== undefined) {
    const message = `${where}: "${stray}" is no module of ${folder} that can train whole, which are ${tables.join(" and ")}.`;
    throw new LowrankError("E_TARGET", message, "modules_to_save");
  }
  return tables.filter((table) => names.some((name) => table.endsWith(name)));
}
