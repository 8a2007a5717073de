/** What somebody gave, short enough for a message. Runs no code of the value, and never throws. */
export declare function shownValue(value: unknown): string;
/**
 * The own properties of an object of options, each read once.
 * @param what whose options they are, such as `Trainer.create`
 * @throws LowrankError E_ARGUMENT for anything but a plain object, and where reading it fails
 */
export declare function plainEntries(value: unknown, what: string): [string, unknown][];
/** What was thrown, of which nothing is known. */
export declare function messageOf(thrown: unknown): string;
