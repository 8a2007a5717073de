/**
 * sfc32 (C. Doty-Humphrey, PractRand): 128 bits of state, seeded with the words themselves, so that every combination of
 * them is a stream of its own. For orders and splits; dropout masks are the engine's.
 * @returns a function that gives the next number, at least 0 and below 1
 */
export function generator(seed, purpose, index) {
    let a = seed >>> 0;
    let b = Math.floor(seed / 2 ** 32) >>> 0;
    let c = index >>> 0;
    let counter = purpose >>> 0;
    const next = () => {
        const sum = (a + b + counter) >>> 0;
        counter = (counter + 1) >>> 0;
        a = (b ^ (b >>> 9)) >>> 0;
        b = (c + (c << 3)) >>> 0;
        c = (((c << 21) | (c >>> 11)) + sum) >>> 0;
        return sum / 2 ** 32;
    };
    // Seeds that differ in one bit have mixed after twelve rounds, by the author's measurements; a few more cost nothing.
    for (let i = 0; i < 20; i++)
        next();
    return next;
}
/** Fisher-Yates shuffle in place. */
export function shuffle(values, random) {
    for (let i = values.length - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        const value = values[i];
        values[i] = values[j];
        values[j] = value;
    }
    return values;
}
