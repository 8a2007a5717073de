// Methods of Python's texts, dicts, lists and numbers.
import {
  type Arguments,
  Callable,
  characters,
  equal,
  fail,
  isInteger,
  isText,
  iterate,
  keyOf,
  Markup,
  repr,
  SPACE,
  splitLines,
  str,
  Tuple,
  truthy,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

type Method<T> = (self: T, args: readonly (Value | undefined)[]) => Value;
/** A method with its parameters' names, which may be given by name. */
type Row<T> = [parameters: string, method: Method<T>];

const given = (value: Value | undefined): value is Value => value !== undefined;
const text = (value: Value | undefined): string =>
  given(value) && isText(value)
    ? str(value)
    : fail(`expected a text, got ${value === undefined ? "nothing" : typeName(value)}`);
const whole = (value: Value | undefined, otherwise: number): number =>
  value === undefined
    ? otherwise
    : isInteger(value)
      ? Number(value)
      : fail(`expected an integer, got ${typeName(value)}`);

export function strip(self: string, set: Value | undefined, ends: "both" | "left" | "right"): string {
  const blank = new RegExp(`[${SPACE}]`);
  const all = Array.from(self);
  const chosen = given(set) && set !== null ? new Set(text(set)) : undefined;
  const drop = (at: string) => (chosen ? chosen.has(at) : blank.test(at));
  let from = 0;
  let to = all.length;
  if (ends !== "right") while (from < to && drop(all[from]!)) from++;
  if (ends !== "left") while (to > from && drop(all[to - 1]!)) to--;
  return from === 0 && to === all.length ? self : all.slice(from, to).join("");
}

function split(self: string, separator: Value | undefined, most: number): string[] {
  if (!given(separator) || separator === null) {
    const words: string[] = [];
    let rest = self.replace(new RegExp(`^[${SPACE}]+`), "");
    while (rest !== "") {
      if (words.length === most) return [...words, rest.replace(new RegExp(`[${SPACE}]+$`), "")];
      const word = new RegExp(`^[^${SPACE}]+`).exec(rest)![0];
      words.push(word);
      rest = rest.slice(word.length).replace(new RegExp(`^[${SPACE}]+`), "");
    }
    return words;
  }
  if (text(separator) === "") fail("empty separator");
  const parts = self.split(text(separator));
  return most < 0 || parts.length <= most + 1
    ? parts
    : [...parts.slice(0, most), parts.slice(most).join(text(separator))];
}

function rsplit(self: string, separator: Value | undefined, most: number): string[] {
  const back = (part: string) => Array.from(part).reverse().join("");
  const reversed = given(separator) && separator !== null ? back(text(separator)) : undefined;
  return split(back(self), reversed, most).map(back).reverse();
}

function bounds(self: string, [, from, to]: readonly (Value | undefined)[]): { part: string; start: number } {
  if (!given(from)) return { part: self, start: 0 };
  const all = Array.from(self);
  const index = (at: number) => Math.min(Math.max(at < 0 ? at + all.length : at, 0), all.length);
  const start = whole(from, 0) > all.length ? whole(from, 0) : index(whole(from, 0));
  return { part: all.slice(start, given(to) && to !== null ? index(whole(to, 0)) : undefined).join(""), start };
}

/** `startsWith` and `endsWith` take a text or a tuple of them. */
function anyOf(
  self: string,
  args: readonly (Value | undefined)[],
  test: (part: string, sought: string) => boolean,
): boolean {
  const { part } = bounds(self, args);
  return (args[0] instanceof Tuple ? [...args[0]] : [args[0]]).some((sought) => test(part, text(sought)));
}

function place(self: string, args: readonly (Value | undefined)[], last: boolean): number {
  const { part, start } = bounds(self, args);
  const at = last ? part.lastIndexOf(text(args[0])) : part.indexOf(text(args[0]));
  return at < 0 ? -1 : start + characters(part.slice(0, at)).length;
}

const orFail = (at: number) => (at < 0 ? fail("substring not found") : at);
const capital = (self: string) => {
  const [first = "", ...rest] = Array.from(self);
  return first.toUpperCase() + rest.join("").toLowerCase();
};
const onlyOf = (pattern: RegExp) => (self: string) => self !== "" && pattern.test(self);
const cased = (self: string, same: (self: string) => string) =>
  self === same(self) && self.toLowerCase() !== self.toUpperCase();
function padded(
  self: string,
  [width, fill]: readonly (Value | undefined)[],
  share: (missing: number, width: number) => number,
): string {
  const size = whole(width, 0);
  const missing = Math.max(0, size - characters(self).length);
  const left = missing === 0 ? 0 : share(missing, size);
  const sign = given(fill) ? text(fill) : " ";
  return sign.repeat(left) + self + sign.repeat(missing - left);
}

/** `text.format(...)`: {}, {0}, {name}, with !r and without a format. */
function format(self: string, args: Arguments): string {
  let next = 0;
  const fields = self.replace(/\{\{|\}\}/g, "");
  if (/\{(![rs])?\}/.test(fields) && /\{\d/.test(fields)) fail("format fields are numbered in part only");
  return self.replace(/\{\{|\}\}|\{([^{}]*)\}/g, (all, field) => {
    if (field === undefined) return all[0]!;
    const parts = /^(\w*)(!r|!s)?$/.exec(field);
    if (parts === null) return fail(`the format {${field}} is not supported`);
    const [, name, shown] = parts;
    const value =
      name === ""
        ? args.positional[next++]
        : /^\d+$/.test(name!)
          ? args.positional[Number(name)]
          : args.named.get(name!);
    if (value === undefined) return fail(`format's {${field}} has no argument`);
    return shown === "!r" ? repr(value) : str(value);
  });
}

const TEXT: Record<string, Row<string>> = {
  strip: ["chars", (self, [set]) => strip(self, set, "both")],
  lstrip: ["chars", (self, [set]) => strip(self, set, "left")],
  rstrip: ["chars", (self, [set]) => strip(self, set, "right")],
  split: ["sep maxsplit", (self, [separator, most]) => split(self, separator, whole(most, -1))],
  rsplit: ["sep maxsplit", (self, [separator, most]) => rsplit(self, separator, whole(most, -1))],
  splitlines: ["keepends", (self, [keep]) => splitLines(self, keep !== undefined && truthy(keep))],
  startswith: ["prefix start end", (self, args) => anyOf(self, args, (part, sought) => part.startsWith(sought))],
  endswith: ["suffix start end", (self, args) => anyOf(self, args, (part, sought) => part.endsWith(sought))],
  replace: [
    "old new count",
    (self, [from, to, count]) => {
      const most = whole(count, -1);
      if (most < 0) return self.replaceAll(text(from), () => text(to));
      const parts = self.split(text(from));
      return (
        parts
          .slice(0, most)
          .map((part) => part + text(to))
          .join("") + parts.slice(most).join(text(from))
      );
    },
  ],
  upper: ["", (self) => self.toUpperCase()],
  lower: ["", (self) => self.toLowerCase()],
  capitalize: ["", (self) => capital(self)],
  title: ["", (self) => self.replace(/\p{L}+/gu, capital)],
  swapcase: [
    "",
    (self) => self.replace(/\p{L}/gu, (at) => (at === at.toLowerCase() ? at.toUpperCase() : at.toLowerCase())),
  ],
  join: [
    "iterable",
    (self, [parts]) =>
      iterate(parts ?? fail("join needs an argument"))
        .map(text)
        .join(self),
  ],
  find: ["sub start end", (self, args) => place(self, args, false)],
  rfind: ["sub start end", (self, args) => place(self, args, true)],
  index: ["sub start end", (self, args) => orFail(place(self, args, false))],
  rindex: ["sub start end", (self, args) => orFail(place(self, args, true))],
  count: [
    "sub start end",
    (self, args) => {
      const { part } = bounds(self, args);
      return text(args[0]) === "" ? characters(part).length + 1 : part.split(text(args[0])).length - 1;
    },
  ],
  partition: ["sep", (self, [separator]) => parted(self, text(separator), self.indexOf(text(separator)), false)],
  rpartition: ["sep", (self, [separator]) => parted(self, text(separator), self.lastIndexOf(text(separator)), true)],
  removeprefix: ["prefix", (self, [part]) => (self.startsWith(text(part)) ? self.slice(text(part).length) : self)],
  removesuffix: [
    "suffix",
    (self, [part]) => (text(part) !== "" && self.endsWith(text(part)) ? self.slice(0, -text(part).length) : self),
  ],
  isspace: ["", onlyOf(new RegExp(`^[${SPACE}]+$`))],
  isdigit: ["", onlyOf(/^[\p{Nd}\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089]+$/u)],
  isdecimal: ["", onlyOf(/^\p{Nd}+$/u)],
  isnumeric: ["", onlyOf(/^\p{N}+$/u)],
  isalpha: ["", onlyOf(/^\p{L}+$/u)],
  isalnum: ["", onlyOf(/^[\p{L}\p{N}]+$/u)],
  isupper: ["", (self) => cased(self, (all) => all.toUpperCase())],
  islower: ["", (self) => cased(self, (all) => all.toLowerCase())],
  center: [
    "width fillchar",
    (self, args) => padded(self, args, (missing, width) => (missing >> 1) + (missing & width & 1)),
  ],
  ljust: ["width fillchar", (self, args) => padded(self, args, () => 0)],
  rjust: ["width fillchar", (self, args) => padded(self, args, (missing) => missing)],
  zfill: [
    "width",
    (self, [width]) =>
      self.replace(/^[+-]?/, (sign) => sign + "0".repeat(Math.max(0, whole(width, 0) - characters(self).length))),
  ],
};

function parted(self: string, separator: string, at: number, last: boolean): Tuple {
  if (separator === "") fail("empty separator");
  if (at < 0) return last ? Tuple.of2("", "", self) : Tuple.of2(self, "", "");
  return Tuple.of2(self.slice(0, at), separator, self.slice(at + separator.length));
}

const DICT: Record<string, Row<Map<Value, Value>>> = {
  get: [
    "key default",
    (self, [key, otherwise]) => {
      const held = self.get(keyOf(key ?? null));
      return held === undefined ? (otherwise ?? null) : held;
    },
  ],
  items: ["", (self) => [...self].map(([key, value]) => Tuple.of2(key, value))],
  keys: ["", (self) => [...self.keys()]],
  values: ["", (self) => [...self.values()]],
  copy: ["", (self) => new Map(self)],
};

const LIST: Record<string, Row<Value[]>> = {
  index: ["value", (self, [sought]) => orFail(self.findIndex((item) => equal(item, sought ?? null)))],
  count: ["value", (self, [sought]) => self.filter((item) => equal(item, sought ?? null)).length],
  copy: ["", (self) => [...self]],
};

/** Methods of Python that are not built here, and methods that the templates' sandbox forbids. */
const ABSENT: [(value: Value) => boolean, string[]][] = [
  [
    (value) => isText(value),
    "encode expandtabs translate maketrans format_map casefold isascii isidentifier isprintable istitle".split(" "),
  ],
  [(value) => value instanceof Map, "clear pop popitem setdefault update fromkeys".split(" ")],
  [
    (value) => Array.isArray(value) && !(value instanceof Tuple),
    "append clear extend insert pop remove reverse sort".split(" "),
  ],
];

/** A method bound to its value; undefined where there is none of that name. */
export function methodOf(value: Value, name: string): Callable | undefined {
  if (isText(value)) {
    if (name === "format") return new Callable(name, (args) => format(str(value), args));
    const row = Object.hasOwn(TEXT, name) ? TEXT[name] : undefined;
    if (row !== undefined) return bound(name, row, str(value), value instanceof Markup);
  } else if (value instanceof Map) {
    if (Object.hasOwn(DICT, name)) return bound(name, DICT[name]!, value, false);
  } else if (Array.isArray(value) && Object.hasOwn(LIST, name)) return bound(name, LIST[name]!, value, false);
  if (ABSENT.some(([is, names]) => is(value) && names.includes(name)))
    return new Callable(name, () =>
      fail(`the method '${name}' of '${typeName(value)}' is not available to chat templates`),
    );
  return undefined;
}

function bound<T>(name: string, [parameters, method]: Row<T>, self: T, safe: boolean): Callable {
  return new Callable(name, (args) => {
    const result = method(self, ordered(name, parameters, args));
    return safe && typeof result === "string" ? new Markup(result) : result;
  });
}

/** Arguments in the order of the parameters' names. */
export function ordered(name: string, parameters: string, { positional, named }: Arguments): (Value | undefined)[] {
  const names = parameters === "" ? [] : parameters.split(" ");
  if (positional.length > names.length)
    fail(`${name}() takes ${names.length} arguments, ${positional.length} were given`);
  for (const key of named.keys()) if (!names.includes(key)) fail(`${name}() has no argument '${key}'`);
  const all = names.map((key, i) => positional[i] ?? named.get(key));
  for (const value of all) if (value instanceof Undefined && name !== "get") value.raise();
  return all;
}
