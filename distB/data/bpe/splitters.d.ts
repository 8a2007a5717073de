/** Cuts a text into pieces that are tokenised one by one. */
export type Splitter = (text: string) => string[];
/**
 * A pattern of the package's engine (Oniguruma) in JavaScript's syntax, null where it uses more than is known to mean the
 * same: letters, digits, classes, groups, quantifiers, look-ahead. White space is another set in JavaScript, and
 * `(?i:...)` is spelled out.
 */
export declare function translate(pattern: string): string | null;
/** How a pre-tokenizer cuts: matches of `source` and what lies between them, in order. */
export interface Cut {
    source: string;
    /** Whether nothing lies between the matches. */
    covers: boolean;
}
export declare function splitter({ source, covers }: Cut): Splitter;
/** Null where one of them is not known to mean the same here. The last of them must be ByteLevel. */
export declare function cuts(preTokenizer: unknown): Cut[] | null;
