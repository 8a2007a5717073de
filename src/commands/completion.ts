import { type CommandOptions, completion } from "../config/index.js";

/** `lowrank completion`: a script for a shell, on standard output. */
export async function run(o: CommandOptions<"completion">): Promise<void> {
  process.stdout.write(completion(o.shell));
}
