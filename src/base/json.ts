// JSON with errors that say where.
import { LowrankError } from "./errors.js";
import { readText } from "./system-errors.js";

/** A failed `JSON.parse` of `text`: 1-based line and column, and the parser's reason. */
export function jsonProblem(error: unknown, text: string): { line: number; column: number; reason: string } {
  const { message } = error as Error;
  const position = /at position (\d+)/.exec(message);
  const token = /^Unexpected token '.{1,2}'/su.exec(message);
  const found = position ? Number(position[1]) : token ? unexpectedTokenAt(text) : text.length;
  const at = Math.min(found, text.trimEnd().length);
  const reason = token?.[0] ?? message.replace(/ (in JSON )?at position .*$/s, "");
  return { ...placeIn(text, at), reason };
}

/** 1-based line and column of a text's character. */
export function placeIn(text: string, at: number): { line: number; column: number } {
  const lines = text.slice(0, at).split("\n");
  return { line: lines.length, column: lines.at(-1)!.length + 1 };
}

/**
 * For an unexpected token the parser does not tell its place. A text that ends before the token fails for another
 * reason, so bisection finds it.
 */
function unexpectedTokenAt(text: string): number {
  const holdsIt = (length: number) => {
    try {
      JSON.parse(text.slice(0, length));
      return false;
    } catch (error) {
      return (error as Error).message.startsWith("Unexpected token");
    }
  };
  let without = 0;
  let within = text.length;
  while (within - without > 1) {
    const middle = (without + within) >> 1;
    if (holdsIt(middle)) within = middle;
    else without = middle;
  }
  return without;
}

/** @throws LowrankError E_JSON with file, line and column */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { line, column, reason } = jsonProblem(error, text);
    const found = text.trim() === "" ? "the file is empty" : reason;
    throw new LowrankError("E_JSON", `${file}, line ${line}, column ${column}: not valid JSON: ${found}.`, file, {
      cause: error,
    });
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in words, for an error: "null", "an array", "the number 3". */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return "an object";
  if (typeof value === "string")
    return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value)}`;
  return `the ${typeof value} ${String(value)}`;
}

/** A JSON file that holds an object, of at most `most` bytes. @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8, E_JSON */
export function readJsonObject(file: string, what?: string, most?: number): Record<string, unknown> {
  const value = parseJson(readText(file, what, most), file);
  if (isObject(value)) return value;
  throw new LowrankError("E_JSON", `${file} holds ${kindOf(value)}, expected an object.`, file);
}
