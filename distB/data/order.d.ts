/**
 * Which rows are held back for validation: a random choice that depends on `seed` and the number of rows only, in file
 * order. At least one row goes to either side.
 * @throws LowrankError E_SPLIT where there is one row only
 */
export declare function splitValidation(rows: number, fraction: number, seed: number): {
    train: Int32Array;
    validation: Int32Array;
};
/** The rows in the order of an epoch, counted from 0; depends on `seed` and `epoch` only. */
export declare function epochOrder(indices: Int32Array, seed: number, epoch: number, shuffled: boolean): Int32Array;
/**
 * An order in which a batch's items are of similar length, as the Trainer's `LengthGroupedSampler` makes it: stretches of
 * `STRETCH_BATCHES` batches of the given order are sorted by length, the longest first; the longest item of all comes
 * first of all, so that what does not fit shows at once.
 * @param order the numbers from 0 to its length, in any order
 * @param batchSize items of a step
 * @param tokens of an item
 */
export declare function groupByLength(order: Int32Array, batchSize: number, tokens: (item: number) => number): Int32Array;
