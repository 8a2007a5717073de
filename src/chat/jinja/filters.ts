// Jinja's filters: `value | NAME(...)`.
import { strip } from "./methods.js";
import { add, arithmetic, attribute, item } from "./operators.js";
import { testOf } from "./tests.js";
import { toJson } from "./tojson.js";
import {
  type Arguments,
  characters,
  compare,
  equal,
  escapeHtml,
  Float,
  fail,
  integer,
  isInteger,
  isNumber,
  isText,
  iterate,
  length,
  Markup,
  plain,
  splitLines,
  str,
  Tuple,
  truthy,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

type Filter = (value: Value, args: Arguments) => Value;
type Given = readonly (Value | undefined)[];

/** A filter with its parameters' names. */
const filter =
  (parameters: string, apply: (value: Value, given: Given) => Value): Filter =>
  (value, { positional, named }) => {
    const names = parameters === "" ? [] : parameters.split(" ");
    if (positional.length > names.length)
      fail(`the filter takes ${names.length} arguments, ${positional.length} were given`);
    for (const key of named.keys()) if (!names.includes(key)) fail(`the filter has no argument '${key}'`);
    return apply(
      value,
      names.map((name, i) => positional[i] ?? named.get(name)),
    );
  };
/** A filter of a text; text that is marked as safe stays so. */
const ofText = (change: (text: string) => string): Filter => filter("", (value) => keepSafe(value, change(str(value))));
const keepSafe = (value: Value, text: string): Value => (value instanceof Markup ? new Markup(text) : text);

const number = (value: Value | undefined, otherwise: number): number =>
  value === undefined
    ? otherwise
    : isNumber(value)
      ? Number(plain(value))
      : fail(`expected a number, got ${typeName(value)}`);
const flag = (value: Value | undefined, otherwise = false): boolean =>
  value === undefined ? otherwise : truthy(value);
const caseless = (value: Value): Value => (isText(value) ? str(value).toLowerCase() : value);

/** An item's value by a dotted path or a number. */
function path(value: Value, name: Value, otherwise?: Value): Value {
  if (!isText(name)) return item(value, name);
  let at = value;
  for (const part of str(name).split(".")) {
    at = item(at, /^\d+$/.test(part) ? Number(part) : part);
    if (otherwise !== undefined && at instanceof Undefined) at = otherwise;
  }
  return at;
}
const getter =
  (name: Value | undefined, respectCase = true) =>
  (value: Value) => {
    const got = name === undefined || name === null ? value : path(value, name);
    return respectCase ? got : caseless(got);
  };

function sorted(items: readonly Value[], key: (value: Value) => Value, reverse: boolean): Value[] {
  const list = [...items].sort((a, b) => (reverse ? compare(key(b), key(a)) : compare(key(a), key(b))));
  return list;
}

function extreme(sign: number): Filter {
  return filter("case_sensitive attribute", (value, [respectCase, name]) => {
    const key = getter(name, flag(respectCase));
    const items = iterate(value);
    if (items.length === 0) return new Undefined("No aggregated item, sequence was empty.");
    return items.reduce((best, one) => (sign * compare(key(one), key(best)) > 0 ? one : best));
  });
}

/** select and reject, of items or of their attributes. */
function chosen(wanted: boolean, byAttribute: boolean): Filter {
  return (value, { positional, named }) => {
    if (named.size > 0) fail("the filter takes no arguments by name");
    const [name, ...rest] = byAttribute ? positional : [undefined, ...positional];
    if (byAttribute && name === undefined) fail("Missing parameter for attribute name");
    const [test, ...args] = rest;
    const holds = test === undefined ? truthy : (one: Value) => testOf(str(test))(one, args as Value[]);
    return iterate(value).filter((one) => holds(byAttribute ? path(one, name!) : one) === wanted);
  };
}

function rounded(value: number, digits: number, method: string): number {
  if (digits < 0 || method !== "common") {
    const scale = 10 ** digits;
    const turn = method === "ceil" ? Math.ceil : method === "floor" ? Math.floor : Math.round;
    return turn(value * scale) / scale;
  }
  const near = Number(value.toFixed(digits));
  const exact = value.toFixed(Math.min(100, digits + 30));
  const tie = /^50*$/.test(exact.slice(exact.indexOf(".") + 1 + digits));
  if (!tie) return near;
  const step = 10 ** -digits;
  const even = (at: number) => Number(at.toFixed(digits).replace(/[-.]/g, "").at(-1)) % 2 === 0;
  return even(near) ? near : Number((near - Math.sign(value) * step).toFixed(digits));
}

function wholeOf(value: Value, otherwise: Value, base: number): Value {
  if (value instanceof Undefined) value.raise();
  if (isInteger(value)) return typeof value === "boolean" ? Number(value) : value;
  if (value instanceof Float)
    return Number.isFinite(value.value) ? integer(BigInt(Math.trunc(value.value))) : otherwise;
  if (!isText(value)) return otherwise;
  const text = strip(str(value), undefined, "both");
  if (base === 10 && /^[+-]?\d+(_\d+)*$/.test(text)) return integer(BigInt(text.replace(/[_+]/g, "")));
  if (base !== 10) {
    const digits = text.replace(/^0[xob]/i, "").toLowerCase();
    const known = digits !== "" && [...digits].every((at) => Number.parseInt(at, base) >= 0);
    return known ? Number.parseInt(digits, base) : otherwise;
  }
  const float = floatOf(text, null);
  return float instanceof Float && Number.isFinite(float.value) ? integer(BigInt(Math.trunc(float.value))) : otherwise;
}

function floatOf(value: Value, otherwise: Value): Value {
  if (value instanceof Undefined) value.raise();
  if (isNumber(value)) return new Float(Number(plain(value)));
  const text = isText(value) ? strip(str(value), undefined, "both") : "";
  if (/^[+-]?(inf(inity)?|nan)$/i.test(text))
    return new Float(/nan/i.test(text) ? Number.NaN : text.startsWith("-") ? -Infinity : Infinity);
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? new Float(Number(text)) : otherwise;
}

function indented(value: Value, [width, first, blank]: Given): Value {
  const pad = width !== undefined && isText(width) ? str(width) : " ".repeat(number(width, 4));
  const lines = splitLines(`${str(value)}\n`, false);
  const text = flag(blank)
    ? lines.join(`\n${pad}`)
    : lines.map((line, i) => (i > 0 && line !== "" ? pad + line : line)).join("\n");
  return keepSafe(value, flag(first) ? pad + text : text);
}

export const FILTERS: Record<string, Filter> = {
  abs: filter("", (value) =>
    value instanceof Float
      ? new Float(Math.abs(value.value))
      : isInteger(value)
        ? BigInt(value) < 0n
          ? integer(-BigInt(value))
          : value
        : fail("bad operand type for abs()"),
  ),
  attr: filter("name", (value, [name]) => {
    const held = attribute(value, str(name ?? null));
    return value instanceof Map && value.has(str(name ?? null))
      ? new Undefined(`no attribute '${str(name ?? null)}'`)
      : held;
  }),
  batch: filter("linecount fill_with", (value, [count, fill]) => {
    const rows: Value[][] = [];
    for (const one of iterate(value)) {
      if (rows.length === 0 || rows.at(-1)!.length === number(count, 1)) rows.push([]);
      rows.at(-1)!.push(one);
    }
    const last = rows.at(-1);
    if (last !== undefined && fill !== undefined && fill !== null)
      while (last.length < number(count, 1)) last.push(fill);
    return rows;
  }),
  capitalize: ofText((text) => {
    const [first = "", ...rest] = Array.from(text);
    return first.toUpperCase() + rest.join("").toLowerCase();
  }),
  center: filter("width", (value, [width]) => {
    const size = number(width, 80);
    const missing = Math.max(0, size - length(str(value)));
    const left = (missing >> 1) + (missing & size & 1);
    return keepSafe(value, " ".repeat(left) + str(value) + " ".repeat(missing - left));
  }),
  default: filter("default_value boolean", (value, [otherwise, boolean]) =>
    value instanceof Undefined || (flag(boolean) && !truthy(value))
      ? otherwise === undefined
        ? ""
        : otherwise
      : value,
  ),
  dictsort: filter("case_sensitive by reverse", (value, [respectCase, by, reverse]) => {
    if (value instanceof Undefined) value.raise();
    if (!(value instanceof Map)) return fail(`'${typeName(value)}' object has no attribute 'items'`);
    const position = by === undefined || str(by) === "key" ? 0 : 1;
    const key = (pair: Value) =>
      flag(respectCase) ? (pair as Value[])[position]! : caseless((pair as Value[])[position]!);
    return sorted(
      [...value].map((pair) => Tuple.of2(...pair)),
      key,
      flag(reverse),
    );
  }),
  escape: filter("", (value) => escapeHtml(value)),
  first: filter(
    "",
    (value) =>
      iterate(value)[0] ?? (iterate(value).length > 0 ? null : new Undefined("No first item, sequence was empty.")),
  ),
  last: filter("", (value) => {
    const items = iterate(value);
    return items.length > 0 ? items[items.length - 1]! : new Undefined("No last item, sequence was empty.");
  }),
  float: filter("default", (value, [otherwise]) => floatOf(value, otherwise ?? new Float(0))),
  forceescape: filter("", (value) => escapeHtml(str(value))),
  format: (value, { positional }) => arithmetic("%", str(value), Tuple.of2(...positional)),
  groupby: filter("attribute default case_sensitive", (value, [name, otherwise, respectCase]) => {
    const key = (one: Value) => {
      const got = path(one, name ?? fail("groupby needs an attribute"), otherwise);
      return flag(respectCase) ? got : caseless(got);
    };
    const groups: [Value, Value[]][] = [];
    for (const one of sorted(iterate(value), key, false)) {
      const last = groups.at(-1);
      if (last !== undefined && equal(key(last[1][0]!), key(one))) last[1].push(one);
      else groups.push([path(one, name!, otherwise), [one]]);
    }
    return groups.map(([grouper, list]) => Tuple.of2(grouper, list));
  }),
  indent: filter("width first blank", indented),
  int: filter("default base", (value, [otherwise, base]) => wholeOf(value, otherwise ?? 0, number(base, 10))),
  items: filter("", (value) =>
    value instanceof Undefined
      ? []
      : value instanceof Map
        ? [...value].map((pair) => Tuple.of2(...pair))
        : fail("Can only get item pairs from a mapping."),
  ),
  join: filter("d attribute", (value, [between, name]) =>
    iterate(value)
      .map((one) => str(getter(name)(one)))
      .join(between === undefined ? "" : str(between)),
  ),
  length: filter("", (value) => length(value)),
  list: filter("", (value) => [...iterate(value)]),
  lower: ofText((text) => text.toLowerCase()),
  map: (value, { positional, named }) => {
    if (positional.length === 0) {
      const name = named.get("attribute") ?? fail("map requires a filter argument");
      for (const key of named.keys())
        if (key !== "attribute" && key !== "default") fail(`Unexpected keyword argument '${key}'`);
      return iterate(value).map((one) => path(one, name, named.get("default")));
    }
    const [name, ...rest] = positional;
    return iterate(value).map((one) => filterOf(str(name!))(one, { positional: rest, named }));
  },
  max: extreme(1),
  min: extreme(-1),
  reject: chosen(false, false),
  rejectattr: chosen(false, true),
  replace: filter("old new count", (value, [from, to, count]) => {
    const [old, other] = [
      str(from ?? fail("replace needs two arguments")),
      str(to ?? fail("replace needs two arguments")),
    ];
    if (count === undefined || count === null) return str(value).replaceAll(old, () => other);
    const parts = str(value).split(old);
    const most = number(count, -1);
    return most < 0 ? parts.join(other) : [parts.slice(0, most + 1).join(other), ...parts.slice(most + 1)].join(old);
  }),
  reverse: filter("", (value) =>
    isText(value) ? keepSafe(value, Array.from(str(value)).reverse().join("")) : [...iterate(value)].reverse(),
  ),
  round: filter("precision method", (value, [precision, method]) => {
    const how = method === undefined ? "common" : str(method);
    if (!/^(common|ceil|floor)$/.test(how)) fail("method must be common, ceil or floor");
    if (isInteger(value) && how === "common") return typeof value === "boolean" ? Number(value) : value;
    return new Float(rounded(number(value, 0), number(precision, 0), how));
  }),
  safe: filter("", (value) => (value instanceof Markup ? value : new Markup(str(value)))),
  select: chosen(true, false),
  selectattr: chosen(true, true),
  slice: filter("slices fill_with", (value, [count, fill]) => {
    const items = iterate(value);
    const slices = number(count, 1);
    const size = Math.floor(items.length / slices);
    const more = items.length % slices;
    return Array.from({ length: slices }, (_, i) => {
      const part = items.slice(i * size + Math.min(i, more), (i + 1) * size + Math.min(i + 1, more));
      return fill !== undefined && fill !== null && i >= more ? [...part, fill] : part;
    });
  }),
  sort: filter("reverse case_sensitive attribute", (value, [reverse, respectCase, name]) =>
    sorted(iterate(value), getter(name, flag(respectCase)), flag(reverse)),
  ),
  string: filter("", (value) => (value instanceof Markup ? value : str(value))),
  sum: filter("attribute start", (value, [name, start]) =>
    iterate(value).reduce<Value>((total, one) => add(total, getter(name)(one)), start ?? 0),
  ),
  title: ofText((text) =>
    text
      .split(/([-\s({[<]+)/)
      .map((part) => {
        const [first = "", ...rest] = Array.from(part);
        return first.toUpperCase() + rest.join("").toLowerCase();
      })
      .join(""),
  ),
  tojson: filter("ensure_ascii indent separators sort_keys", (value, [ascii, indent, separators, sort]) => {
    const pair = separators === undefined || separators === null ? undefined : iterate(separators).map(str);
    const step =
      indent === undefined || indent === null
        ? undefined
        : isText(indent)
          ? str(indent)
          : " ".repeat(Math.max(0, number(indent, 0)));
    return toJson(value, {
      ascii: flag(ascii),
      indent: step,
      separators: [pair?.[0] ?? (step === undefined ? ", " : ","), pair?.[1] ?? ": "],
      sort: flag(sort),
    });
  }),
  trim: filter("chars", (value, [set]) => keepSafe(value, strip(str(value), set, "both"))),
  truncate: filter("length killwords end leeway", (value, [most, kill, end, leeway]) => {
    const all = Array.from(str(value));
    const close = end === undefined ? "..." : str(end);
    if (all.length <= number(most, 255) + number(leeway, 5)) return value;
    const part = all.slice(0, number(most, 255) - characters(close).length).join("");
    return (flag(kill) ? part : part.includes(" ") ? part.slice(0, part.lastIndexOf(" ")) : part) + close;
  }),
  unique: filter("case_sensitive attribute", (value, [respectCase, name]) => {
    const key = getter(name, flag(respectCase));
    const seen: Value[] = [];
    return iterate(value).filter((one) => {
      if (seen.some((other) => equal(other, key(one)))) return false;
      seen.push(key(one));
      return true;
    });
  }),
  upper: ofText((text) => text.toUpperCase()),
  wordcount: filter("", (value) => str(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
};
FILTERS.d = FILTERS.default!;
FILTERS.e = FILTERS.escape!;
FILTERS.count = FILTERS.length!;

export function filterOf(name: string): Filter {
  return Object.hasOwn(FILTERS, name) ? FILTERS[name]! : fail(`the filter '${name}' is not known`);
}
