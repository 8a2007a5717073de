/** For commands without a log: their results go to standard output. */
export const warn = (message) => void process.stderr.write(`warning: ${message}\n`);
