import { type Sequence } from "../../native/index.js";
import type { Content, Contents, Provenance } from "./contents.js";
/** The examples of some texts: views into one buffer, as a rule a mapped file. */
export declare class TokenTable {
    #private;
    readonly provenance: Provenance;
    readonly content: Content;
    constructor(buffer: ArrayBuffer, { provenance, content, blocks }: Contents);
    /** After reading: what was read of a file that somebody changed meanwhile may be anything. @throws LowrankError E_CACHE */
    check(): void;
    /** Number of examples. */
    get length(): number;
    /** Number of texts, each of at least one example. */
    get texts(): number;
    /** Views of an example's tokens and loss mask; nothing is copied. */
    sequence(example: number): Required<Sequence>;
    /** Tokens of an example. */
    tokens(example: number): number;
    /** Tokens of an example that are learned. */
    supervised(example: number): number;
    /** Number of an example's text. */
    row(example: number): number;
    /** Numbers of the examples that have something to learn, in order. */
    learnable(): Int32Array;
    /** First example with a token of at least this number, -1 where there is none. */
    findToken(atLeast: number): number;
    /** How many tokens are of at least this number. */
    countTokens(atLeast: number): number;
}
