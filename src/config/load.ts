import { z } from "zod";
import { LowrankError } from "../errors.js";
import { suggestion } from "../nearest.js";
import { type Command, commands } from "./commands.js";
import { type OptionsOf, parseText, type Row, type Rows } from "./row.js";
import { laterRows } from "./rows.js";

/** What the command line holds: the texts of each option, and what is no option of the command. */
export interface Flags {
  values: Map<string, string[]>;
  /** Tokens that belong to nothing. */
  strays: string[];
}

export interface Loaded<R extends Rows> {
  options: OptionsOf<R>;
  /** Options that somebody gave, whatever the value. */
  given: ReadonlySet<string>;
}

interface Candidate {
  value: unknown;
  /** How the user wrote it: `--lora_r`, `LOWRANK_LORA_R` or `run.yaml:3: lora_r`. */
  written: string;
}

const ENVIRONMENT = "LOWRANK_";
/** Environment variables that are not options. */
const OTHER_VARIABLES = ["CPU", "DEBUG", "BUILD"];

const allNames = [...new Set(commands.flatMap(({ rows }) => Object.keys(rows)))];

/** Collects what is wrong, so that one message names it all. */
class Problems {
  readonly #lines: string[] = [];
  readonly #command: Command;
  readonly #isCommandLine: boolean;

  constructor(command: Command, isCommandLine: boolean) {
    this.#command = command;
    this.#isCommandLine = isCommandLine;
  }

  /** How the user would write an option. */
  spelled(key: string): string {
    return this.#isCommandLine ? `--${key}` : key;
  }

  add(line: string): void {
    this.#lines.push(line);
  }

  /** `name` is no option of the command. `written` is how the user spelled it. */
  unknown(name: string, written: string, spelled: (near: string) => string): void {
    const later = laterRows[name];
    if (later !== undefined) this.add(`${written}: ${later}`);
    else if (allNames.includes(name))
      this.add(`${written}: not an option of ${this.#isCommandLine ? "lowrank " : ""}${this.#command.name}`);
    else this.add(`${written}: unknown option${suggestion(name, Object.keys(this.#command.rows), spelled)}`);
  }

  throwIfAny(): void {
    if (this.#lines.length === 0) return;
    const [first] = this.#lines;
    const text = this.#lines.length === 1 ? first! : `${this.#lines.length} problems:\n  ${this.#lines.join("\n  ")}`;
    const all = this.#isCommandLine ? `lowrank ${this.#command.name} --help` : "docs/options.md";
    throw new LowrankError("E_USAGE", `${text}\nAll options: ${all}`);
  }
}

function shown(value: unknown): string {
  return value === undefined || value === "" ? "nothing" : JSON.stringify(value);
}

async function fromFile(file: string, rows: Rows, into: Map<string, Candidate>, problems: Problems): Promise<void> {
  const { readYaml } = await import("./yaml.js");
  for (const { key, value, where } of readYaml(file)) {
    const written = `${where}: ${key}`;
    if (key === "config" || !(key in rows)) problems.unknown(key, written, (near) => near);
    else into.set(key, { value, written });
  }
}

function fromEnvironment(environment: NodeJS.ProcessEnv, rows: Rows, problems: Problems): Map<string, Candidate> {
  const found = new Map<string, Candidate>();
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(ENVIRONMENT) || !text) continue;
    const key = variable.slice(ENVIRONMENT.length).toLowerCase();
    if (key in rows) found.set(key, { value: parseText(rows[key]!, text), written: variable });
    else if (key in laterRows) problems.unknown(key, variable, (near) => near);
    else if (!allNames.includes(key) && !OTHER_VARIABLES.includes(variable.slice(ENVIRONMENT.length))) {
      // Variables of other programs may begin alike: only what looks like a slip of the pen is refused.
      const near = suggestion(key, Object.keys(rows), (name) => ENVIRONMENT + name.toUpperCase());
      if (near) problems.add(`${variable}: unknown option${near}`);
    }
  }
  return found;
}

function fromFlags(flags: Flags, rows: Rows, problems: Problems): Map<string, Candidate> {
  const found = new Map<string, Candidate>();
  for (const [key, texts] of flags.values) {
    const written = `--${key}`;
    if (texts.length > 1) problems.add(`${written}: given ${texts.length} times (${texts.join(", ")}), expected once`);
    else found.set(key, { value: texts[0] === "" ? undefined : parseText(rows[key]!, texts[0]!), written });
  }
  flags.strays.forEach((token, i) => {
    const name = /^--?([^=]+)/.exec(token)?.[1];
    if (name !== undefined) problems.unknown(name.replaceAll("-", "_"), token.split("=")[0]!, (near) => `--${near}`);
    // What follows an unknown option is its value, not one more problem.
    else if (!flags.strays[i - 1]?.startsWith("-"))
      problems.add(`${JSON.stringify(token)}: expected an option (--name)`);
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
  if (typeof file?.value === "string") await fromFile(file.value, rows, given, problems);
  for (const [key, candidate] of [...byVariable, ...byFlag]) given.set(key, candidate);
  return validated(rows, given, problems);
}

/**
 * The options of a command from an object; what is undefined counts as not given.
 * @throws LowrankError E_USAGE with everything that is wrong with them
 */
export function optionsFrom<R extends Rows>(command: Command<R>, object: Record<string, unknown>): Loaded<R> {
  const problems = new Problems(command, false);
  const given = new Map<string, Candidate>();
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue;
    if (key in command.rows) given.set(key, { value, written: key });
    else problems.unknown(key, key, (near) => near);
  }
  return validated(command.rows, given, problems);
}

function validated<R extends Rows>(rows: Rows, given: Map<string, Candidate>, problems: Problems): Loaded<R> {
  const shape: Record<string, z.ZodType> = {};
  const values: Record<string, unknown> = {};
  for (const [key, row] of Object.entries(rows)) {
    shape[key] = row.schema;
    const candidate = given.get(key);
    // An optional key of a file may be left empty; a flag or a key with a default may not.
    const left = candidate !== undefined && candidate.value === undefined;
    if (left && (candidate.written.startsWith("--") || row.required || row.defaultValue !== undefined)) {
      problems.add(`${candidate.written}: expected ${row.expects}, found nothing`);
    }
    values[key] = candidate?.value ?? row.defaultValue;
  }
  const parsed = z.object(shape).safeParse(values);
  for (const key of new Set(parsed.error?.issues.map(({ path }) => String(path[0])))) {
    const candidate = given.get(key);
    const row = rows[key] as Row;
    if (candidate === undefined)
      problems.add(`${problems.spelled(key)}: missing; expected ${row.expects} (${row.help})`);
    else if (candidate.value !== undefined)
      problems.add(`${candidate.written}: expected ${row.expects}, found ${shown(candidate.value)}`);
  }
  problems.throwIfAny();
  const used = [...given].filter(([, { value }]) => value !== undefined).map(([key]) => key);
  return { options: parsed.data as OptionsOf<R>, given: new Set(used) };
}
