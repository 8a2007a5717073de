// device_plans.txt: how a GPU computed a run's products, for the same bits after a resumption.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readText } from "../base/system-errors.js";
import { writeTextFile } from "./files.js";

const NAME = "device_plans.txt";

/** @param plans the engine's; no file is written of none @throws LowrankError E_WRITE */
export async function writeDevicePlans(folder: string, plans: string): Promise<void> {
  if (plans !== "") await writeTextFile(join(folder, NAME), plans);
}

/** Null where the checkpoint has none: it was made on the processor. @throws LowrankError E_FILE */
export function readDevicePlans(folder: string): string | null {
  const file = join(folder, NAME);
  return existsSync(file) ? readText(file) : null;
}
