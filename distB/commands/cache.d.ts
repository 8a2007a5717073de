import type { CommandOptions } from "../config/index.js";
/** `lowrank cache ls|clear`. */
export declare function run(o: CommandOptions<"cache">): Promise<void>;
