import { LowrankError } from "../base/errors.js";
/**
 * The error of a path that leads nowhere and looks like a name of the hub, which says how to get the model.
 * @returns undefined where it looks like none, or where it leads somewhere
 */
export declare function hubNameError(path: string, what: string): LowrankError | undefined;
