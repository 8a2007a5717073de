import { type BpePlan } from "../bpe/index.js";
import { Tokenizer } from "../tokenizer.js";
export interface EncodeOptions {
    /** Tokens that a text is cut to; undefined does not cut. */
    maxLength: number | undefined;
}
/** How a tokenizer.json is done the quick way; null where it is for the package alone. */
export declare function quickPlan(file: string): BpePlan | null;
export declare class QuickEncoder {
    #private;
    /** @param file tokenizer.json */
    constructor(plan: BpePlan, file: string);
    encode(texts: string[], { maxLength }: EncodeOptions): Promise<Int32Array[]>;
    /** Whether some texts come out as the package tokenises them. */
    agrees(tokenizer: Tokenizer, texts: string[], options: EncodeOptions): Promise<boolean>;
}
