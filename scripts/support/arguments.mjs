// The one reader of the scripts' arguments: a table of options gives the parser, the checks and --help.
import { basename } from "node:path";
import { parseArgs } from "node:util";

/**
 * @typedef {object} Option
 * @property {"text" | "texts" | "number" | "flag"} [kind] text where none is named; texts may be given several times
 * @property {string | number | string[]} [default]
 * @property {string} [value] name of the value in --help
 * @property {number} [least] of a number, which is a whole one; 0 where none is named
 * @property {string[]} [of] the values that are known
 * @property {string} help
 */

const name = () => basename(process.argv[1] ?? "script");

/** Ends the script with one line on standard error. */
export function fail(message) {
  console.error(`${name()}: ${message}`);
  process.exit(1);
}

function usage({ about, options, positional }) {
  const left = ([option, { kind, value }]) =>
    `--${option}${kind === "flag" ? "" : ` ${value ?? { number: "N" }[kind] ?? "TEXT"}`}`;
  const rows = Object.entries(options).map((row) => {
    const { kind, default: otherwise, of, help } = row[1];
    const notes = [of && `one of ${of.join(", ")}`, kind === "texts" && "may be given several times"];
    if (otherwise !== undefined && otherwise !== "" && `${otherwise}` !== "") notes.push(`default ${otherwise}`);
    const said = notes.filter(Boolean).join("; ");
    return [left(row), said ? `${help} (${said})` : help];
  });
  if (positional) rows.unshift([positional.name, positional.help]);
  const width = Math.max(...rows.map(([first]) => first.length));
  const lines = rows.map(([first, text]) => `  ${first.padEnd(width)}  ${text}`);
  return `usage: ${name()}${positional ? ` ${positional.name}` : ""} [options]\n\n${about}\n\n${lines.join("\n")}`;
}

function whole(option, text, least) {
  const number = Number(text);
  if (text.trim() === "" || !Number.isInteger(number) || number < least)
    fail(`--${option} ${text}: expected a whole number of at least ${least}`);
  return number;
}

/**
 * Reads process.argv. `--help` prints the table and ends the script; an option that is not in it ends it with one line.
 * @param {{about: string, options?: Record<string, Option>, positional?: {name: string, help: string, required?: boolean}}} script
 * @returns the options' values by name, numbers as numbers, and `positionals`
 */
export function readArguments({ about, options = {}, positional }) {
  const table = { ...options, help: { kind: "flag", help: "show this and do nothing" } };
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: positional !== undefined,
      options: Object.fromEntries(
        Object.entries(table).map(([option, { kind }]) => [
          option,
          { type: kind === "flag" ? "boolean" : "string", multiple: kind === "texts" },
        ]),
      ),
    });
  } catch (error) {
    const known = `known are ${Object.keys(table)
      .map((option) => `--${option}`)
      .join(", ")}`;
    const isUnknown = error.code === "ERR_PARSE_ARGS_UNKNOWN_OPTION";
    fail(isUnknown ? `${/'(.*?)'/.exec(error.message)[1]}: no such option; ${known}` : error.message.split("\n")[0]);
  }
  if (parsed.values.help) {
    console.log(usage({ about, options: table, positional }));
    process.exit(0);
  }
  if (positional?.required && parsed.positionals.length === 0) fail(`expected ${positional.name}; --help says more`);
  const values = { positionals: parsed.positionals };
  for (const [option, { kind, default: otherwise, least = 0, of }] of Object.entries(options)) {
    const given = parsed.values[option];
    const standard = { flag: false, texts: [] }[kind];
    values[option] =
      given === undefined ? (otherwise ?? standard) : kind === "number" ? whole(option, given, least) : given;
    if (of && given !== undefined && !of.includes(given))
      fail(`--${option} ${given}: expected one of ${of.join(", ")}`);
  }
  return values;
}
