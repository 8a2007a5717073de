/** Contents of tokenizer.json, tokenizer_config.json and generation_config.json. */
export type TokenizerFiles = Record<"tokenizer.json" | "tokenizer_config.json" | "generation_config.json", object>;
/** @throws LowrankError E_GGUF; E_TOKENIZER naming the key, and --tokenizer_name as the way out */
export declare function ggufTokenizer(file: string): TokenizerFiles;
/**
 * Ids of the tokens that end a text, in a file whose tokenizer is perhaps of a kind that is not read; empty where it names none.
 * @throws LowrankError E_GGUF
 */
export declare function ggufEndIds(file: string): number[];
