// Typed reading of a GGUF file's metadata.
import { LowrankError } from "../../base/errors.js";
/** Products of two stay exact integers. */
const LARGEST = 2 ** 26;
/** A value for a message, cut where it is long. */
export function shown(value) {
    if (value === undefined)
        return "missing";
    if (Array.isArray(value))
        return `a list of ${value.length}`;
    const text = JSON.stringify(value);
    return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}
/** What reads a value throws a LowrankError that names file and key, says what was expected and ends with the advice. */
export class Metadata {
    #values;
    /** @param what follows the key: "is 3, expected 4" */
    error;
    /** @param code of the errors, E_CONFIG_VALUE or E_TOKENIZER */
    constructor({ file, metadata }, code, advice) {
        this.#values = metadata;
        this.error = (key, what) => new LowrankError(code, `${file}: ${key} ${what}. ${advice}`, key);
    }
    #wrong(key, expected) {
        return this.error(key, `is ${shown(this.#values.get(key))}, expected ${expected}`);
    }
    get(key) {
        return this.#values.get(key);
    }
    text(key) {
        const value = this.#values.get(key);
        if (typeof value !== "string")
            throw this.#wrong(key, "a text");
        return value;
    }
    flag(key, otherwise) {
        const value = this.#values.get(key) ?? otherwise;
        if (typeof value !== "boolean")
            throw this.#wrong(key, "true or false");
        return value;
    }
    /** A whole number from 1 to `most`. */
    count(key, { otherwise, most = LARGEST } = {}) {
        const value = this.#values.get(key) ?? otherwise;
        if (typeof value !== "number" || !Number.isInteger(value) || value < 1 || value > most)
            throw this.#wrong(key, `a whole number from 1 to ${most}`);
        return value;
    }
    /** A number from 0 to below `count`; undefined where there is none, or one out of that range. */
    index(key, count) {
        const value = this.#values.get(key);
        if (value === undefined)
            return undefined;
        if (typeof value !== "number")
            throw this.#wrong(key, `the number of one of ${count} tokens`);
        return Number.isInteger(value) && value >= 0 && value < count ? value : undefined;
    }
    positive(key, otherwise) {
        const value = this.#values.get(key) ?? otherwise;
        if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value))
            throw this.#wrong(key, "a number above 0");
        // The shortest number that is the same f32: 0.00001 is stored as 0.000009999999747378752.
        return shortest(value);
    }
    only(key, values, otherwise) {
        const value = this.#values.get(key) ?? otherwise;
        if (!values.includes(value))
            throw this.#wrong(key, values.map((each) => JSON.stringify(each)).join(" or "));
        return value;
    }
    texts(key) {
        const value = this.#values.get(key);
        if (!Array.isArray(value) || !value.every((each) => typeof each === "string"))
            throw this.#wrong(key, "a list of texts");
        return value;
    }
    numbers(key) {
        const value = this.#values.get(key);
        if (!Array.isArray(value) || !value.every((each) => typeof each === "number"))
            throw this.#wrong(key, "a list of numbers");
        return value;
    }
}
/** What was written as a decimal number and stored in 32 bits. */
function shortest(value) {
    for (let digits = 1; digits <= 9; digits++) {
        const short = Number(value.toPrecision(digits));
        if (Math.fround(short) === Math.fround(value))
            return short;
    }
    return value;
}
