import { once } from "node:events";
import { Writable } from "node:stream";
import winston from "winston";
import { TextFile } from "./text-file.js";
const LEVELS = { error: 0, print: 0, warn: 1, info: 2, verbose: 3 };
const COLOURS = { error: "\x1b[31m", warn: "\x1b[33m" };
const { combine, printf, timestamp } = winston.format;
const only = (wanted) => winston.format((info) => (wanted(info.level) ? info : false))();
/** Text for the terminal: a result as it is, a problem with its kind before it. */
function onTerminal(colours) {
    return printf(({ level, message }) => {
        const label = level === "warn" ? "warning: " : level === "error" ? "error: " : "";
        return colours && label ? `${COLOURS[level]}${label}\x1b[0m${message}` : `${label}${message}`;
    });
}
const inFile = combine(timestamp(), printf(({ level, message, timestamp }) => `${timestamp} ${level} ${message}`));
/** Lines for people: on standard error, results on standard output, and all of it in a file once there is one. */
export class Log {
    #logger;
    #transports;
    #file = null;
    /** What was logged before the file was there. */
    #early = [];
    /** Of writing, kept for whoever logs next. */
    #failure;
    /** Undoes the constructor's. */
    #leaveStreams;
    constructor({ level, results = process.stdout, beforeLine }) {
        const colours = process.stderr.isTTY === true && !process.env.NO_COLOR;
        const terminal = (stream) => (text) => {
            beforeLine?.();
            stream.write(text);
        };
        const transport = (least, format, write) => new winston.transports.Stream({ level: least, format, stream: this.#sink(write), eol: "\n" });
        this.#transports = [
            transport("print", combine(only((l) => l === "print"), onTerminal(false)), terminal(results)),
            transport(level, combine(only((l) => l !== "print"), onTerminal(colours)), terminal(process.stderr)),
            transport("verbose", inFile, (text) => {
                if (this.#early)
                    this.#early.push(text);
                else
                    this.#file?.write(text);
            }),
        ];
        this.#leaveStreams = this.#watchStreams();
        this.#logger = winston.createLogger({ levels: LEVELS, level: "verbose", transports: this.#transports });
    }
    /** A run goes on without a stream that cannot be written; the file says so. */
    #watchStreams() {
        const streams = { "standard output": process.stdout, "standard error": process.stderr };
        const watched = Object.entries(streams).map(([name, stream]) => {
            const tell = ({ code }) => this.note(`${name} cannot be written any more (${code}): the run goes on without it`, "warn");
            stream.once("error", tell);
            return () => stream.off("error", tell);
        });
        return () => {
            for (const leave of watched)
                leave();
        };
    }
    #sink(write) {
        return new Writable({
            decodeStrings: false,
            write: (text, _, next) => {
                try {
                    write(text);
                }
                catch (error) {
                    this.#failure ??= error;
                }
                next();
            },
        });
    }
    /** Of interest where no progress bar shows it, and always in the file. */
    verbose(message) {
        this.#log("verbose", message);
    }
    info(message) {
        this.#log("info", message);
    }
    warn(message) {
        this.#log("warn", message);
    }
    /** A result: on standard output, as it is. */
    print(message) {
        this.#log("print", message);
    }
    /** Also writes to this file from now on, what was logged so far first. */
    openFile(path, append = false) {
        const anew = `${new Date().toISOString()} warn this file was removed while the run went on, and begins anew\n`;
        this.#file = new TextFile(path, append, () => anew);
        for (const text of this.#early ?? [])
            this.#file.write(text);
        this.#early = null;
    }
    /** Adds a line to the file alone, as of an error that is shown elsewhere and matters more than this line. */
    note(message, level = "error") {
        const text = `${new Date().toISOString()} ${level} ${message}\n`;
        try {
            if (this.#early)
                this.#early.push(text);
            else
                this.#file?.write(text);
        }
        catch { }
    }
    /** Returns when every line is written. */
    async close() {
        const finished = this.#transports.map((transport) => once(transport, "finish"));
        this.#logger.end();
        await Promise.all(finished);
        this.#file?.close();
        this.#leaveStreams();
    }
    #log(level, message) {
        const failure = this.#failure;
        if (failure !== undefined) {
            this.#failure = undefined;
            throw failure;
        }
        this.#logger.log(level, message);
    }
}
