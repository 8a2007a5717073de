// Python's values, as far as templates meet them: text is a string, int a number or bigint, float a `Float`, list an array, tuple
// a `Tuple`, dict a Map, None null. Their printing, truth, equality and order are Python's.
import { Float } from "../../base/exact-json.js";

export { Float };

/** A template that cannot be rendered, or that raised an error of its own. `line` is set by the statement that failed. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
  line?: number;
}

export function fail(message: string): never {
  throw new TemplateError(message);
}

export class Tuple extends Array<Value> {
  static override get [Symbol.species]() {
    return Array;
  }
  static of2(...items: Value[]): Tuple {
    const tuple = new Tuple();
    for (const item of items) tuple.push(item);
    return tuple;
  }
}

/** The value of a missing name or key: it prints as nothing, is false and empty, and any other use fails. */
export class Undefined {
  constructor(readonly hint: string) {}
  raise(): never {
    return fail(this.hint);
  }
}

/** Text marked as safe: `+` escapes the text that is added to it. */
export class Markup {
  constructor(readonly text: string) {}
}

export class Namespace {
  constructor(readonly values: Map<string, Value>) {}
}

export interface Arguments {
  positional: Value[];
  named: Map<string, Value>;
}

export class Callable {
  constructor(
    readonly label: string,
    readonly call: (given: Arguments) => Value,
    /** Attributes, of `loop` only. */
    readonly attribute?: (name: string) => Value | undefined,
  ) {}
}

export type Dict = Map<Value, Value>;
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Float
  | Markup
  | Undefined
  | Namespace
  | Callable
  | Value[]
  | Map<Value, Value>;

/** A row's value (plain objects, arrays, numbers; `Float`, bigint and Map as they are) as a template's. */
export function toValue(value: unknown): Value {
  if (value === undefined) return null;
  if (typeof value === "number") return Number.isInteger(value) ? integer(BigInt(value)) : new Float(value);
  if (typeof value === "bigint") return integer(value);
  if (value === null || typeof value !== "object") return value as Value;
  if (value instanceof Float) return value;
  if (Array.isArray(value)) return value.map(toValue);
  const entries = value instanceof Map ? value : Object.entries(value);
  const dict: Dict = new Map();
  for (const [key, item] of entries) dict.set(key as Value, toValue(item));
  return dict;
}

export function integer(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** Characters that Python's `str.isspace` names. */
export const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const BREAKS = "\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029";
/** `str.splitlines`. */
export function splitLines(text: string, keepEnds: boolean): string[] {
  const lines = text.match(new RegExp(`[^${BREAKS}]*(?:\\r\\n|[${BREAKS}])|[^${BREAKS}]+$`, "g")) ?? [];
  return keepEnds ? lines : lines.map((line) => line.replace(new RegExp(`(?:\\r\\n|[${BREAKS}])$`), ""));
}

const SURROGATE = /[\ud800-\udfff]/;
/** A text's characters where it has some outside the basic plane, else itself: both have length and indices in characters. */
export function characters(text: string): string | string[] {
  return SURROGATE.test(text) ? Array.from(text) : text;
}

export const isText = (value: Value): value is string | Markup => typeof value === "string" || value instanceof Markup;
export const isInteger = (value: Value): value is number | bigint | boolean =>
  typeof value === "number" || typeof value === "bigint" || typeof value === "boolean";
export const isNumber = (value: Value): value is number | bigint | boolean | Float =>
  isInteger(value) || value instanceof Float;

export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  if (typeof value === "boolean") return "bool";
  if (isInteger(value)) return "int";
  if (typeof value === "string") return "str";
  if (value instanceof Tuple) return "tuple";
  if (Array.isArray(value)) return "list";
  if (value instanceof Map) return "dict";
  return value.constructor.name;
}

export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const [mantissa, power] = value.toExponential().split("e") as [string, string];
  const exponent = Number(power);
  if (value !== 0 && (exponent < -4 || exponent >= 16))
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  if (exponent < 0 && value !== 0) {
    const digits = mantissa.replace(/[-.]/g, "");
    return `${value < 0 ? "-" : ""}0.${"0".repeat(-exponent - 1)}${digits}`;
  }
  const plain = value.toString();
  return plain.includes(".") ? plain : `${plain}.0`;
}

const SHORT: Record<string, string> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };
function textRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inside = text.replace(/[\\\p{C}\p{Z}'"]/gu, (at) => {
    if (at === " " || ((at === "'" || at === '"') && at !== quote)) return at;
    if (at === quote) return `\\${at}`;
    const code = at.codePointAt(0)!;
    const hex = code.toString(16);
    return (
      SHORT[at] ??
      (code < 256
        ? `\\x${hex.padStart(2, "0")}`
        : code < 65536
          ? `\\u${hex.padStart(4, "0")}`
          : `\\U${hex.padStart(8, "0")}`)
    );
  });
  return quote + inside + quote;
}

