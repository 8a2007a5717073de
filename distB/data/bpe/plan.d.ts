import { type MergeTable } from "./merges.js";
import { type Cut } from "./splitters.js";
export interface BpePlan {
    cuts: Cut[];
    merges: MergeTable;
    /** Whole words that are tokens whatever the merges say; null where the merges decide. */
    wholeWords: Map<string, number> | null;
    /** Special tokens around every text. */
    before: number[];
    after: number[];
    /** Texts that hold one of these are not for us: the added tokens. */
    added: string[];
    /** Whether texts have to be in Unicode's normal form C. */
    isNormalised: boolean;
}
/** GPT-2's letters for bytes: printable ones for themselves, the rest from U+0100 on. */
export declare const LETTERS: string[];
/**
 * @param json content of tokenizer.json
 * @param added texts of all added tokens
 * @returns null where the package alone knows what it means
 */
export declare function planBpe(json: Record<string, unknown>, added: string[]): BpePlan | null;
