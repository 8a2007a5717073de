export interface Packs {
    /** The values, those of a pack side by side. */
    values: Int32Array;
    /** Pack i is `values[starts[i]]` up to `values[starts[i + 1]]`. */
    starts: Int32Array;
}
/**
 * Best-fit decreasing (D. S. Johnson, 1973): the longest first, each into the fullest pack that still has room for it.
 * Needs no more than 11/9 of the fewest packs possible. What is longer than `capacity` gets a pack of its own.
 * @param length of a value, at least 0
 */
export declare function packBestFit(values: Int32Array, length: (value: number) => number, capacity: number): Packs;
