import type { OnLoading } from "../native/index.js";
import type { Log, Progress } from "../tracking/index.js";
/** For commands without a log: their results go to standard output. */
export declare const STDERR: {
    info: (line: string) => undefined;
};
type Bar = Pick<Progress, "shown" | "start" | "update" | "stop">;
type Lines = Pick<Log, "info">;
/**
 * @param isFree whether the bar is nobody else's just now
 * @returns shows so many steps of all as a bar, or as lines where there is none
 */
export declare function loading(progress: Bar, log: Lines, isFree?: () => boolean): OnLoading;
export {};
