import { LowrankError } from "../base/errors.js";
import { packBestFit } from "./packing.js";
/** Some examples of a table in items: an example each, or several where they are packed. */
export class TokenDataset {
    #table;
    #examples;
    /** Item i is `#examples[#starts[i]]` up to `#examples[#starts[i + 1]]`; null where each is one example. */
    #starts = null;
    #padding;
    /** @param examples their numbers in the table: of `learnable` ones */
    constructor(table, examples, { padTo, padId, packTo } = {}) {
        this.#table = table;
        this.#examples = examples;
        this.#padding = padTo === undefined ? {} : { padTo, padId: padId ?? 0 };
        if (packTo !== undefined) {
            const packed = packBestFit(examples, (example) => table.tokens(example), packTo);
            this.#examples = packed.values;
            this.#starts = packed.starts;
        }
    }
    /** Number of items. */
    get length() {
        return this.#starts ? this.#starts.length - 1 : this.#examples.length;
    }
    /** Number of examples, packed or not. */
    get examples() {
        return this.#examples.length;
    }
    /** Of all examples. */
    get counts() {
        const tokens = this.#examples.reduce((sum, example) => sum + this.#table.tokens(example), 0);
        return { texts: this.#examples.length, tokens };
    }
    /** Numbers of an item's examples in the table. */
    #item(position) {
        if (!(position >= 0 && position < this.length)) {
            throw new LowrankError("E_ARGUMENT", `No position ${position} in ${this.length} items.`);
        }
        const [begin, end] = this.#starts
            ? [this.#starts[position], this.#starts[position + 1]]
            : [position, position + 1];
        return this.#examples.subarray(begin, end);
    }
    /** Tokens of an item. */
    tokens(position) {
        return this.#item(position).reduce((sum, example) => sum + this.#table.tokens(example), 0);
    }
    /** Tokens of all items. */
    get allTokens() {
        return this.#examples.reduce((sum, example) => sum + this.#table.tokens(example), 0);
    }
    /** How many items of at most so many tokens its examples would make. */
    packs(packTo) {
        return new TokenDataset(this.#table, this.#examples, { packTo }).length;
    }
    /** First tokens of an item's first example. */
    beginning(position, tokens) {
        const beginning = this.#table.sequence(this.#item(position)[0]).inputIds.slice(0, tokens);
        this.#table.check();
        return beginning;
    }
    /** The items at these positions as one ragged micro-batch. Its sequences are views: nothing is copied. */
    batch(positions) {
        const examples = Array.from(positions).flatMap((position) => [...this.#item(position)]);
        const sum = (of) => examples.reduce((total, example) => total + of(example), 0);
        const found = {
            batch: { sequences: examples.map((example) => this.#table.sequence(example)), ...this.#padding },
            supervisedTokens: sum((example) => this.#table.supervised(example)),
            tokens: sum((example) => this.#table.tokens(example)),
        };
        this.#table.check();
        return found;
    }
}
