import { Records, SEPARATORS, separatorAdvice } from "./csv-records.js";
import { noColumn } from "./format.js";
import { mostBytes } from "./size.js";
import { readUtf8 } from "./utf8.js";
/** Names of columns as pandas gives them: of two with the same name, the second is `name.1`. */
function columnNames(header) {
    const names = new Set();
    for (const name of header) {
        let own = name;
        for (let n = 1; names.has(own); n++)
            own = `${name}.${n}`;
        names.add(own);
    }
    return [...names];
}
/** Where a header is read with the wrong separator: the right one. */
function rightSeparator(names, column) {
    const isOf = (separator) => names
        .join()
        .split(separator)
        .some((name) => name.replace(/^"(.*)"$/, "$1") === column);
    return names.length === 1 ? Object.values(SEPARATORS).find(isOf) : undefined;
}
/** The wanted column of the records that a scanner gives. */
class Column {
    #file;
    #name;
    /** Whether records are to be looked at that may be several, written without quoting. */
    #isWary;
    /** Number of fields in the header; 0 before it. */
    #fields = 0;
    #index = -1;
    rows = [];
    constructor(file, name, isWary) {
        this.#file = file;
        this.#name = name;
        this.#isWary = isWary;
    }
    add(record) {
        if (this.#fields === 0)
            this.#begin(record);
        else if (record.fields === this.#fields) {
            if (this.#isWary && this.#fields > 1 && record.hasRecordsIn(this.#fields))
                throw this.#doubt(record);
            this.rows.push({ value: record.text(this.#index), at: record.line });
        }
        else {
            const found = `not as many fields as the header has (${record.fields}, not ${this.#fields})`;
            throw record.problem(`${found}; a field with the separator or a line end in it needs quotes`);
        }
    }
    #doubt(record) {
        const found = "a quoted field goes over several lines, each of which would be a record if quotes had no meaning";
        return record.problem(`${found}. Read the file with --csv_quoting none if they have none, else with --csv_quoting minimal`);
    }
    #begin(header) {
        this.#fields = header.fields;
        const names = columnNames(Array.from({ length: header.fields }, (_, i) => header.text(i)));
        this.#index = names.indexOf(this.#name);
        if (this.#index >= 0)
            return;
        const separator = rightSeparator(names, this.#name);
        const advice = separator && separatorAdvice(separator);
        throw noColumn(`${this.#file}, line ${header.line}`, this.#name, names, this.#file, advice);
    }
}
async function* read(file, options, own) {
    const separator = options.csvSeparator ?? own;
    // Text with tabs in each of its lines is rare, and quotes in files with tabs often have no meaning.
    const column = new Column(file, options.column, separator === "tab" && options.csvQuoting === undefined);
    const quotes = options.csvQuoting !== "none";
    const take = (record) => column.add(record);
    const scanner = new Records(file, separator, quotes, mostBytes(options), take);
    for await (const chunk of readUtf8(file)) {
        scanner.push(chunk);
        yield column.rows;
        column.rows = [];
    }
    scanner.end();
    yield column.rows;
}
function separated(extension, separator) {
    return { extensions: [extension], gzip: true, unit: "line", read: (file, options) => read(file, options, separator) };
}
export const csv = separated(".csv", "comma");
export const tsv = separated(".tsv", "tab");
