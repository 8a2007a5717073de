import { z } from "zod";

/** How the text of a flag or an environment variable becomes a value. */
export type Kind = "text" | "number" | "flag";

/** One option: everything that is known about it. Flags, YAML keys, environment, help and docs are read from here. */
export interface OptionRow<T = unknown> {
  schema: z.ZodType<T>;
  kind: Kind;
  /** The description of a right value; completes "expected ...". */
  expects: string;
  defaultValue: T | undefined;
  required: boolean;
  /** Another option that may be given in the place of this one. */
  unless?: string;
  /** Whether a file of options may have it beside that other one, in whose place it counts; what the command line has counts before either. */
  beside?: true;
  /** Options without any of which it does nothing: on a command line it needs one of them. */
  needs?: readonly string[];
  /** Key of a file of options that stands for this option there, where its own name is another command's. */
  keyInFiles?: string;
  /** The only values that there are; of choices alone. */
  values?: readonly string[];
  /** Value where the option stands alone; only of texts. */
  bare?: string;
  /** Whether its value may stand in no message. */
  secret?: boolean;
  group: string;
  /** Whether it decides the bits of a training run. If so, a run that goes on must have the same value. */
  decides: "bits" | "nothing";
  /** Whether adapters that are trained on one base and the same texts may differ in it. */
  perAdapter?: true;
  help: string;
}

/** The place of a row in the help, and whether it decides bits. */
export type RowPlace = Pick<OptionRow, "group" | "decides" | "perAdapter">;

/** Rows of one heading. */
export const section = (group: string) =>
  ({
    bits: { group, decides: "bits" },
    nothing: { group, decides: "nothing" },
    adapter: { group, decides: "bits", perAdapter: true },
  }) as const satisfies Record<string, RowPlace>;

export type Rows = Record<string, OptionRow>;

/** The validated values of some rows. */
export type OptionsOf<R extends Rows> = { [K in keyof R]: R[K] extends OptionRow<infer T> ? T : never };

type Built<T> = {
  required: () => OptionRow<T>;
  requiredUnless: (other: string) => OptionRow<T | undefined>;
  optional: () => OptionRow<T | undefined>;
  or: (value: T) => OptionRow<T>;
};

/** The ways a row can treat a value that nobody gave: an error, `undefined` or a default. */
function built<T>(
  schema: z.ZodType<T>,
  kind: Kind,
  expects: string,
  place: RowPlace,
  help: string,
  values?: readonly string[],
): Built<T> {
  const row = { kind, expects, ...place, help, ...(values && { values }) };
  return {
    required: () => ({ ...row, schema, defaultValue: undefined, required: true }),
    requiredUnless: (unless) => ({
      ...row,
      schema: schema.optional(),
      defaultValue: undefined,
      required: true,
      unless,
    }),
    optional: () => ({ ...row, schema: schema.optional(), defaultValue: undefined, required: false }),
    or: (value) => ({ ...row, schema, defaultValue: value, required: false }),
  };
}

/** The other rows. */
export function without<R extends Rows, K extends keyof R>(rows: R, ...names: K[]): Omit<R, K> {
  return Object.fromEntries(Object.entries(rows).filter(([name]) => !names.includes(name as K))) as Omit<R, K>;
}

/** The options where nobody gives any. @param rows none of which is required */
export function defaultsOf<R extends Rows>(rows: R): OptionsOf<R> {
  return Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, row.defaultValue])) as OptionsOf<R>;
}

/** The same row, which may be given in the place of another option, and which a file of options may have beside it. */
export function beside<T>(other: string, row: OptionRow<T>): OptionRow<T> {
  return { ...row, unless: other, beside: true };
}

/** The same row, which does nothing without one of other options. */
export function needing<T>(others: readonly string[], row: OptionRow<T>): OptionRow<T> {
  return { ...row, needs: others };
}

/** The same row where nobody needs to give a value, and there is no default. */
export function optional<T>({ unless: _, ...row }: OptionRow<T>): OptionRow<T | undefined> {
  return { ...row, schema: row.schema.optional(), required: false, defaultValue: undefined };
}

export function text(expects: string, place: RowPlace, help: string): Built<string> {
  return built(z.string().min(1), "text", expects, place, help);
}

