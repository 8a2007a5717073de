/**
 * Content of a file of a GGUF file's tokenizer; undefined for every other path.
 * @throws LowrankError E_TOKENIZER, E_GGUF
 */
export declare function ggufFile(file: string): string | undefined;
export declare function hasTokenizerFile(file: string): boolean;
/** @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8 */
export declare function readTokenizerText(file: string): string;
/** @param most bytes that the file may have, else as a file of settings. @throws LowrankError E_FILE_MISSING, E_FILE, E_UTF8, E_JSON */
export declare function readTokenizerJson(file: string, most?: number): Record<string, unknown>;
