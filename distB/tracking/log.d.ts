type Level = "error" | "warn" | "info" | "verbose" | "print";
export interface LogOptions {
    /** Least important level on the terminal. */
    level: "info" | "verbose";
    /** Where results are printed; default standard output. */
    results?: NodeJS.WriteStream;
    /** Called before a line goes to the terminal. */
    beforeLine?: () => void;
}
/** Lines for people: on standard error, results on standard output, and all of it in a file once there is one. */
export declare class Log {
    #private;
    constructor({ level, results, beforeLine }: LogOptions);
    /** Of interest where no progress bar shows it, and always in the file. */
    verbose(message: string): void;
    info(message: string): void;
    warn(message: string): void;
    /** A result: on standard output, as it is. */
    print(message: string): void;
    /** Also writes to this file from now on, what was logged so far first. */
    openFile(path: string, append?: boolean): void;
    /** Adds a line to the file alone, as of an error that is shown elsewhere and matters more than this line. */
    note(message: string, level?: Level): void;
    /** Returns when every line is written. */
    close(): Promise<void>;
}
export {};
