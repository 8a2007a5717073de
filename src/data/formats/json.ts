// JSON Lines, and one JSON array of objects.
import { closeSync, openSync, readSync } from "node:fs";
import { LowrankError } from "../../errors.js";
import { isObject, jsonProblem, kindOf, parseJson } from "../../model/index.js";
import { readError, readText } from "../../system-errors.js";
import type { Format, Row } from "./format.js";
import { readLines } from "./lines.js";

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
  unit: "row",
  async *read(file) {
    const values = parseJson(readText(file, "Data file"), file) as unknown[];
    yield values.map((value, i) => ({ columns: asColumns(value, file, `row ${i + 1}`), at: i + 1 }));
  },
};

/** Whether a .json file begins with something else than an array: then it is taken for JSON Lines. */
export function looksLikeJsonLines(file: string): boolean {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, "r");
    const start = Buffer.alloc(4096);
    const text = start.toString("utf8", 0, readSync(descriptor, start, 0, start.length, 0));
    return !/^\uFEFF?\s*(\[|$)/.test(text);
  } catch (error) {
    throw readError(error, file, "Data file");
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
