export declare const MODEL_CONFIGS: string[];
/** Flushes a file, or a folder's list of names. */
export declare function flush(path: string): Promise<void>;
/** @throws LowrankError E_WRITE naming the file */
export declare function writeTextFile(file: string, text: string): Promise<void>;
/** JSON as Hugging Face's libraries write it: sorted keys, two spaces. */
export declare function sortedJson(value: Record<string, unknown>): string;
/** Copies files, of the disk or of a GGUF file's tokenizer, into a folder under their own names. @throws LowrankError E_FILE, E_WRITE */
export declare function copyInto(folder: string, files: string[]): Promise<void>;
/** @throws LowrankError E_WRITE */
export declare function makeFolder(folder: string): Promise<void>;
/** The hidden name beside `folder` under which it is written or taken away. */
export declare function hiddenName(folder: string, suffix: "tmp" | "old"): string;
/**
 * Makes `folder` of what `write` puts into a temporary folder beside it; a folder of that name is replaced. Where
 * anything fails the temporary folder is removed and `folder` is what it was.
 * @throws LowrankError E_WRITE naming file and cause
 */
export declare function writeFolder(folder: string, write: (temporary: string) => Promise<void>): Promise<void>;
/**
 * Puts the files that `write` makes into a folder that holds other things too. They are written whole under another name
 * first; `last`, without which the others mean nothing, takes its place after them.
 * @throws LowrankError E_WRITE naming file and cause
 */
export declare function replaceFiles(folder: string, last: string, write: (temporary: string) => Promise<void>): Promise<void>;
/** Removes a folder that is complete until it is gone. @throws LowrankError E_WRITE */
export declare function removeFolder(folder: string): Promise<void>;
/** A folder for a whole model: new, empty or, to be overwritten, one that holds nothing else. @throws LowrankError E_OUTPUT_EXISTS */
export declare function checkModelOutput(output: string, overwrite: boolean): void;
