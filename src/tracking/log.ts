import { once } from "node:events";
import { Writable } from "node:stream";
import type { Logform, Logger, transport as Transport } from "winston";
import { loadPackage } from "../base/packages.js";
import { TextFile } from "./text-file.js";

type Level = "error" | "warn" | "info" | "verbose" | "print";

const LEVELS: Record<Level, number> = { error: 0, print: 0, warn: 1, info: 2, verbose: 3 };
const COLOURS: Partial<Record<string, string>> = { error: "\x1b[31m", warn: "\x1b[33m" };

/** Loaded with the first log: most commands have none. */
const winston = () => loadPackage("winston") as typeof import("winston");

/** The lines of some levels alone. */
const only = (wanted: (level: string) => boolean): Logform.Format =>
  winston().format((info) => (wanted(info.level) ? info : false))();

/** Text for the terminal: a result as it is, a problem with its kind before it. */
function onTerminal(colours: boolean): Logform.Format {
  return winston().format.printf(({ level, message }) => {
    const label = level === "warn" ? "warning: " : level === "error" ? "error: " : "";
    return colours && label ? `${COLOURS[level]}${label}\x1b[0m${message}` : `${label}${message}`;
  });
}

function inFile(): Logform.Format {
  const { combine, printf, timestamp } = winston().format;
  return combine(
    timestamp(),
    printf(({ level, message, timestamp }) => `${timestamp} ${level} ${message}`),
  );
}

export interface LogOptions {
  /** Least important level on the terminal. */
  level: "error" | "info" | "verbose";
  /** Where results are printed, if anywhere; default standard output. */
  results?: NodeJS.WriteStream | null;
  /** Called before a line goes to the terminal. */
  beforeLine?: () => void;
}

/** Lines for people: on standard error, results on standard output, and all of it in a file once there is one. */
export class Log {
  readonly #logger: Logger;
  readonly #transports: Transport[];
  #file: TextFile | null = null;
  /** Lines that were logged before the file was there. */
  #early: string[] | null = [];
  /** The failure of writing, kept for whoever logs next. */
  #failure: unknown;
  /** Undoes the constructor's. */
  readonly #leaveStreams: () => void;

  constructor({ level, results = process.stdout, beforeLine }: LogOptions) {
    const colours = process.stderr.isTTY === true && !process.env.NO_COLOR;
    const terminal = (stream: NodeJS.WriteStream | null) => (text: string) => {
      beforeLine?.();
      stream?.write(text);
    };
    const { createLogger, format: formats, transports } = winston();
    const { combine } = formats;
    const transport = (least: Level, format: Logform.Format, write: (text: string) => void) =>
      new transports.Stream({ level: least, format, stream: this.#sink(write), eol: "\n" });
    this.#transports = [
      transport(
        "print",
        combine(
          only((l) => l === "print"),
          onTerminal(false),
        ),
        terminal(results),
      ),
      transport(
        level,
        combine(
          only((l) => l !== "print"),
          onTerminal(colours),
        ),
        terminal(process.stderr),
      ),
      transport("verbose", inFile(), (text) => {
        if (this.#early) this.#early.push(text);
        else this.#file?.write(text);
      }),
    ];
    this.#leaveStreams = this.#watchStreams();
    this.#logger = createLogger({ levels: LEVELS, level: "verbose", transports: this.#transports });
  }

  /** A run goes on without a stream that cannot be written; the file tells so. */
  #watchStreams(): () => void {
    const streams = { "standard output": process.stdout, "standard error": process.stderr };
    const watched = Object.entries(streams).map(([name, stream]) => {
      const tell = ({ code }: NodeJS.ErrnoException) =>
        this.note(`${name} cannot be written any more (${code}): the run goes on without it`, "warn");
      stream.once("error", tell);
      return () => stream.off("error", tell);
    });
    return () => {
      for (const leave of watched) leave();
    };
  }

  #sink(write: (text: string) => void): Writable {
    return new Writable({
      decodeStrings: false,
      write: (text: string, _, next) => {
        try {
          write(text);
        } catch (error) {
          this.#failure ??= error;
        }
        next();
      },
    });
  }

  /** A line of interest where no progress bar shows it; always in the file. */
  verbose(message: string): void {
    this.#log("verbose", message);
  }

  info(message: string): void {
    this.#log("info", message);
  }

  warn(message: string): void {
    this.#log("warn", message);
  }

  /** A result: on standard output, as it is. */
  print(message: string): void {
    this.#log("print", message);
  }

  /** Also writes to this file from now on, the earlier lines first. */
  openFile(path: string, append = false): void {
    const anew = `${new Date().toISOString()} warn this file was removed while the run went on, and begins anew\n`;
    this.#file = new TextFile(path, append, () => anew);
    for (const text of this.#early ?? []) this.#file.write(text);
    this.#early = null;
  }

  /** Adds a line to the file alone, as of an error that is shown elsewhere and matters more than this line. */
  note(message: string, level: Level = "error"): void {
    const text = `${new Date().toISOString()} ${level} ${message}\n`;
    try {
      if (this.#early) this.#early.push(text);
      else this.#file?.write(text);
    } catch {}
  }

  /** Returns when every line is written. */
  async close(): Promise<void> {
    const finished = this.#transports.map((transport) => once(transport, "finish"));
    this.#logger.end();
    await Promise.all(finished);
    this.#file?.close();
    this.#leaveStreams();
  }

  #log(level: Level, message: string): void {
    const failure = this.#failure;
    if (failure !== undefined) {
      this.#failure = undefined;
      throw failure;
    }
    this.#logger.log(level, message);
  }
}
