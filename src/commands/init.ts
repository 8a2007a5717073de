import { writeFileSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { writeError } from "../base/system-errors.js";
import { type CommandOptions, configTemplate } from "../config/index.js";

/** The installed package's own copy. */
const SCHEMA = new URL("../../docs/lowrank.schema.json", import.meta.url);

/** `lowrank init`: a commented configuration to be filled in. */
export async function run(o: CommandOptions<"init">): Promise<void> {
  try {
    writeFileSync(o.file, configTemplate(SCHEMA.href), { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw writeError(error, o.file);
    throw new LowrankError("E_OUTPUT_EXISTS", `${o.file} is there already. Name another file, or remove it.`, o.file);
  }
  process.stdout.write(
    `${o.file} holds every option with its default. Fill in base_model and train_file, then: lowrank train --config ${o.file}\n`,
  );
}
