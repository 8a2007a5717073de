import { type CommandOptions } from "../config/index.js";
/** `lowrank init`: a commented configuration to be filled in. */
export declare function run(o: CommandOptions<"init">): Promise<void>;