/** A text of one form. */
export function textLike(form: RegExp, expects: string, place: RowPlace, help: string): Built<string> {
  return built(z.string().regex(form), "text", expects, place, help);
}

/** Several texts: a list in YAML, or one text with commas. */
export function texts(expects: string, place: RowPlace, help: string): Built<string[]> {
  const list = z.array(z.string().trim().min(1)).min(1);
  const commas = z.string().transform((value) => value.split(","));
  return built(z.union([list, commas.pipe(list)]), "text", expects, place, help);
}

/** Names joined by commas: one text, or a list. */
export function nameList(expects: string, place: RowPlace, help: string): Built<string> {
  const list = z.array(z.string().trim().min(1)).min(1);
  const joined = list.transform((names) => names.join(","));
  return built(z.union([z.string().min(1), joined]) as unknown as z.ZodType<string>, "text", expects, place, help);
}

/** @param others other trainers' names of these values */
export function choice<const T extends string>(
  values: readonly [T, ...T[]],
  place: RowPlace,
  help: string,
  others: Record<string, T> = {},
): Built<T> {
  const about = `${values.join(", ")}: ${help}`;
  const own = z.enum(values) as z.ZodType<T>;
  const names = Object.keys(others) as [string, ...string[]];
  const schema =
    names.length > 0
      ? (z.union([own, z.enum(names).transform((name) => others[name])]) as unknown as z.ZodType<T>)
      : own;
  return built(schema, "text", values.join(" or "), place, about, values);
}

/** Whole numbers: a list, one number, or one text with commas. */
export function integers(limits: Range, place: RowPlace, help: string): Built<number[]> {
  return listOf(bounded(z.int(), limits), "whole numbers: a list, or a text with commas", place, help);
}

/** The parts of a text with commas, numbers where they are some. */
const numbersOf = (value: string): unknown =>
  value.split(",").map((part) => (NUMBER.test(part.trim()) ? Number(part) : part));

function fromJson(value: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(value);
  } catch {
    context.addIssue({ code: "custom" });
    return z.NEVER;
  }
}

function listOf(one: z.ZodNumber, expects: string, place: RowPlace, help: string): Built<number[]> {
  const list = z.array(one).min(1);
  const commas = z.string().transform(numbersOf);
  const schema = z.union([list, one.transform((value) => [value]), commas.pipe(list)]);
  return built(schema as unknown as z.ZodType<number[]>, "text", expects, place, help);
}

/** Numbers: a list, one number, or one text with commas. */
export function numbers(limits: Range, place: RowPlace, help: string): Built<number[]> {
  return listOf(bounded(z.number(), limits), "numbers: a list, or a text with commas", place, help);
}

/** Numbers by name: a map in YAML, or a text that is an object of JSON. */
export function numbersByName(
  { whole, ...limits }: Range & { whole?: true },
  place: RowPlace,
  help: string,
): Built<Record<string, number>> {
  const map = z
    .record(z.string().min(1), bounded(whole ? z.int() : z.number(), limits))
    .refine((numbers) => Object.keys(numbers).length > 0);
  const schema = z.union([map, z.string().transform(fromJson).pipe(map)]) as unknown as z.ZodType<
    Record<string, number>
  >;
  return built(schema, "text", 'numbers by name: an object such as {"q_proj": 4}', place, help);
}

/** Whole numbers: a list, or lists by name; also as one text, with commas or of JSON. */
export function integersOrByName(
  limits: Range,
  place: RowPlace,
  help: string,
): Built<number[] | Record<string, number[]>> {
  const list = z.array(bounded(z.int(), limits)).min(1);
  const map = z.record(z.string().min(1), list).refine((lists) => Object.keys(lists).length > 0);
  const text = z.string().transform((value, context) => {
    return value.trim().startsWith("{") ? fromJson(value, context) : numbersOf(value);
  });
  const one = bounded(z.int(), limits).transform((value) => [value]);
  const schema = z.union([list, one, map, text.pipe(z.union([list, map]))]);
  const expects = 'whole numbers: a list, a text with commas, or lists by name such as {"embed_tokens": [5, 7]}';
  return built(schema as unknown as z.ZodType<number[] | Record<string, number[]>>, "text", expects, place, help);
}

