// `json.dumps` as the `tojson` filter calls it.
import { Float, fail, floatText, isInteger, isText, str, typeName, type Value } from "./values.js";

export interface JsonOptions {
  ascii: boolean;
  indent: string | undefined;
  separators: readonly [item: string, key: string];
  sort: boolean;
}

function number(value: Float): string {
  if (Number.isNaN(value.value)) return "NaN";
  if (!Number.isFinite(value.value)) return value.value > 0 ? "Infinity" : "-Infinity";
  return floatText(value.value);
}

function quoted(text: string, ascii: boolean): string {
  const json = JSON.stringify(text).replace(/\\u(d[89a-f][\da-f]{2})/g, (_, code) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  if (!ascii) return json;
  return json.replace(/[^ -~]/g, (at) => `\\u${at.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function keyText(key: Value): string {
  if (isText(key)) return str(key);
  if (key === null) return "null";
  if (typeof key === "boolean") return String(key);
  if (isInteger(key)) return String(key);
  return key instanceof Float ? number(key) : fail(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

export function toJson(value: Value, options: JsonOptions, depth = 0): string {
  if (isText(value)) return quoted(str(value), options.ascii);
  if (value === null || typeof value === "boolean") return String(value);
  if (isInteger(value)) return String(value);
  if (value instanceof Float) return number(value);
  const inside = (open: string, close: string, items: string[]) => {
    if (items.length === 0) return open + close;
    if (options.indent === undefined) return open + items.join(options.separators[0]) + close;
    const line = `\n${options.indent.repeat(depth)}`;
    return `${open}${line}${options.indent}${items.join(options.separators[0] + line + options.indent)}${line}${close}`;
  };
  if (Array.isArray(value))
    return inside(
      "[",
      "]",
      [...value].map((item) => toJson(item, options, depth + 1)),
    );
  if (!(value instanceof Map)) return fail(`Object of type ${typeName(value)} is not JSON serializable`);
  const entries = [...value];
  if (options.sort) entries.sort(([a], [b]) => (str(a) < str(b) ? -1 : 1));
  return inside(
    "{",
    "}",
    entries.map(
      ([key, item]) => quoted(keyText(key), options.ascii) + options.separators[1] + toJson(item, options, depth + 1),
    ),
  );
}
