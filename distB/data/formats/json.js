import { readElements } from "./json-elements.js";
import { readObjects } from "./json-objects.js";
import { wantedValue } from "./json-text.js";
import { readUtf8 } from "./utf8.js";
const EXTENSIONS = [".jsonl", ".ndjson", ".json"];
export const jsonLines = {
    extensions: EXTENSIONS,
    gzip: true,
    unit: "line",
    async *read(file, options) {
        for await (const values of readObjects(file, options)) {
            yield values.map(({ value, text, at }) => ({
                value: wantedValue(value, text, options, `${file}, line ${at}`, file),
                at,
            }));
        }
    },
};
export const jsonArray = {
    extensions: EXTENSIONS,
    gzip: true,
    unit: "row",
    async *read(file, options) {
        let at = 0;
        // `datasets` reads an array of texts as a column of that name.
        let isTexts;
        for await (const elements of readElements(file, options)) {
            const rows = [];
            for (const { value, text } of elements) {
                at++;
                isTexts ??= typeof value === "string" && options.column === "text";
                const isText = isTexts && typeof value === "string";
                rows.push({ value: isText ? value : wantedValue(value, text, options, `${file}, row ${at}`, file), at });
            }
            yield rows;
        }
    },
};
/** What a JSON file is, by its beginning, whatever its extension says. */
export async function jsonFormOf(file, { jsonField }) {
    if (jsonField !== undefined)
        return jsonArray;
    for await (const chunk of readUtf8(file)) {
        const text = chunk.toString("utf8", 0, 4096).trimStart();
        if (text !== "")
            return text.startsWith("[") ? jsonArray : jsonLines;
    }
    return jsonLines;
}
