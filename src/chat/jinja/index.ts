// Jinja templates with Python's semantics, in the environment in which transformers renders chat templates: trim_blocks,
// lstrip_blocks, loop controls, `generation` blocks, its `tojson`, `raise_exception` and `strftime_now`.
import { tokenize } from "./lexer.js";
import { ordered } from "./methods.js";
import { Output, Scope } from "./scope.js";
import { StatementParser } from "./statements.js";
import { strftime } from "./strftime.js";
import {
  type Arguments,
  Callable,
  fail,
  isInteger,
  iterate,
  keyOf,
  Namespace,
  str,
  TemplateError,
  toValue,
  unpackPair,
  type Value,
} from "./values.js";

export { Float, TemplateError, toValue, type Value } from "./values.js";

export interface Rendering {
  text: string;
  /** The text of each `{% generation %}`, and the length of the template's output before it, in UTF-16 units. */
  spans: { start: number; text: string }[];
}

const MOST_OF_RANGE = 100_000;

function range({ positional }: Arguments): Value {
  const numbers = positional.map((value) => (isInteger(value) ? Number(value) : fail("range() takes integers")));
  const [from, to, by] =
    numbers.length === 1
      ? [0, numbers[0]!, 1]
      : [numbers[0] ?? fail("range() needs an argument"), numbers[1]!, numbers[2] ?? 1];
  if (by === 0) fail("range() arg 3 must not be zero");
  const count = Math.max(0, Math.ceil((to - from) / by));
  if (count > MOST_OF_RANGE) fail(`a range of ${count} items is too long, at most ${MOST_OF_RANGE}`);
  return Array.from({ length: count }, (_, i) => from + i * by);
}

/** Entries of a dict, or of a list of pairs, with more by name. */
function entries({ positional, named }: Arguments): Map<Value, Value> {
  const [first] = positional;
  const all = new Map<Value, Value>(
    first === undefined ? [] : first instanceof Map ? first : iterate(first).map((pair) => unpackPair(pair)),
  );
  for (const [key, value] of named) all.set(keyOf(key), value);
  return all;
}

function globals(now: Date): [string, Value][] {
  const one = (name: string, parameter: string, apply: (value: Value) => Value): [string, Value] => [
    name,
    new Callable(name, (given) => apply(ordered(name, parameter, given)[0] ?? fail(`${name}() needs an argument`))),
  ];
  return [
    ["range", new Callable("range", range)],
    ["dict", new Callable("dict", entries)],
    ["namespace", new Callable("namespace", (given) => new Namespace(entries(given) as Map<string, Value>))],
    one("raise_exception", "message", (message) => fail(str(message))),
    one("strftime_now", "format", (format) => strftime(str(format), now)),
  ];
}

export class Template {
  readonly #body;

  /** @throws TemplateError where the template cannot be parsed, with the line */
  constructor(source: string) {
    this.#body = new StatementParser(tokenize(source)).template();
  }

  /**
   * @param variables plain values, see `toValue`
   * @param now the time that `strftime_now` tells
   * @param values more variables, as `toValue` makes them
   * @throws TemplateError that the template raises or runs into, with the line
   */
  render(variables: Record<string, unknown>, now = new Date(), values: Record<string, Value> = {}): Rendering {
    const root = new Output();
    const run = { root, spans: [], now, line: 1 };
    const names = new Scope(run);
    for (const [name, value] of globals(now)) names.values.set(name, value);
    for (const [name, value] of Object.entries(variables)) names.values.set(name, toValue(value));
    for (const [name, value] of Object.entries(values)) names.values.set(name, value);
    try {
      this.#body(names.inner(), root);
    } catch (error) {
      const known =
        error instanceof RangeError ? new TemplateError("the template recurses too deeply", { cause: error }) : error;
      if (known instanceof TemplateError) known.line ??= run.line;
      throw known;
    }
    return { text: root.text, spans: run.spans };
  }
}
