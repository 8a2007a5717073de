import type { CommandOptions } from "../config/index.js";
export declare function run(o: CommandOptions<"preview">): Promise<void>;
