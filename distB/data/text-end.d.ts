/** How texts get the tokenizer's end token. */
export interface TextEnd {
    /** The end token. */
    id: number;
    /** Numbers of special tokens that the tokenizer itself puts before and after a text. */
    before: number;
    after: number;
    /** Side that truncation cuts. */
    side: "left" | "right";
}
/**
 * A text's tokens with the end token, which stands before the special tokens that follow every text. A text that ends with
 * it is left alone. The end counts as part of the text: where the text alone fills `maxLength`, truncation cuts it off.
 * @param ids of a text, cut to `maxLength` already
 */
export declare function endText(ids: Int32Array, { id, before, after, side }: TextEnd, maxLength: number): Int32Array;
