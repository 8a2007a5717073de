// JSON Lines, and one JSON array of objects.
import { LowrankError } from "../../errors.js";
import { isObject, jsonProblem, kindOf } from "../../model/index.js";
import type { Format, Row } from "./format.js";
import { readElements } from "./json-elements.js";
import { readLines } from "./lines.js";
import { readStart } from "./source.js";

/** An object of the file. `at` names its place in an error. */
function asColumns(value: unknown, file: string, at: string): Record<string, unknown> {
  if (isObject(value)) return value;
  throw new LowrankError(
    "E_DATA_ROW",
    `${file}, ${at}: found ${kindOf(value)}, expected an object with columns.`,
    file,
  );
}

function parseLine(text: string, file: string, number: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { column, reason } = jsonProblem(error, text);
    throw new LowrankError(
      "E_JSON",
      `${file}, line ${number}, column ${column}: not valid JSON: ${reason}. Every line must hold one whole JSON object.`,
      file,
      { cause: error },
    );
  }
}

export const jsonLines: Format = {
  extensions: [".jsonl", ".ndjson"],
  gzip: true,
  unit: "line",
  async *read(file) {
    for await (const lines of readLines(file)) {
      const rows: Row[] = [];
      for (const { text, number } of lines) {
        if (text.trim() === "") continue;
        rows.push({ columns: asColumns(parseLine(text, file, number), file, `line ${number}`), at: number });
      }
      yield rows;
    }
  },
};

export const jsonArray: Format = {
  extensions: [".json"],
  gzip: true,
  unit: "row",
  async *read(file) {
    let at = 0;
    for await (const values of readElements(file)) {
      yield values.map((value) => ({ columns: asColumns(value, file, `row ${++at}`), at }));
    }
  },
};

/** Whether a .json file begins with something else than an array: then it is taken for JSON Lines. */
export async function looksLikeJsonLines(file: string): Promise<boolean> {
  const text = (await readStart(file)).toString("utf8", 0, 4096);
  return !/^\uFEFF?\s*(\[|$)/.test(text);
}
