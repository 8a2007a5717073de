import type { Engine } from "../native/index.js";
/**
 * FLOP/s of a product at its best. What else the machine does changes, so it is measured again beside the steps that are compared with
 * it: now and then, and where steps were faster than it.
 */
export declare class MatmulPeak {
    #private;
    constructor(engine: Pick<Engine, "matmulPeak">);
    get flopPerSecond(): number;
    measure(): Promise<void>;
    /** @param reached FLOP/s of the steps since the last call */
    keepUp(reached: number): Promise<void>;
    /** Once, for a share above one: why that can be. */
    warning(share: number): string | null;
}