/** Some of several values: a list, or one text with commas. */
export function choices<const T extends string>(
  values: readonly [T, ...T[]],
  place: RowPlace,
  help: string,
): Built<T[]> {
  const list = z.array(z.enum(values)).min(1) as unknown as z.ZodType<T[], T[]>;
  const commas = z.string().transform((value) => value.split(",").map((each) => each.trim() as T));
  const expects = `${values.join(" or ")}, or several with commas`;
  return built(z.union([list, commas.pipe(list)]), "text", expects, place, `${values.join(", ")}: ${help}`, values);
}

export function flag(place: RowPlace, help: string): Built<boolean> {
  return built(z.boolean(), "flag", "true or false", place, help);
}

/** A value that only programs can give, and that has no text. */
export function custom<T>(expects: string, test: (value: unknown) => value is T, help: string): Built<T> {
  return built(z.custom<T>(test), "text", expects, section("").nothing, help);
}

/** A text that may also be left out (`bare`), as `--name`, or switched off, as `--no-name`. */
export function textOrBare(
  bare: string,
  expects: string,
  place: RowPlace,
  help: string,
): OptionRow<string | undefined> {
  const meaning = (value: unknown) => {
    if (value === true || value === "true") return bare;
    return value === false || value === "false" ? undefined : value;
  };
  const row = built(z.string().min(1), "text", expects, place, help).optional();
  return { ...row, bare, schema: z.preprocess(meaning, row.schema) as z.ZodType<string | undefined> };
}

/** A day of the calendar. */
export function date(place: RowPlace, help: string): Built<string> {
  const isDay = (text: string) => {
    const day = new Date(`${text}T00:00:00Z`);
    return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
  };
  return built(z.string().refine(isDay), "text", "a date such as 2026-01-31", place, help);
}

const SIZE = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?$/i;

/** A number of bytes, also as a text with a unit: 6GB is 6 * 10^9, 6GiB (or 6G) is 6 * 2^30. */
export function size(place: RowPlace, help: string): Built<number> {
  const schema = z.union([z.number(), z.string()]).transform((value, context) => {
    const [, digits, unit = "", binary] = SIZE.exec(String(value).trim()) ?? [];
    const isDecimal = binary === "" && /b$/i.test(String(value));
    const bytes = Math.floor(Number(digits) * (isDecimal ? 1000 : 1024) ** " kmgt".indexOf(unit.toLowerCase() || " "));
    if (digits !== undefined && bytes > 0) return bytes;
    context.addIssue({ code: "custom" });
    return z.NEVER;
  });
  return built(schema as unknown as z.ZodType<number>, "text", "a size such as 6GB or 512MiB", place, help);
}

export interface Range {
  min?: number;
  max?: number;
  /** Bounds that the value itself must not reach. */
  above?: number;
  below?: number;
}

function range({ min, max, above, below }: Range): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  const parts: string[] = [];
  if (min !== undefined) parts.push(`of at least ${min}`);
  if (max !== undefined) parts.push(`of at most ${max}`);
  if (above !== undefined) parts.push(`above ${above}`);
  if (below !== undefined) parts.push(`below ${below}`);
  return parts.length ? ` ${parts.join(" and ")}` : "";
}

function bounded(schema: z.ZodNumber, r: Range): z.ZodNumber {
  let bound = schema;
  if (r.min !== undefined) bound = bound.min(r.min);
  if (r.max !== undefined) bound = bound.max(r.max);
  if (r.above !== undefined) bound = bound.gt(r.above);
  if (r.below !== undefined) bound = bound.lt(r.below);
  return bound;
}

export function integer(limits: Range, place: RowPlace, help: string): Built<number> {
  return built(bounded(z.int(), limits), "number", `a whole number${range(limits)}`, place, help);
}

export function number(limits: Range, place: RowPlace, help: string): Built<number> {
  return built(bounded(z.number(), limits), "number", `a number${range(limits)}`, place, help);
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const BOOLEANS = new Map([
  ...["true", "yes", "1"].map((word) => [word, true] as const),
  ...["false", "no", "0"].map((word) => [word, false] as const),
]);

/** The value that a flag's or variable's text stands for; text that stands for none is left for the schema to refuse. */
export function parseText(row: OptionRow, value: string): unknown {
  if (row.kind === "number") return NUMBER.test(value.trim()) ? Number(value) : value;
  if (row.kind === "flag") return BOOLEANS.get(value.trim().toLowerCase()) ?? value;
  return value;
}
