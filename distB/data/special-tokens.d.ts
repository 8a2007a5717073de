export interface TokenizerSettings {
    /** Texts of the tokens, undefined where no file names one. */
    bos: string | undefined;
    eos: string | undefined;
    pad: string | undefined;
    /** Side that truncation cuts. */
    truncationSide: "left" | "right";
}
export declare const TOKENIZER_CONFIG = "tokenizer_config.json";
/** Roles of tokens, in transformers' order. */
export declare const NAMED_TOKENS: string[];
/** What stands beside tokenizer.json. */
export interface SettingsFiles {
    /** tokenizer_config.json */
    config: Record<string, unknown>;
    /** special_tokens_map.json, of older folders. */
    map: Record<string, unknown>;
    /** Special tokens without a role: a list, or an object by names. */
    additional: unknown;
}
export declare function readIfThere(file: string): Record<string, unknown>;
/** A token is a text or an object with its text in `content`. */
export declare function tokenText(value: unknown): string | undefined;
/** @throws LowrankError E_FILE, E_JSON */
export declare function readSettingsFiles(folder: string): SettingsFiles;
/** The token of a role, as a text or an object. */
export declare function namedToken({ config, map }: SettingsFiles, role: string): unknown;
/** tokenizer_config.json, and special_tokens_map.json where it decides or for what the former does not say. */
export declare function readTokenizerSettings(folder: string): TokenizerSettings;
/** Tokens that end a text of the model: of generation_config.json, else of config.json, or of a GGUF file; empty where none is named. */
export declare function readEosIds(model: string): number[];
/** The chat template of a model's or tokenizer's folder, as it is written; undefined where it has none that can be read. */
export declare function readChatTemplate(folder: string): string | undefined;
