import type { CommandOptions } from "../config/index.js";
/**
 * `lowrank train`.
 * @param given options that the user named
 * @param signal finishes the step in progress, saves and returns
 */
export declare function run(o: CommandOptions<"train">, given: ReadonlySet<string>, signal: AbortSignal): Promise<void>;
