import { type BpePlan } from "./plan.js";
export declare class BpeEncoder {
    #private;
    constructor(plan: BpePlan);
    /**
     * Tokens of a text, as the package would make them.
     * @param maxLength cuts the text's tokens to so many, special tokens included. @param side that is cut
     * @returns null where the package has to be asked
     */
    encode(text: string, maxLength?: number, side?: "left" | "right"): Int32Array | null;
}
