import type { ReadingDisplay } from "../setup/texts.js";
import type { Log, Progress } from "../tracking/index.js";
/** Seconds between two lines where there is no bar. */
export declare const LINE_S = 10;
/** @returns shows the reading of files as a bar, or as lines where there is none */
export declare function tokenising(progress: Progress, log?: Log): (files: string[]) => ReadingDisplay;
