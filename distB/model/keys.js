import { LowrankError } from "../base/errors.js";
import { isObject, kindOf } from "../base/json.js";
/** The keys of a configuration object, read with their types and ranges. A key that is null counts as absent. */
export class ConfigKeys {
    json;
    file;
    prefix;
    /** @param prefix of the keys' names in errors, such as "rope_scaling." */
    constructor(json, file, prefix = "") {
        this.json = json;
        this.file = file;
        this.prefix = prefix;
    }
    given(key) {
        return this.json[key] !== undefined && this.json[key] !== null;
    }
    error(key, message) {
        const name = this.prefix + key;
        return new LowrankError("E_CONFIG_VALUE", `${this.file}: ${name}: ${message}.`, name);
    }
    #read(key, expected, accept, otherwise) {
        if (!this.given(key) && otherwise !== undefined)
            return otherwise;
        const value = this.json[key];
        if (accept(value))
            return value;
        throw this.error(key, `expected ${expected}, found ${kindOf(value)}`);
    }
    /** A whole number from 1 to `largest`. */
    count(key, largest, otherwise) {
        const accept = (v) => Number.isInteger(v) && v >= 1 && v <= largest;
        return this.#read(key, `a whole number from 1 to ${largest}`, accept, otherwise);
    }
    number(key, range, otherwise) {
        const { above, atMost = Number.MAX_VALUE } = range;
        const accept = (v) => typeof v === "number" && v > above && v <= atMost;
        const limit = range.atMost === undefined ? "" : ` and at most ${atMost}`;
        return this.#read(key, `a number above ${above}${limit}`, accept, otherwise);
    }
    flag(key, otherwise) {
        return this.#read(key, "true or false", (v) => typeof v === "boolean", otherwise);
    }
    /** Refuses every value but these. */
    only(key, allowed, otherwise) {
        const accept = (v) => allowed.includes(v);
        const list = allowed.map((value) => JSON.stringify(value)).join(" or ");
        return this.#read(key, `${list} (nothing else is supported)`, accept, otherwise);
    }
    /** The keys of an object within, or null where it is absent. */
    within(key) {
        if (!this.given(key))
            return null;
        const inner = this.#read(key, "an object", isObject);
        return new ConfigKeys(inner, this.file, `${this.prefix}${key}.`);
    }
}
