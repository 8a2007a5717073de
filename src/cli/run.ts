import { createRequire } from "node:module";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { LowrankError } from "../base/errors.js";
import { endRanks, launchedBy, type ToldError, taskOf, tellLauncher, type World, worldOf } from "../base/ranks.js";
import { readError, writeError } from "../base/system-errors.js";
import * as config from "../config/index.js";
import type { LaunchOptions } from "../launch/index.js";
import { ignoresHangup } from "./hangup.js";
import { stoppable } from "./signals.js";
import { failureOf, guardStreams, letGoOfLostTerminals } from "./streams.js";

/** Loads a module and its imports, one file after the other; `import` opens them all at once (see main.ts). */
const load = createRequire(import.meta.url);

/** Ranks run the same command line. @param argv the arguments after the command's name */
async function launchRanks(command: config.Command, o: LaunchOptions, argv: readonly string[]): Promise<number> {
  const { launch } = load("../launch/index.js") as typeof import("../launch/index.js");
  const { tokensOf } = load("./argv.js") as typeof import("./argv.js");
  const tokens = tokensOf(argv, command.rows);
  const isSecret = (name: string | undefined) => name !== undefined && command.rows[name]?.secret === true;
  const secrets = new Map(
    tokens.flatMap(({ name, text }) => (isSecret(name) ? [[name!, text.slice(text.indexOf("=") + 1)] as const] : [])),
  );
  const program = [process.execPath, ...process.execArgv, resolve(process.argv[1]!), command.name];
  return stoppable((signal) => launch(o, { tokens, secrets, command: program, signal }));
}

/** A command's options are read before its code is loaded, and no other command's code is. @returns the exit code */
async function runCommand(command: config.Command, flags: config.Flags, argv: readonly string[]): Promise<number> {
  const { options, given, inFile, ignored } = await config.loadOptions(command, flags, process.env);
  type Run = (o: typeof options, names: ReadonlySet<string>, signal?: AbortSignal) => Promise<void>;
  const tells = command.trains ? ignored : [];
  for (const key of tells) process.stderr.write(`note: ${key} is no option of lowrank ${command.name}\n`);
  if (command.trains) {
    const { asksForRanks, refuseRanks } = load("../launch/index.js") as typeof import("../launch/index.js");
    const ranked = options as unknown as LaunchOptions;
    refuseRanks(command.name, asksForRanks(ranked));
    if (asksForRanks(ranked) && launchedBy() === null) return launchRanks(command, ranked, argv);
  }
  const { run } = load(`../commands/${command.name}.js`) as { run: Run };
  if (command.trains) return stoppable((signal) => run(options, given, signal));
  await run(options, inFile);
  return 0;
}

/** A file that could not be opened for want of descriptors may be one of the program's own, which nothing reads as data. */
function outOfFiles(error: unknown): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  return code === "EMFILE" || code === "ENFILE" ? readError(error, path ?? "of the program") : error;
}

/** One message for a person; the stack where LOWRANK_DEBUG asks for it. */
function describe(error: unknown): string {
  const debug = Boolean(process.env.LOWRANK_DEBUG);
  if (error instanceof LowrankError) {
    const cause = error.cause instanceof Error ? `\nCause: ${error.cause.stack}` : "";
    return `error ${error.code}: ${error.message}${debug ? `\n${error.stack}${cause}` : ""}`;
  }
  if (debug && error instanceof Error) return `error E_INTERNAL: ${error.stack}`;
  const what = error instanceof Error ? `${error.name}: ${error.message.split("\n")[0]}` : String(error);
  return `error E_INTERNAL: ${what} (a fault of lowrank; LOWRANK_DEBUG=1 shows where it happened)`;
}

/**
 * Where standard output is the result, a result that could not be written is an error; a reader that has seen enough, as in
 * `lowrank ... | head`, is none.
 */
async function checkResult(): Promise<void> {
  // A stream's failure is told after the call that wrote.
  await new Promise((resolve) => setImmediate(resolve));
  const failure = failureOf(process.stdout);
  if (failure && failure.code !== "EPIPE") throw writeError(failure, "Standard output");
}

/** For programs: one object on a line. */
function told(error: unknown): ToldError {
  if (!(error instanceof LowrankError)) return { code: "E_INTERNAL", message: String(error) };
  const { code, message, where } = error;
  return { code, message, ...(where === undefined ? {} : { where }) };
}

/** A rank's standard output claims to be a terminal of no columns, and its standard error is the launcher's, through a pipe. */
function actAsRank(): void {
  const world = worldOf();
  if (world === null) return;
  process.stdout.isTTY = false;
  const columns = launchedBy()?.columns ?? null;
  if (columns === null || world.rank !== 0) return;
  process.stderr.isTTY = true;
  process.stderr.columns = columns;
}

/** Where all ranks fail alike, the first one tells, and ends the others before this time is over. */
const FIRST_TELLS_MS = 1000;

/** Tells of a rank's error and ends all ranks, which would wait for this one. */
async function failAmongRanks({ rank, size }: World, error: ToldError, text: string): Promise<never> {
  if (rank > 0) await setTimeout(FIRST_TELLS_MS);
  // The launcher writes one message for all ranks.
  tellLauncher("error", error);
  if (launchedBy() === null || process.env.LOWRANK_DEBUG)
    process.stderr.write(`rank ${rank} of ${size} on ${hostname()}: ${text}\n`);
  endRanks();
  process.exit(1);
}

/** Runs the command line. @returns the exit code: 0, 1 after an error, 128 + n after signal n */
export async function main(argv: readonly string[]): Promise<number> {
  guardStreams();
  letGoOfLostTerminals();
  actAsRank();
  if (ignoresHangup()) process.on("SIGHUP", () => {});
  const wantsJson = argv.some((token) => /^--json(=true)?$/.test(token));
  let command: config.Command | undefined;
  try {
    const { parse } = load("./parse.js") as typeof import("./parse.js");
    const request = await parse(argv);
    if (request.kind === "text") process.stdout.write(`${request.text}\n`);
    if (request.kind !== "text") command = request.command;
    const code = request.kind === "text" ? 0 : await runCommand(request.command, request.flags, argv.slice(1));
    // A training run's results are files.
    if (request.kind === "text" || !request.command.trains || wantsJson) await checkResult();
    return code;
  } catch (caught) {
    const error = outOfFiles(caught);
    const text = wantsJson ? JSON.stringify(told(error)) : describe(error);
    const world = command?.name === "train" ? worldOf() : null;
    if (world) return failAmongRanks(world, told(error), text);
    // Tasks of srun that are no ranks are refused alike: the first one tells.
    if (command?.trains && (taskOf()?.task ?? 0) > 0) return 1;
    process.stderr.write(`${text}\n`);
    return 1;
  }
}
