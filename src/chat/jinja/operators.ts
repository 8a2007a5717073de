// Python's operators, attributes and items.

import { methodOf } from "./methods.js";
import {
  Callable,
  characters,
  compare,
  contains,
  equal,
  escapeHtml,
  Float,
  fail,
  integer,
  isInteger,
  isNumber,
  isText,
  iterate,
  keyOf,
  length,
  Markup,
  Namespace,
  plain,
  repr,
  str,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

function unsupported(operator: string, a: Value, b: Value): never {
  if (a instanceof Undefined) a.raise();
  if (b instanceof Undefined) b.raise();
  return fail(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`);
}

export function add(a: Value, b: Value): Value {
  if (typeof a === "string" && typeof b === "string") return a + b;
  if (isText(a) && isText(b)) return new Markup(escapeHtml(a).text + escapeHtml(b).text);
  if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple)
    return a instanceof Tuple ? Tuple.of2(...a, ...b) : [...a, ...b];
  return arithmetic("+", a, b);
}

const floorDivide = (x: bigint, y: bigint) => x / y - (x % y !== 0n && x < 0n !== y < 0n ? 1n : 0n);

/** + - * / // % ** of numbers; * of texts and lists; % of texts. */
export function arithmetic(operator: string, a: Value, b: Value): Value {
  if (operator === "*" && (isText(a) || Array.isArray(a)) && isInteger(b)) return repeated(a, Number(b));
  if (operator === "*" && (isText(b) || Array.isArray(b)) && isInteger(a)) return repeated(b, Number(a));
  if (operator === "%" && isText(a)) return percent(str(a), b);
  if (!isNumber(a) || !isNumber(b)) return unsupported(operator, a, b);
  const zero = Number(plain(b)) === 0;
  if (zero && /^(\/|\/\/|%)$/.test(operator)) fail("division by zero");
  if (isInteger(a) && isInteger(b) && operator !== "/" && !(operator === "**" && Number(b) < 0)) {
    const [x, y] = [BigInt(a), BigInt(b)];
    if (operator === "+") return integer(x + y);
    if (operator === "-") return integer(x - y);
    if (operator === "*") return integer(x * y);
    if (operator === "//") return integer(floorDivide(x, y));
    if (operator === "%") return integer(x - y * floorDivide(x, y));
    return y > 10000n ? fail("the power is too large") : integer(x ** y);
  }
  const [x, y] = [Number(plain(a)), Number(plain(b))];
  if (operator === "+") return new Float(x + y);
  if (operator === "-") return new Float(x - y);
  if (operator === "*") return new Float(x * y);
  if (operator === "/") return new Float(x / y);
  if (operator === "**") return new Float(x ** y);
  const rest = x % y;
  const modulo = rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
  return new Float(operator === "%" ? modulo : Math.round((x - modulo) / y));
}

function repeated(value: Value, times: number): Value {
  const count = Math.max(0, times);
  if (count * length(value) > 1e7) fail("the repeated value is too long");
  if (isText(value)) return value instanceof Markup ? new Markup(value.text.repeat(count)) : str(value).repeat(count);
  const items = Array.from({ length: count }, () => value as Value[]).flat(1);
  return value instanceof Tuple ? Tuple.of2(...items) : items;
}

/** `text % value`: %s, %r, %d, %i, %f with width and precision. */
function percent(format: string, value: Value): string {
  const values = value instanceof Tuple ? [...value] : [value];
  let used = 0;
  const text = format.replace(
    /%(?:\((\w+)\))?([-0]?)(\d*)(?:\.(\d+))?(.)/gsu,
    (all, key, flag, width, precision, kind) => {
      if (all === "%%") return "%";
      if (key === undefined && used >= values.length) fail("not enough arguments for format string");
      const item =
        key === undefined
          ? values[used++]!
          : value instanceof Map
            ? (value.get(key) ?? fail(`no key '${key}'`))
            : fail("format requires a mapping");
      let shown: string;
      if (kind === "s") shown = str(item).slice(0, precision === undefined ? undefined : Number(precision));
      else if (kind === "r") shown = repr(item);
      else if ((kind === "d" || kind === "i") && isNumber(item)) shown = String(Math.trunc(Number(plain(item))));
      else if (kind === "f" && isNumber(item)) shown = Number(plain(item)).toFixed(Number(precision ?? 6));
      else return fail(`format ${all} of ${typeName(item)} is not supported`);
      if (flag === "-") return shown.padEnd(Number(width));
      return flag === "0" && kind !== "s" ? shown.padStart(Number(width), "0") : shown.padStart(Number(width));
    },
  );
  if (used < values.length && !(value instanceof Map)) fail("not all arguments converted during string formatting");
  return text;
}

export function compared(operator: string, a: Value, b: Value): boolean {
  switch (operator) {
    case "==":
      return equal(a, b);
    case "!=":
      return !equal(a, b);
    case "in":
      return contains(b, a);
    case "not in":
      return !contains(b, a);
    case "<":
      return compare(a, b) < 0;
    case "<=":
      return compare(a, b) <= 0;
    case ">":
      return compare(a, b) > 0;
    default:
      return compare(a, b) >= 0;
  }
}

/** An item by key or index; undefined where there is none. */
function found(value: Value, key: Value): Value | undefined {
  if (value instanceof Map) return Array.isArray(key) || key instanceof Map ? undefined : value.get(keyOf(key));
  if (!isInteger(key)) return undefined;
  const all = isText(value) ? characters(str(value)) : Array.isArray(value) ? value : undefined;
  if (all === undefined) return undefined;
  const index = Number(key);
  return all[index < 0 ? all.length + index : index];
}

function missing(value: Value, name: Value): Undefined {
  if (value instanceof Undefined) value.raise();
  return new Undefined(`'${typeName(value)} object' has no attribute ${repr(name)}`);
}

/** The found value, null too; else an error that it is missing. */
const or = (held: Value | undefined, value: Value, name: string): Value =>
  held === undefined ? missing(value, name) : held;

/** `value.name`: an attribute or method, else an item. */
export function attribute(value: Value, name: string): Value {
  if (value instanceof Undefined) value.raise();
  if (value instanceof Namespace) return or(value.values.get(name), value, name);
  if (value instanceof Callable) return value.attribute?.(name) ?? missing(value, name);
  return methodOf(value, name) ?? or(found(value, name), value, name);
}

/** `value[key]`: an item, else an attribute or method. */
export function item(value: Value, key: Value): Value {
  if (value instanceof Undefined) value.raise();
  const held = found(value, key);
  if (held !== undefined) return held;
  return isText(key) && !(value instanceof Map && value.has(str(key)))
    ? attribute(value, str(key))
    : missing(value, key);
}

export function slice(value: Value, bounds: readonly Value[]): Value {
  if (value instanceof Undefined) value.raise();
  if (!isText(value) && !Array.isArray(value)) return missing(value, "slice");
  const all = isText(value) ? characters(str(value)) : value;
  const numbers = bounds.map((bound) =>
    bound === null ? undefined : isInteger(bound) ? Number(bound) : fail("slice indices must be integers or None"),
  );
  const [from, to, by = 1] = numbers;
  if (by === 0) fail("slice step cannot be zero");
  const size = all.length;
  const clamp = (at: number) => Math.min(Math.max(at < 0 ? at + size : at, by > 0 ? 0 : -1), by > 0 ? size : size - 1);
  const start = from === undefined ? (by > 0 ? 0 : size - 1) : clamp(from);
  const stop = to === undefined ? (by > 0 ? size : -1) : clamp(to);
  const items: Value[] = [];
  if (by === 1 && typeof all === "string") items.push(all.slice(start, Math.max(start, stop)));
  else for (let at = start; by > 0 ? at < stop : at > stop; at += by) items.push(all[at]!);
  if (isText(value)) return value instanceof Markup ? new Markup(items.join("")) : items.join("");
  return value instanceof Tuple ? Tuple.of2(...items) : items;
}

export function unpack(value: Value, count: number): readonly Value[] {
  const items = iterate(value);
  if (items.length !== count) fail(`expected ${count} values to unpack, found ${items.length}`);
  return items;
}
