import { type Stats } from "node:fs";
import { LowrankError } from "./errors.js";
/** An error for people stays what it is. `what` names the file's role: "Training file", "config.json of the model". */
export declare function readError(error: unknown, file: string, what?: string): LowrankError;
/** What the system refused becomes E_WRITE; any other error stays what it is. */
export declare function writeError(error: unknown, file: string): unknown;
/** A number of bytes for people: "1.5 MiB". */
export declare function bytes(n: number): string;
/** Bytes that are free for this user where `path` is or will be; undefined where the system does not say. */
export declare function freeBytes(path: string): number | undefined;
/** Whether an error is E_WRITE of a full disk or a used up quota. */
export declare function isFull(error: unknown): error is LowrankError;
/** The error of a full disk about all of what was to be written, not one file of it; any other error stays what it is. */
export declare function fullError(error: unknown, whole: string, needed: number): unknown;
/** Never waits for the writer of a pipe. */
export declare const TO_READ: number;
/**
 * Reading a pipe may wait for ever, and a device may never end.
 * @param stats of what was opened with `TO_READ`
 * @throws LowrankError E_FILE for anything but a regular file
 */
export declare function requireRegular(stats: Stats, file: string, what?: string): void;
/** Of files that hold a whole vocabulary, or the history of a run. */
export declare const LARGEST_LIST_BYTES: number;
/**
 * @param most bytes that it may have
 * @returns the descriptor of a regular file
 * @throws LowrankError E_FILE_MISSING, E_FILE
 */
export declare function openRegular(file: string, what?: string, most?: number): number;
/** All of a file. @throws LowrankError E_FILE_MISSING, E_FILE, also where it is larger than `most` bytes */
export declare function readBytes(file: string, what?: string, most?: number): Buffer;
/**
 * A UTF-8 file without its byte order mark.
 * @throws LowrankError E_FILE_MISSING, E_FILE, also where it is larger than `most` bytes, E_UTF8
 */
export declare function readText(file: string, what?: string, most?: number): string;
