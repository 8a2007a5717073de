import type { z } from "zod";
import { LowrankError } from "../base/errors.js";
import { suggestion } from "../base/nearest.js";
import { aliases, canonical, findRow, hintFor } from "./aliases.js";
import { type Command, commandList, commands } from "./commands.js";
import { type OptionRow, type OptionsOf, parseText, type Rows } from "./row.js";
import { plainEntries, shownValue } from "./value.js";

/** The contents of the command line: the texts of each option, and words that are no option of the command. */
export interface Flags {
  values: Map<string, string[]>;
  /** Tokens that belong to nothing. */
  strays: string[];
}

export interface Loaded<R extends Rows> {
  options: OptionsOf<R>;
  /** Options that somebody gave, whatever the value. */
  given: ReadonlySet<string>;
  /** Those of them that the file of options has, which may serve other commands, too. */
  inFile: ReadonlySet<string>;
  /** Keys of the file that only commands other than this one and `train` know, with their place. */
  ignored: string[];
}

interface Candidate {
  value: unknown;
  /** How the user wrote it: `--lora_r`, `LOWRANK_LORA_R` or `run.yaml:3: lora_r`. */
  written: string;
  /** Where neither the command line nor a program gives it. Both of these may serve other commands and runs, too. */
  from?: "file" | "environment";
}

const ENVIRONMENT = "LOWRANK_";
/** Longest name in a message. */
const LONGEST_NAME = 200;
/** Environment variables that are not options. */
const OTHER_VARIABLES = ["CPU", "DEBUG", "BUILD", "LAUNCHER"];

const allNames = new Set(commandList.flatMap(({ rows }) => Object.keys(rows)));
/** Keys that a file of options may hold, whichever command it is for. */
const namesInFiles = new Set(commandList.flatMap(({ rows }) => ("config" in rows ? Object.keys(rows) : [])));
/** Shorter names are too near to anything. */
const longAliases = Object.keys(aliases).filter((name) => name.length >= 5);

/** How options are written where a problem is. */
type Spelled = (option: string, value?: string) => string;
const asFlag: Spelled = (option, value) => `--${option}${value === undefined ? "" : ` ${value}`}`;
const asKey: Spelled = (option, value) => option + (value === undefined ? "" : `: ${value}`);
const asVariable: Spelled = (option, value) =>
  ENVIRONMENT + option.toUpperCase() + (value === undefined ? "" : `=${value}`);

const MOST_PROBLEMS = 30;

/** Collects the problems, so that one message names them all. */
class Problems {
  readonly #lines: string[] = [];
  readonly #command: Command;
  readonly #isCommandLine: boolean;
  #where: string | undefined;
  #more = 0;

  constructor(command: Command, isCommandLine: boolean) {
    this.#command = command;
    this.#isCommandLine = isCommandLine;
  }

  /** How the user would write an option. */
  spelled(key: string): string {
    return this.#isCommandLine ? `--${key}` : key;
  }

  /** Whether it holds as many problems as one message names: no more are looked for. */
  get isFull(): boolean {
    return this.#lines.length >= MOST_PROBLEMS;
  }

  /** @param key the option concerned, or a word in its place */
  add(key: string, line: string): void {
    this.#where ??= key;
    if (this.isFull) this.#more++;
    else this.#lines.push(line);
  }

  /** Two options exclude each other; both are given or none is. */
  alternative(key: string, row: OptionRow, written: string | undefined, other: string): void {
    if (written !== undefined) this.add(key, `${written}: given beside ${other}, expected one of them`);
    else this.add(key, `${this.spelled(key)}: missing; expected ${row.expects}, or ${other} (${row.help})`);
  }

