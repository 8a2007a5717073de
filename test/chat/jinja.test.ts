// Jinja as Python's: snippets.json holds templates and how transformers' environment renders them (snippets.py).
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseExactJson } from "../../src/base/exact-json.js";
import { Template, TemplateError } from "../../src/chat/jinja/index.js";

const { variables, rows } = JSON.parse(readFileSync(new URL("./snippets.json", import.meta.url), "utf8")) as {
  variables: string;
  rows: [template: string, expected: string | null][];
};
const given = Object.fromEntries(parseExactJson(variables) as Map<string, unknown>);

function rendered(template: string): string | null {
  try {
    return new Template(template).render(given).text;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return null;
  }
}

test.each(rows)("renders %j", (template, expected) => {
  expect(rendered(template)).toBe(expected);
});

test.each([
  ["a\n{{ 1 | frobnicate }}", 2, "the filter 'frobnicate' is not known"],
  ["{{ 1 is frobnicated }}", 1, "the test 'frobnicated' is not known"],
  ["\n\n{{ cycler(1) }}", 3, "the function 'cycler' is not known"],
  ["\n{{ frobnicate(1) }}", 2, "'frobnicate' is undefined"],
  ["{{ 'a'.encode() }}", 1, "the method 'encode' of 'str' is not available to chat templates"],
  ["{% include 'x' %}", 1, "the tag 'include' is not known"],
  ["x\n{% if a %}", 2, "missing elif or else or endif"],
  ["\n{{ strftime_now('%Q') }}", 2, "strftime_now: the directive %Q is not supported"],
  ["{% macro r() %}{{ r() }}{% endmacro %}{{ r() }}", 1, "the template recurses too deeply"],
])("refuses %j by name and line", (template, line, message) => {
  let caught: unknown;
  try {
    new Template(template).render({});
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(TemplateError);
  expect({ line: (caught as TemplateError).line, message: (caught as TemplateError).message }).toEqual({
    line,
    message,
  });
});

test("the date is the one given", () => {
  const now = new Date(2026, 2, 5, 14, 7, 9);
  const text = new Template("{{ strftime_now('%d %b %Y|%A %B %-d %y %j|%H:%M:%S %I %p|%F %T %%') }}").render(
    {},
    now,
  ).text;
  expect(text).toBe("05 Mar 2026|Thursday March 5 26 064|14:07:09 02 PM|2026-03-05 14:07:09 %");
});
