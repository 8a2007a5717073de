/** sha256 of the files that decide which tokens a text becomes. @param main tokenizer.json. @throws LowrankError E_FILE */
export declare function tokenizerHash(main: string): string;
export declare function isTokenizerFile(path: string): boolean;
/** Paths of the tokenizer files that a folder or a GGUF file has. */
export declare function findTokenizerFiles(folder: string): string[];
/** @param path tokenizer.json or its folder, or a GGUF file. @throws LowrankError E_FILE_MISSING, E_FILE */
export declare function findMainFile(path: string): string;