  /** `name` is no option of the command, or none of `known`. `written` is the user's spelling. */
  unknown(name: string, written: string, spelled: Spelled, known = Object.keys(this.#command.rows)): void {
    if (this.isFull) {
      this.#more++;
      return;
    }
    const { name: command } = this.#command;
    const meant = canonical(name);
    const hint = hintFor(name, spelled);
    if (known.includes(meant)) this.add(name, `${written}: unknown option (did you mean ${spelled(meant)}?)`);
    else if (allNames.has(meant)) {
      const other = meant === name ? "" : ` (another name of ${spelled(meant)})`;
      this.add(name, `${written}: not an option of ${this.#isCommandLine ? "lowrank " : ""}${command}${other}`);
    } else if (hint !== undefined) this.add(name, `${written}: unknown option; ${hint}`);
    else {
      const others = longAliases.filter((alias) => known.includes(canonical(alias)));
      const near = suggestion(name, [...known, ...others], (found) => spelled(canonical(found)));
      this.add(name, `${written.slice(0, LONGEST_NAME)}: unknown option${near}`);
    }
  }

  throwIfAny(): void {
    if (this.#lines.length === 0) return;
    const [first] = this.#lines;
    const count = this.#lines.length + this.#more;
    const more = this.#more > 0 ? [`and ${this.#more} more`] : [];
    const text = count === 1 ? first! : `${count} problems:\n  ${[...this.#lines, ...more].join("\n  ")}`;
    const all = this.#isCommandLine ? `lowrank ${this.#command.name} --help` : "docs/library.md";
    throw new LowrankError("E_USAGE", `${text}\nAll options: ${all}`, this.#where);
  }
}

/** Adds a value that somebody gave under the option's own name or another name. Both at once are an error. */
function put(into: Map<string, Candidate>, key: string, candidate: Candidate, problems: Problems): void {
  const before = into.get(key);
  if (before === undefined) into.set(key, candidate);
  else problems.add(key, `${candidate.written}: given beside ${before.written}, which means the same`);
}

/** The option that a key of a file stands for; undefined where it is none of the command's. */
function rowInFiles(rows: Rows, key: string): string | undefined {
  const name = canonical(key);
  return Object.keys(rows).find((row) => (rows[row]!.keyInFiles ?? row) === name);
}

/** @returns keys that only commands other than this one and `train` know */
async function fromFile(file: string, rows: Rows, into: Map<string, Candidate>, problems: Problems): Promise<string[]> {
  const { readYaml } = await import("./yaml.js");
  const ignored: string[] = [];
  for (const { key, value, where } of readYaml(file)) {
    const written = `${where}: ${key}`;
    const row = rowInFiles(rows, key);
    if (key === "config") problems.add(key, `${written}: a file of options names no other`);
    else if (row) put(into, row, { value, written, from: "file" }, problems);
    else if (!namesInFiles.has(canonical(key))) problems.unknown(key, written, asKey, [...namesInFiles]);
    else if (!findRow(commands.train.rows, key)) ignored.push(written);
  }
  return ignored;
}

function fromEnvironment(environment: NodeJS.ProcessEnv, rows: Rows, problems: Problems): Map<string, Candidate> {
  const found = new Map<string, Candidate>();
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(ENVIRONMENT) || !text) continue;
    const key = variable.slice(ENVIRONMENT.length).toLowerCase();
    const option = findRow(rows, key);
    if (option)
      put(found, option.key, { value: parseText(option.row, text), written: variable, from: "environment" }, problems);
    else if (!allNames.has(canonical(key)) && !OTHER_VARIABLES.includes(variable.slice(ENVIRONMENT.length))) {
      // Variables of other programs may begin alike: only a probable slip of the pen is refused.
      const near = suggestion(key, Object.keys(rows), (name) => asVariable(name));
      const hint = hintFor(key, asVariable);
      if (hint !== undefined && "config" in rows) problems.add(key, `${variable}: unknown option; ${hint}`);
      else if (near) problems.add(key, `${variable}: unknown option${near}`);
    }
  }
  return found;
}

function fromFlags(flags: Flags, rows: Rows, problems: Problems): Map<string, Candidate> {
  const found = new Map<string, Candidate>();
  for (const [name, texts] of flags.values) {
    const written = `--${name}`;
    const { key, row } = findRow(rows, name)!;
    if (texts.length > 1)
      problems.add(
        key,
        `${written}: given ${texts.length} times${row.secret ? "" : ` (${texts.join(", ")})`}, expected once`,
      );
    else put(found, key, { value: texts[0] === "" ? undefined : parseText(row, texts[0]!), written }, problems);
  }
  flags.strays.forEach((token, i) => {
    const name = /^--?([^=]+)/.exec(token)?.[1];
    if (name !== undefined) problems.unknown(name.replaceAll("-", "_"), token.split("=")[0]!, asFlag);
    // The word after an unknown option is its value, not one more problem.
    else if (!flags.strays[i - 1]?.startsWith("-"))
      problems.add(token, `${shownValue(token)}: expected an option (--name)`);
  });
  return found;
}

/**
 * The options of a command: defaults, then the YAML file, then the environment, then flags.
 * @throws LowrankError E_USAGE with everything that is wrong with them
 */
export async function loadOptions<R extends Rows>(
  command: Command<R>,
  flags: Flags,
  environment: NodeJS.ProcessEnv,
): Promise<Loaded<R>> {
  const rows: Rows = command.rows;
  const problems = new Problems(command, true);
  const byFlag = fromFlags(flags, rows, problems);
  const byVariable = fromEnvironment(environment, rows, problems);
  const given = new Map<string, Candidate>();
  const file = byFlag.get("config") ?? byVariable.get("config");
  const ignored = typeof file?.value === "string" ? await fromFile(file.value, rows, given, problems) : [];
  for (const [key, candidate] of [...byVariable, ...byFlag]) given.set(key, candidate);
  return { ...validated(rows, given, problems), ignored };
}

/**
 * The options of a command from an object. A value that is undefined counts as not given.
 * @throws LowrankError E_ARGUMENT for anything but a plain object, E_USAGE with all problems of the options
 */
export function optionsFrom<R extends Rows>(command: Command<R>, object: unknown): Loaded<R> {
  const problems = new Problems(command, false);
  const given = new Map<string, Candidate>();
  for (const [key, value] of plainEntries(object, command.name)) {
    if (value === undefined) continue;
    const option = findRow(command.rows, key);
    if (option) put(given, option.key, { value, written: key }, problems);
    else problems.unknown(key, key, asKey);
  }
  return { ...validated(command.rows, given, problems), ignored: [] };
}

/** Undefined where code of the value itself throws, as of a getter or a proxy. */
function parse(schema: z.ZodType, value: unknown): z.ZodSafeParseResult<unknown> | undefined {
  try {
    return schema.safeParse(value);
  } catch {
    return undefined;
  }
}

function validated<R extends Rows>(
  rows: Rows,
  given: Map<string, Candidate>,
  problems: Problems,
): Omit<Loaded<R>, "ignored"> {
  const options: Record<string, unknown> = {};
  for (const [key, row] of Object.entries(rows)) {
    const candidate = given.get(key);
    const other = row.unless === undefined ? undefined : given.get(row.unless);
    const hasOther = other?.value !== undefined;
    // An optional key of a file may be left empty; a flag or a key with a default may not.
    const left = candidate !== undefined && candidate.value === undefined;
    const isNeeded = (row.required && !hasOther) || row.defaultValue !== undefined;
    if (left && (candidate.written.startsWith("--") || isNeeded)) {
      problems.add(key, `${candidate.written}: expected ${row.expects}, found nothing`);
      continue;
    }
    const isGiven = candidate?.value !== undefined;
    const isBeside = row.beside && hasOther && [candidate?.from, other?.from].includes("file");
    const lacks = row.required && !isGiven && !hasOther;
    if (row.unless !== undefined && (lacks || (isGiven && hasOther && !isBeside))) {
      problems.alternative(key, row, candidate?.written, other?.written ?? problems.spelled(row.unless));
      continue;
    }
    const isUsed = isGiven && !(isBeside && candidate.from === "file" && other?.from !== "file");
    const isNeeding = isUsed && candidate.from === undefined && candidate.value !== row.defaultValue;
    if (row.needs && isNeeding && !row.needs.some((name) => given.get(name)?.value)) {
      problems.add(key, `${candidate.written}: needs ${row.needs.map((name) => problems.spelled(name)).join(" or ")}`);
      continue;
    }
    const parsed = parse(row.schema, isUsed ? candidate.value : row.defaultValue);
    if (parsed?.success) options[key] = parsed.data;
    else if (candidate === undefined)
      problems.add(key, `${problems.spelled(key)}: missing; expected ${row.expects} (${row.help})`);
    else {
      const { value } = candidate;
      const found = row.secret
        ? "another value"
        : `${shownValue(value)}${typeof value === "string" ? suggestion(value, row.values ?? []) : ""}`;
      problems.add(key, `${candidate.written}: expected ${row.expects}, found ${found}`);
    }
  }
  problems.throwIfAny();
  const used = [...given].filter(([, { value }]) => value !== undefined);
  const names = (some: typeof used) => new Set(some.map(([key]) => key));
  const inFile = names(used.filter(([, { from }]) => from === "file"));
  return { options: options as OptionsOf<R>, given: names(used), inFile };
}
