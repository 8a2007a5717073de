// What JSON.parse does not do: NaN and infinities as Python writes them, keys given twice, objects over several lines.
import { LowrankError } from "../../errors.js";
import { isObject, jsonProblem, kindOf } from "../../model/index.js";
import { noColumn, type ReadOptions } from "./format.js";
import { fieldAdvice } from "./json-field.js";

/** Behind the end of a JSON text whose opening quote is at `at`; Infinity where it does not end. */
export function afterText(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text[before - 1] === "\\") before--;
    if ((end - before) % 2 === 0) return end + 1;
  }
  return Number.POSITIVE_INFINITY;
}

/** What Python writes, as numbers of the same length, so that places in an error stay right. */
const CONSTANTS: Record<string, string> = { NaN: "-0 ", Infinity: "1e999   ", "-Infinity": "-1e999   " };

function withoutConstants(text: string): string {
  const token = /"|-?Infinity|NaN/g;
  let numbers = "";
  let from = 0;
  for (let found = token.exec(text); found; found = token.exec(text)) {
    const number = CONSTANTS[found[0]];
    if (number === undefined) token.lastIndex = afterText(text, found.index);
    else {
      numbers += text.slice(from, found.index) + number;
      from = token.lastIndex;
    }
  }
  return numbers + text.slice(from);
}

/** A value as JSON.parse gives it, NaN being -0. @throws SyntaxError */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return JSON.parse(withoutConstants(text));
  }
}

/** Makes an error of the parser's reason and its 1-based place in what was parsed. */
export type Fail = (reason: string, at: { line: number; column: number }, cause?: unknown) => LowrankError;

/** @throws what `fail` makes of the parser's reason */
export function parseValue(text: string, fail: Fail): unknown {
  try {
    return parse(text);
  } catch (error) {
    const { reason, ...at } = jsonProblem(error, text);
    throw fail(reason, at, error);
  }
}

/** How often an object has a key, as it is written. @param text valid JSON */
function timesGiven(text: string, key: string): number {
  const token = /["[\]{}]/g;
  const colon = /\s*:/y;
  let depth = 0;
  let times = 0;
  for (let found = token.exec(text); found; found = token.exec(text)) {
    if (found[0] === '"') {
      token.lastIndex = afterText(text, found.index);
      colon.lastIndex = token.lastIndex;
      if (depth === 1 && text.slice(found.index, token.lastIndex) === key && colon.test(text)) times++;
    } else depth += found[0] === "[" || found[0] === "{" ? 1 : -1;
  }
  return times;
}

function isGivenTwice(text: string, column: string): boolean {
  const key = JSON.stringify(column);
  const first = text.indexOf(key);
  return first >= 0 && text.includes(key, first + key.length) && timesGiven(text, key) > 1;
}

const RECORDS = 'to_json(path, orient="records", lines=True)';

/** What an object is that is no row: a whole table in it, or rows under a key. */
function adviceOn(object: Record<string, unknown>, column: string): string | undefined {
  const names = Object.keys(object);
  if (Array.isArray(object.columns) && Array.isArray(object.data)) {
    return `It looks like a table that pandas wrote with orient="split": write it by ${RECORDS}.`;
  }
  const lists = names.filter((name) => Array.isArray(object[name]) && isObject((object[name] as unknown[])[0]));
  if (lists.length > 0) return fieldAdvice(lists);
  const first = object[names[0] ?? ""];
  if (isObject(first) && Object.hasOwn(first, column)) {
    return `It looks like a table that pandas wrote with orient="index", or rows under keys: write it by ${RECORDS}.`;
  }
  return undefined;
}

/**
 * The wanted value of a row.
 * @param text that the row was parsed from @param place the file with line or row
 * @throws LowrankError E_DATA_ROW, E_TEXT_COLUMN
 */
export function wantedValue(row: unknown, text: string, { column }: ReadOptions, place: string, file: string): unknown {
  if (!isObject(row)) {
    throw new LowrankError("E_DATA_ROW", `${place}: found ${kindOf(row)}, expected an object with columns.`, file);
  }
  if (!Object.hasOwn(row, column)) throw noColumn(place, column, Object.keys(row), file, adviceOn(row, column));
  if (isGivenTwice(text, column)) {
    throw new LowrankError("E_DATA_ROW", `${place}: the key "${column}" is given twice. Leave one out.`, file);
  }
  const value = row[column];
  if (isObject(value) || Array.isArray(value)) {
    const found = `column "${column}" is ${kindOf(value)}, expected a text`;
    const table = `If this is a table by columns, as pandas' to_json(path) writes it, write it by ${RECORDS}`;
    throw new LowrankError("E_DATA_ROW", `${place}: ${found}. ${table}.`, file);
  }
  return Object.is(value, -0) ? Number.NaN : value;
}
