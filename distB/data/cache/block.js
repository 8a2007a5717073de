// Texts to examples, a block at a time: in a worker thread or here.
import { endText } from "../text-end.js";
/** Whether every example lies within its block. */
export function isSound({ inputIds, lossMask, offsets, supervised, rows }) {
    if (offsets[0] !== 0 || offsets.length !== rows.length + 1 || supervised.length !== rows.length)
        return false;
    if (inputIds.length !== offsets.at(-1) || lossMask.length !== inputIds.length)
        return false;
    for (let i = 1; i < offsets.length; i++)
        if (offsets[i] < offsets[i - 1])
            return false;
    return true;
}
/** Lengths of the examples that a text of so many tokens becomes; none is a single token that nothing could be learned from. */
export function chunkLengths(tokens, maxLength) {
    if (tokens <= maxLength)
        return [tokens];
    const lengths = [];
    for (let left = tokens; left > 0;) {
        let take = Math.min(left, maxLength);
        if (left - take === 1 && take > 2)
            take--;
        lengths.push(take);
        left -= take;
    }
    return lengths;
}
/** Numbers of learned tokens of examples. */
function countSupervised(mask, offsets) {
    const supervised = new Int32Array(offsets.length - 1);
    for (let example = 0; example < supervised.length; example++) {
        const end = offsets[example + 1];
        for (let i = offsets[example] + 1; i < end; i++)
            if (mask[i] !== 0)
                supervised[example]++;
    }
    return supervised;
}
const NOTHING = new Int32Array(0);
/**
 * A blank text, of white space alone, becomes an example without tokens.
 * @param firstRow number of the first text among all
 */
export async function tokeniseBlock(encoder, texts, firstRow, { maxLength, longText, end }) {
    const chunks = longText === "chunk";
    const cut = chunks ? undefined : maxLength;
    const whole = await encoder.encode(texts, { maxLength: cut });
    const encoded = whole.map((ids, i) => {
        if (!/\S/.test(texts[i]))
            return NOTHING;
        return end ? endText(ids, end, cut ?? Number.POSITIVE_INFINITY) : ids;
    });
    const inputIds = new Int32Array(encoded.reduce((sum, ids) => sum + ids.length, 0));
    const begins = [0];
    const rows = [];
    let at = 0;
    for (const [i, ids] of encoded.entries()) {
        inputIds.set(ids, at);
        at += ids.length;
        for (const length of chunks ? chunkLengths(ids.length, maxLength) : [ids.length]) {
            begins.push(begins.at(-1) + length);
            rows.push(firstRow + i);
        }
    }
    const lossMask = new Uint8Array(inputIds.length).fill(1);
    const offsets = Int32Array.from(begins);
    return { inputIds, lossMask, offsets, supervised: countSupervised(lossMask, offsets), rows: Uint32Array.from(rows) };
}
