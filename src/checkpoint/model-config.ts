// config.json of another model folder. Its numbers stay as they are written: transformers refuses 3 where it expects 3.0.
import { exactJson, Float, readExactJson } from "../base/exact-json.js";
import { isObject, readJsonObject } from "../base/json.js";
import { readText } from "../base/system-errors.js";

const entriesOf = (value: unknown): [string, unknown][] | undefined =>
  value instanceof Map ? [...value] : isObject(value) && !(value instanceof Float) ? Object.entries(value) : undefined;

/** As JSON.stringify with an indent of 2, of values as `readExactJson` has them. */
function indented(value: unknown, indent = ""): string {
  const within = `${indent}  `;
  const block = (open: string, parts: string[], close: string) =>
    parts.length === 0 ? open + close : `${open}\n${parts.map((part) => within + part).join(",\n")}\n${indent}${close}`;
  if (Array.isArray(value)) {
    const parts = value.map((one) => indented(one, within));
    return block("[", parts, "]");
  }
  const entries = entriesOf(value);
  if (!entries) return exactJson(value);
  const parts = entries.map(([key, one]) => `${JSON.stringify(key)}: ${indented(one, within)}`);
  return block("{", parts, "}");
}

/**
 * The text of a config.json with some keys changed, sorted as transformers sorts them.
 * @param changes undefined removes a key; a `Float` is written with a point
 * @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8, E_JSON
 */
export function changedConfig(file: string, changes: Record<string, unknown>): string {
  readJsonObject(file); // what is wrong with it, in full
  const all = new Map(entriesOf(readExactJson(readText(file))));
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) all.delete(key);
    else all.set(key, value);
  }
  return `${indented(new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1))))}\n`;
}