export function repr(value: Value): string {
  if (typeof value === "string") return textRepr(value);
  if (value instanceof Markup) return `Markup(${textRepr(value.text)})`;
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Tuple) return `(${value.map(repr).join(", ")}${value.length === 1 ? "," : ""})`;
  if (Array.isArray(value)) return `[${value.map(repr).join(", ")}]`;
  if (value instanceof Map) return `{${[...value].map(([key, item]) => `${repr(key)}: ${repr(item)}`).join(", ")}}`;
  return str(value);
}

export function str(value: Value): string {
  if (typeof value === "string") return value;
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) return "";
  if (value instanceof Callable || value instanceof Namespace) return fail(`cannot print ${typeName(value)}`);
  return repr(value);
}

export function truthy(value: Value): boolean {
  if (typeof value === "object") {
    if (value === null || value instanceof Undefined) return false;
    if (Array.isArray(value)) return value.length > 0;
    if (value instanceof Map) return value.size > 0;
    if (value instanceof Float) return value.value !== 0;
    if (value instanceof Markup) return value.text !== "";
    return true;
  }
  return Boolean(value);
}

/** A number to compute with: bool as 0 or 1, float as its value. */
export const plain = (value: number | bigint | boolean | Float): number | bigint =>
  value instanceof Float ? value.value : typeof value === "boolean" ? Number(value) : value;

export function equal(a: Value, b: Value): boolean {
  if (a === b) return true;
  // biome-ignore lint/suspicious/noDoubleEquals: a number and a bigint are the same int
  if (isNumber(a) && isNumber(b)) return plain(a) == plain(b);
  if (isText(a) && isText(b)) return str(a) === str(b);
  if (Array.isArray(a) && Array.isArray(b))
    return (
      a instanceof Tuple === b instanceof Tuple && a.length === b.length && a.every((item, i) => equal(item, b[i]!))
    );
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([key, item]) => b.has(key) && equal(item, b.get(key)!));
  return a instanceof Undefined && b instanceof Undefined;
}

export function compare(a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) {
    const [x, y] = [plain(a), plain(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (isText(a) && isText(b)) {
    const [x, y] = [characters(str(a)), characters(str(b))];
    if (typeof x === "string" && typeof y === "string") return x < y ? -1 : x > y ? 1 : 0;
    return compare(
      Array.from(x, (at) => at.codePointAt(0)!),
      Array.from(y, (at) => at.codePointAt(0)!),
    );
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) if (!equal(a[i]!, b[i]!)) return compare(a[i]!, b[i]!);
    return a.length - b.length;
  }
  if (a instanceof Undefined) a.raise();
  if (b instanceof Undefined) b.raise();
  return fail(`'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

export function iterate(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value;
  if (isText(value)) return Array.from(str(value));
  if (value instanceof Map) return [...value.keys()];
  if (value instanceof Undefined) return [];
  return fail(`'${typeName(value)}' object is not iterable`);
}

export function unpackPair(value: Value): [Value, Value] {
  const items = iterate(value);
  if (items.length !== 2) fail(`expected a pair, found ${items.length} items`);
  return [keyOf(items[0] as Value), items[1] as Value];
}

export function contains(whole: Value, part: Value): boolean {
  if (isText(whole)) {
    if (!isText(part)) fail(`'in <string>' requires string as left operand, not ${typeName(part)}`);
    return str(whole).includes(str(part));
  }
  if (whole instanceof Map) return whole.has(keyOf(part));
  return iterate(whole).some((item) => equal(item, part));
}

/** A value as a dict's key: equal keys are the same one. */
export function keyOf(value: Value): Value {
  if (value instanceof Markup) return value.text;
  if (value instanceof Float && Number.isInteger(value.value)) return integer(BigInt(value.value));
  if (Array.isArray(value) || value instanceof Map) fail(`unhashable type: '${typeName(value)}'`);
  return value;
}

export function length(value: Value): number {
  if (isText(value)) return characters(str(value)).length;
  if (Array.isArray(value)) return value.length;
  if (value instanceof Map) return value.size;
  if (value instanceof Undefined) return 0;
  return fail(`object of type '${typeName(value)}' has no len()`);
}

const HTML: Record<string, string> = { "&": "&amp;", ">": "&gt;", "<": "&lt;", "'": "&#39;", '"': "&#34;" };
export function escapeHtml(value: Value): Markup {
  return value instanceof Markup ? value : new Markup(str(value).replace(/[&<>'"]/g, (at) => HTML[at]!));
}
