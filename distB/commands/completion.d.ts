import { type CommandOptions } from "../config/index.js";
/** `lowrank completion`: a script for a shell, on standard output. */
export declare function run(o: CommandOptions<"completion">): Promise<void>;
