import type { CommandOptions } from "../config/index.js";
/** `lowrank inspect`: what a model is, and what training it would need. */
export declare function run(o: CommandOptions<"inspect">): Promise<void>;
