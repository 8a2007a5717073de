import { type Command } from "./commands.js";
import { type OptionsOf, type Rows } from "./row.js";
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
    /** Keys of the file that only other commands than this one and `train` know, with their place. */
    ignored: string[];
}
/**
 * The options of a command: defaults, then the YAML file, then the environment, then flags.
 * @throws LowrankError E_USAGE with everything that is wrong with them
 */
export declare function loadOptions<R extends Rows>(command: Command<R>, flags: Flags, environment: NodeJS.ProcessEnv): Promise<Loaded<R>>;
/**
 * The options of a command from an object; what is undefined counts as not given.
 * @throws LowrankError E_ARGUMENT for anything but a plain object, E_USAGE with everything that is wrong with the options
 */
export declare function optionsFrom<R extends Rows>(command: Command<R>, object: unknown): Loaded<R>;
