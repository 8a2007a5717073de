/** Runs the command line. @returns the exit code: 0, 1 after an error, 128 + n after signal n */
export declare function main(argv: readonly string[]): Promise<number>;
