import type { CommandOptions } from "../config/index.js";
/** `lowrank eval`: loss and perplexity on standard output. */
export declare function run(named: CommandOptions<"eval">): Promise<void>;
