import type { ModelConfig } from "../native/index.js";
import type { ConfigKeys } from "./keys.js";
import type { Warn } from "./warn.js";
type Rope = Pick<ModelConfig, "ropeTheta" | "ropeScaling">;
/** @throws LowrankError E_CONFIG_VALUE */
export declare function readRope(whole: ConfigKeys, maxPositions: number, warn: Warn): Rope;
export {};
