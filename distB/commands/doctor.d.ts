import type { CommandOptions } from "../config/index.js";
/** @throws LowrankError E_DOCTOR where something is not right, after everything was printed */
export declare function run(o: CommandOptions<"doctor">): Promise<void>;
