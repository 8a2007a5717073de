/** For commands without a log: their results go to standard output. */
export declare const warn: (message: string) => undefined;
