import type { EngineProfile } from "../native/index.js";
/** The operations that took longest first, each with its share of the time and, of products, its speed. */
export declare function profileTable(profile: EngineProfile): string;
/** @throws LowrankError E_WRITE */
export declare function writeTrace(file: string, profile: EngineProfile): void;
