import { LowrankError } from "../../base/errors.js";
import { suggestion } from "../../base/nearest.js";
/** Names that an error lists and compares with the wanted one: a file may have any number, of any length. */
const MOST_NAMES = 50;
const LONGEST_NAME = 100;
/**
 * @param place the file, with the line or row where it has any
 * @param advice what the file looks like and what to do; else to name a column
 */
export function noColumn(place, column, found, file, advice) {
    const names = found.filter((name) => name.length <= LONGEST_NAME).slice(0, MOST_NAMES);
    const more = found.length > names.length ? ` and ${found.length - names.length} more` : "";
    return new LowrankError("E_TEXT_COLUMN", `${place}: there is no column "${column}"${suggestion(column, names)}. ` +
        `Columns found: ${names.join(", ") || "none"}${more}. ${advice ?? "Name one with --text_column."}`, file);
}
