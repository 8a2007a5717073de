/**
 * sfc32 (C. Doty-Humphrey, PractRand): 128 bits of state, seeded with the words themselves, so that every combination of
 * them is a stream of its own. For orders and splits; dropout masks are the engine's.
 * @returns a function that gives the next number, at least 0 and below 1
 */
export declare function generator(seed: number, purpose: number, index: number): () => number;
/** Fisher-Yates shuffle in place. */
export declare function shuffle(values: Int32Array, random: () => number): Int32Array;
