import { type Command, type Flags } from "../config/index.js";
/** What the command line asks for. */
export type Request = {
    kind: "text";
    text: string;
} | {
    kind: "command";
    command: Command;
    flags: Flags;
};
/** @throws LowrankError E_USAGE where there is no such command */
export declare function parse(argv: readonly string[]): Promise<Request>;
