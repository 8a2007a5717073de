// Text files of any known format to one list of texts.
import { LowrankError } from "../base/errors.js";
import { kindOf } from "../base/json.js";
import { dataFiles } from "./files.js";
import { openPipe } from "./formats/pipe.js";
import { formatOf } from "./formats/table.js";
/** The texts of some files, in order. */
export class TextRows {
    files = [];
    #texts = [];
    #at = [];
    /** Of each file: its first row, and what it counts. */
    #starts = [];
    get length() {
        return this.#texts.length;
    }
    text(i) {
        return this.#texts[this.#check(i)];
    }
    /** Where a text comes from: "train.jsonl, line 12". */
    where(i) {
        const at = this.#at[this.#check(i)];
        const f = this.#starts.findLastIndex(({ first }) => first <= i);
        return `${this.files[f]}, ${this.#starts[f].unit} ${at}`;
    }
    begin(file, unit) {
        this.files.push(file);
        this.#starts.push({ first: this.length, unit });
    }
    add(text, at) {
        this.#texts.push(text);
        this.#at.push(at);
    }
    #check(i) {
        if (i >= 0 && i < this.length && Number.isInteger(i))
            return i;
        throw new LowrankError("E_ARGUMENT", `There is no row ${i} in ${this.length} texts.`);
    }
}
/** JSON's escapes can write what no text in UTF-8 can hold. */
const LONE_SURROGATE = /\p{Surrogate}/u;
function textOf({ value, at }, column, file, unit) {
    const place = () => `${file}, ${unit} ${at}: column "${column}"`;
    if (typeof value !== "string") {
        throw new LowrankError("E_DATA_ROW", `${place()} is ${kindOf(value)}, expected a text.`, file);
    }
    const half = LONE_SURROGATE.exec(value);
    if (half === null)
        return value;
    const found = `half a character, \\u${half[0].charCodeAt(0).toString(16)} without its other half`;
    const message = `${place()} holds ${found}. Repair the text or leave the row out.`;
    throw new LowrankError("E_DATA_ROW", message, file);
}
/** @param empty of all files, those without a text */
function noTexts(empty) {
    const [file] = empty;
    const found = empty.length === 1
        ? `Data file ${file} holds no texts: it is empty or has a header only.`
        : `None of the ${empty.length} data files holds texts: ${file} and the others are empty or have a header only.`;
    return new LowrankError("E_DATA_EMPTY", found, file);
}
/**
 * The texts of every file, a block at a time; the extension says how a file is read. No file is held whole.
 * @param files as `dataFiles` gives them
 * @param warn called with what is odd and no error: a file without texts beside others that have some
 * @throws LowrankError naming the file and its line or row
 */
export async function* textBlocks(files, options, warn) {
    const empty = [];
    for (const file of files) {
        const closePipe = openPipe(file);
        try {
            const { unit, read } = await formatOf(file, options);
            let found = false;
            for await (const rows of read(file, options)) {
                if (rows.length === 0)
                    continue;
                found = true;
                yield { file, unit, rows: rows.map((row) => ({ text: textOf(row, options.column, file, unit), at: row.at })) };
            }
            if (!found)
                empty.push(file);
        }
        finally {
            closePipe();
        }
    }
    if (empty.length === files.length)
        throw noTexts(empty);
    for (const file of empty)
        warn?.(`data file ${file} holds no texts: it is empty or has a header only`);
}
/**
 * Where some texts of files come from: "train.jsonl, line 12". Reads the files again up to the last of them.
 * @param numbers of texts, counted from 0, in order
 */
export async function placesOf(files, options, numbers) {
    const places = [];
    let before = 0;
    for await (const { file, unit, rows } of textBlocks(files, options)) {
        for (let row = rows[numbers[places.length] - before]; row; row = rows[numbers[places.length] - before]) {
            places.push(`${file}, ${unit} ${row.at}`);
        }
        if (places.length === numbers.length)
            break;
        before += rows.length;
    }
    return numbers.map((n, i) => places[i] ?? `text ${n + 1}`);
}
/**
 * The texts of every file, held in memory.
 * @param names files, folders and patterns, see `dataFiles`
 * @param from the column that holds the text, or all that decides how files are read
 * @throws LowrankError naming the file and its line or row
 */
export async function readTexts(names, from) {
    const options = typeof from === "string" ? { column: from } : from;
    const texts = new TextRows();
    for await (const { file, unit, rows } of textBlocks(dataFiles(names).files, options)) {
        if (texts.files.at(-1) !== file)
            texts.begin(file, unit);
        for (const { text, at } of rows)
            texts.add(text, at);
    }
    return texts;
}
