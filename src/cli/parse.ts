import yargs, { type Argv } from "yargs";
import { LowrankError } from "../base/errors.js";
import { suggestion } from "../base/nearest.js";
import { packageVersion } from "../base/version.js";
import { type Command, commandList, type Flags, otherNames, shownDefault } from "../config/index.js";
import { normalise } from "./argv.js";

/** The command line's request. */
export type Request = { kind: "text"; text: string } | { kind: "command"; command: Command; flags: Flags };

const LATEST_COLUMN = 110;

/** yargs without its guesses: values stay text, names stay as they are. Unknown names are left for us to refuse. */
function parser(argv: string[]): Argv {
  return yargs(argv)
    .scriptName("lowrank")
    .parserConfiguration({
      "boolean-negation": false,
      "camel-case-expansion": false,
      "dot-notation": false,
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "short-option-groups": false,
      "unknown-options-as-args": true,
    })
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new LowrankError("E_USAGE", message);
    })
    .wrap(Math.min(LATEST_COLUMN, process.stdout.columns ?? LATEST_COLUMN))
    .help(false)
    .version(false)
    .option("help", { alias: "h", type: "boolean", describe: "show this help" })
    .option("version", { type: "boolean", describe: "show the version" });
}

function declare(y: Argv, command: Command): Argv {
  for (const [name, row] of Object.entries(command.rows)) {
    const shown = row.required ? undefined : shownDefault(row);
    const others = otherNames(name);
    const also = others.length > 0 ? `; also --${others.join(", --")}` : "";
    y.option(name, {
      group: `${row.group}:`,
      describe: `${row.help}${also}${row.required ? ` (${shownDefault(row)})` : ""}`,
      nargs: 1,
      ...(shown === undefined ? {} : { defaultDescription: shown }),
    });
    for (const other of others) y.option(other, { nargs: 1, hidden: true });
  }
  const positionals =
    (command.positionals ?? []).map((name) => ` [${name}]`).join("") + (command.takesRest ? " ..." : "");
  return y
    .usage(`lowrank ${command.name}${positionals} [options]\n\n${command.summary}.`)
    .example(command.example, "")
    .epilogue(
      "Options may be spelled with _ or -, set in a YAML file (--config) or as LOWRANK_<NAME>; --no-<name> is false.",
    );
}

function commandFlags(command: Command, rest: string[]): Flags {
  const parsed = parserFor(command, normalise(rest, command.rows)).parseSync() as Record<string, unknown>;
  const values = new Map<string, string[]>();
  for (const name of Object.keys(command.rows).flatMap((name) => [name, ...otherNames(name)])) {
    const value = parsed[name];
    if (value !== undefined) values.set(name, (Array.isArray(value) ? value : [value]).map(String));
  }
  const strays = (parsed._ as unknown[]).map(String);
  const isWord = (stray: string | undefined) => stray !== undefined && !stray.startsWith("-");
  for (const name of command.positionals ?? []) {
    if (!isWord(strays[0])) break;
    const taken = [strays.shift()!];
    if (command.takesRest && name === command.positionals!.at(-1))
      while (isWord(strays[0])) taken.push(strays.shift()!);
    // A list is one value.
    values.set(name, [...(values.get(name) ?? []), taken.join(",")]);
  }
  return { values, strays };
}

function parserFor(command: Command, argv: string[]): Argv {
  return declare(parser(argv), command);
}

async function overview(): Promise<string> {
  const y = parser([]).usage("lowrank: LoRA fine-tuning of language models\n\nUsage: $0 <command> [options]");
  for (const { name, summary } of commandList) y.command(name, summary);
  return y.epilogue("lowrank <command> --help lists a command's options.").getHelp();
}

/** @throws LowrankError E_USAGE where there is no such command */
export async function parse(argv: readonly string[]): Promise<Request> {
  const [first, ...rest] = argv;
  if (first === "--version") return { kind: "text", text: packageVersion() };
  if (first === "--help" || first === "-h" || first === "help") return { kind: "text", text: await overview() };
  if (first === undefined) throw new LowrankError("E_USAGE", `A command is missing.\n\n${await overview()}`);
  const names = commandList.map(({ name }) => name);
  const command = commandList.find(({ name }) => name === first);
  if (!command) {
    const near = suggestion(first, names);
    throw new LowrankError("E_USAGE", `${first}: unknown command${near || `; there are ${names.join(", ")}`}`);
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    return { kind: "text", text: await parserFor(command, []).getHelp() };
  }
  return { kind: "command", command, flags: commandFlags(command, rest) };
}
