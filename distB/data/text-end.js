// The end token of each text (`add_eos`).
/**
 * A text's tokens with the end token, which stands before the special tokens that follow every text. A text that ends with
 * it is left alone. The end counts as part of the text: where the text alone fills `maxLength`, truncation cuts it off.
 * @param ids of a text, cut to `maxLength` already
 */
export function endText(ids, { id, before, after, side }, maxLength) {
    const end = ids.length - after;
    if (end > before && ids[end - 1] === id)
        return ids;
    if (ids.length < maxLength) {
        const longer = new Int32Array(ids.length + 1);
        longer.set(ids.subarray(0, end));
        longer[end] = id;
        longer.set(ids.subarray(end), end + 1);
        return longer;
    }
    if (side === "left" && end > before) {
        ids.copyWithin(before, before + 1, end);
        ids[end - 1] = id;
    }
    return ids;
}
