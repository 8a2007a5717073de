import type { CommandOptions } from "../config/index.js";
/** `lowrank quantize`. */
export declare function run(o: CommandOptions<"quantize">): Promise<void>;
