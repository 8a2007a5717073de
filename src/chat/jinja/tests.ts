// Jinja's tests: `value is NAME`.
import { compared } from "./operators.js";
import {
  Callable,
  Float,
  fail,
  isInteger,
  isNumber,
  isText,
  Markup,
  plain,
  str,
  Undefined,
  type Value,
} from "./values.js";

type Test = (value: Value, args: readonly Value[]) => boolean;

const remainder = (value: Value, by: Value | undefined): number =>
  isNumber(value) && by !== undefined && isNumber(by)
    ? Number(plain(value)) % Number(plain(by))
    : fail("a number is expected");
const operator =
  (name: string): Test =>
  (value, [other]) =>
    compared(name, value, other ?? fail("the test needs an argument"));
const iterable: Test = (value) =>
  isText(value) || Array.isArray(value) || value instanceof Map || value instanceof Undefined;

export const TESTS: Record<string, Test> = {
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  true: (value) => value === true,
  false: (value) => value === false,
  integer: (value) => isInteger(value) && typeof value !== "boolean",
  float: (value) => value instanceof Float,
  number: isNumber,
  string: isText,
  mapping: (value) => value instanceof Map,
  sequence: iterable,
  iterable,
  callable: (value) => value instanceof Callable || value instanceof Undefined,
  escaped: (value) => value instanceof Markup,
  sameas: (value, [other]) => value === other,
  in: (value, [whole]) => compared("in", value, whole ?? fail("the test needs an argument")),
  odd: (value) => Math.abs(remainder(value, 2)) === 1,
  even: (value) => remainder(value, 2) === 0,
  divisibleby: (value, [by]) => remainder(value, by) === 0,
  lower: (value) => str(value) === str(value).toLowerCase() && str(value) !== str(value).toUpperCase(),
  upper: (value) => str(value) === str(value).toUpperCase() && str(value) !== str(value).toLowerCase(),
  ...Object.fromEntries(
    Object.entries({
      "==": "eq equalto",
      "!=": "ne",
      "<": "lt lessthan",
      "<=": "le",
      ">": "gt greaterthan",
      ">=": "ge",
    }).flatMap(([sign, names]) => [sign, ...names.split(" ")].map((name) => [name, operator(sign)])),
  ),
};

export function testOf(name: string): Test {
  return Object.hasOwn(TESTS, name) ? TESTS[name]! : fail(`the test '${name}' is not known`);
}
