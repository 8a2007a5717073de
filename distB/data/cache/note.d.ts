import type { Contents } from "./contents.js";
/** @param temporary another name in the same folder: a reader sees a whole note or none */
export declare function writeNote(file: string, temporary: string, buffer: ArrayBuffer, contents: Contents): void;
/** Null where there is no such note, or none of this file. Whether it is right is for `isWhole` to say. */
export declare function readNote(file: string, buffer: ArrayBuffer): Contents | null;
