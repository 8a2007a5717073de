// Three additions to JSON.parse: NaN and infinities as Python writes them, keys given twice, objects over several
// lines.
import { LowrankError } from "../../base/errors.js";
import { readExactJson } from "../../base/exact-json.js";
import { isObject, jsonProblem, kindOf } from "../../base/json.js";
import { type Column, noColumn } from "./format.js";
import { AS_RECORDS, fieldAdvice, TABLE_ADVICE } from "./json-field.js";

/** Behind the end of a JSON text whose opening quote is at `at`; Infinity where it does not end. */
export function afterText(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text[before - 1] === "\\") before--;
    if ((end - before) % 2 === 0) return end + 1;
  }
  return Number.POSITIVE_INFINITY;
}

/** Python's constants as numbers of the same length, so that places in an error stay right. */
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

/** Characters from which on a row is thinned out before it is parsed. */
const LARGE = 1 << 20;
/** Characters of an array or an object that is worth that. */
const SPARED = 1024;

/** A text of blanks with the same number of lines, and of characters in the last line. */
function blank(text: string): string {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return "\n".repeat(lines) + " ".repeat(text.length - text.lastIndexOf("\n") - 1);
}

/** Whether nothing in arrays and objects of a row is wanted. */
export function isThinnable(columns: Column[]): boolean {
  return columns.every(({ holds }) => holds === "texts");
}

/**
 * A large row without the contents of its columns' arrays and objects, none of which is a text. Parsed, a few bytes of them can
 * take a hundred. Places in the result are the row's places. An array that begins with an object still does.
 */
function thinned(text: string): string {
  if (text.length < LARGE) return text;
  // An array is no row; only that it is one is looked at.
  const most = /\S/.exec(text)?.[0] === "[" ? 1 : 2;
  const token = /["[\]{}]/g;
  let thin = "";
  let from = 0;
  let depth = 0;
  let begin = 0;
  const leaveOut = (end: number) => {
    if (end - begin < SPARED) return;
    const inner = text.slice(begin, end);
    const isRows = text[begin - 1] === "[" && /\S/.exec(inner)?.[0] === "{";
    thin +=
      text.slice(from, begin) + (isRows ? `{}${blank(inner.includes("\n") ? inner : inner.slice(2))}` : blank(inner));
    from = end;
  };
  for (let found = token.exec(text); found; found = token.exec(text)) {
    if (found[0] === '"') token.lastIndex = afterText(text, found.index);
    else if (found[0] === "[" || found[0] === "{") {
      if (++depth === most) begin = found.index + 1;
    } else if (depth-- === most) leaveOut(found.index);
  }
  if (depth >= most) leaveOut(text.length);
  return thin + text.slice(from);
}

/**
 * A row as JSON.parse gives it, NaN being -0.
 * @param isThin whether the arrays and objects of a large row come out empty
 * @throws SyntaxError
 */
export function parse(text: string, isThin: boolean): unknown {
  return parseThin(isThin ? thinned(text) : text);
}

function parseThin(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return JSON.parse(withoutConstants(text));
  }
}

/** Makes an error of the parser's reason and its 1-based place in the parsed text. */
export type Fail = (reason: string, at: { line: number; column: number }, cause?: unknown) => LowrankError;

/** A row as `parse` gives it. @throws the error that `fail` makes of the parser's reason */
export function parseValue(text: string, isThin: boolean, fail: Fail): unknown {
  const thin = isThin ? thinned(text) : text;
  try {
    return parseThin(thin);
  } catch (error) {
    const { reason, ...at } = jsonProblem(error, thin);
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

/** Advice on an object that is no row: it may hold a whole table, or rows under a key. */
function adviceOn(object: Record<string, unknown>, column: string): string | undefined {
  const names = Object.keys(object);
  if (Array.isArray(object.columns) && Array.isArray(object.data)) {
    return `It looks like a table that pandas wrote with orient="split": ${AS_RECORDS}.`;
  }
  const lists = names.filter((name) => Array.isArray(object[name]) && isObject((object[name] as unknown[])[0]));
  if (lists.length > 0) return fieldAdvice(lists);
  const first = object[names[0] ?? ""];
  if (isObject(first) && Object.hasOwn(first, column)) {
    return `It looks like a table that pandas wrote with orient="index", or rows under keys: ${AS_RECORDS}.`;
  }
  return undefined;
}

/**
 * The wanted values of a row.
 * @param text that the row was parsed from @param place the file with line or row
 * @throws LowrankError E_DATA_ROW, E_TEXT_COLUMN
 */
export function wantedValues(row: unknown, text: string, columns: Column[], place: string, file: string): unknown[] {
  if (!isObject(row)) {
    throw new LowrankError("E_DATA_ROW", `${place}: found ${kindOf(row)}, expected an object with columns.`, file);
  }
  const exact = columns.some(({ holds }) => holds === "values") ? readExactJson(text, row) : row;
  const own = exact instanceof Map ? (exact as Map<string, unknown>) : undefined;
  return columns.map((column) => {
    const value = wantedValue(row, text, column, place, file);
    return own && column.holds === "values" ? (own.get(column.name) ?? null) : value;
  });
}

function wantedValue(
  row: Record<string, unknown>,
  text: string,
  { name: column, holds, isOptional }: Column,
  place: string,
  file: string,
): unknown {
  if (!Object.hasOwn(row, column) && isOptional) return null;
  if (!Object.hasOwn(row, column)) throw noColumn(place, column, Object.keys(row), file, adviceOn(row, column));
  if (isGivenTwice(text, column)) {
    throw new LowrankError("E_DATA_ROW", `${place}: the key "${column}" is given twice. Leave one out.`, file);
  }
  const value = row[column];
  if (holds === "values") return value;
  if (isObject(value) || Array.isArray(value)) {
    const found = `column "${column}" is ${kindOf(value)}, expected a text`;
    throw new LowrankError("E_DATA_ROW", `${place}: ${found}. ${TABLE_ADVICE}.`, file);
  }
  return Object.is(value, -0) ? Number.NaN : value;
}
