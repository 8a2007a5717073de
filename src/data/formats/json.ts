// JSON: objects one after the other, or the objects of an array.
import type { Format, ReadOptions, Row } from "./format.js";
import { readElements } from "./json-elements.js";
import { readObjects } from "./json-objects.js";
import { wantedValues } from "./json-text.js";
import { readUtf8 } from "./utf8.js";

const EXTENSIONS = [".jsonl", ".ndjson", ".json"];

export const jsonLines: Format = {
  extensions: EXTENSIONS,
  gzip: true,
  unit: "line",
  async *read(file, columns, options) {
    for await (const objects of readObjects(file, columns, options)) {
      yield objects.map(({ value, text, at }) => ({
        values: wantedValues(value, text, columns, `${file}, line ${at}`, file),
        at,
      }));
    }
  },
};

export const jsonArray: Format = {
  extensions: EXTENSIONS,
  gzip: true,
  unit: "row",
  async *read(file, columns, options) {
    const isTextAlone = columns.every(({ name, isOptional }) => name === "text" || isOptional);
    const asRow = (value: string) => columns.map(({ name }) => (name === "text" ? value : null));
    let at = 0;
    // `datasets` reads an array of texts as a column of that name.
    let isTexts: boolean | undefined;
    for await (const elements of readElements(file, columns, options)) {
      const rows: Row[] = [];
      for (const { value, text } of elements) {
        at++;
        isTexts ??= typeof value === "string" && isTextAlone;
        const isText = isTexts && typeof value === "string";
        rows.push({
          values: isText ? asRow(value) : wantedValues(value, text, columns, `${file}, row ${at}`, file),
          at,
        });
      }
      yield rows;
    }
  },
};

/** The form of a JSON file by its beginning, whatever its extension says. */
export async function jsonFormOf(file: string, { jsonField }: ReadOptions): Promise<Format> {
  if (jsonField !== undefined) return jsonArray;
  for await (const chunk of readUtf8(file)) {
    const text = chunk.toString("utf8", 0, 4096).trimStart();
    if (text !== "") return text.startsWith("[") ? jsonArray : jsonLines;
  }
  return jsonLines;
}
