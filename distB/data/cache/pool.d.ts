import type { BpePlan } from "../bpe/index.js";
import type { Tokenizer } from "../tokenizer.js";
import { type Block, type TokeniseOptions } from "./block.js";
export interface Job {
    id: number;
    texts: string[];
    firstRow: number;
}
export interface Answer {
    id: number;
    block: Block;
}
/** What a worker is started with. */
export interface Start {
    tokenizer: string;
    options: TokeniseOptions;
    /** Of the quick way; null where it is not to be taken. */
    plan: BpePlan | null;
}
export declare class TokeniserPool {
    #private;
    constructor(tokenizer: Tokenizer, options: TokeniseOptions, threads: number);
    /** Blocks that may be under way at once: each thread has one to go on with. */
    get capacity(): number;
    /** @param firstRow number of the first text among all */
    tokenise(texts: string[], firstRow: number): Promise<Block>;
    close(): Promise<void>;
}
