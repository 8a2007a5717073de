/**
 * The GGUF file that a path means: the file itself, or the only one of a folder; undefined where it means none.
 * @throws LowrankError E_GGUF where a folder has several, E_FILE where it cannot be listed
 */
export declare function findGguf(path: string): string | undefined;
/** The same for a base model: weights of another format in the folder come first. */
export declare function findGgufBase(path: string): string | undefined;
