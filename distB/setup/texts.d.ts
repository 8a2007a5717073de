import { type ReadOptions, type TextSource, TokenDataset, type Tokenised, Tokenizer, type TokenTable, type Wanted } from "../data/index.js";
import type { Warn } from "../model/index.js";
import { type ModelSource } from "../native/index.js";
export interface TextOptions {
    text_column: string;
    json_field?: string | undefined;
    text_by?: ReadOptions["textBy"];
    csv_separator?: ReadOptions["csvSeparator"];
    csv_quoting?: ReadOptions["csvQuoting"];
    max_seq_length: number;
    long_text: "truncate" | "chunk";
    add_eos: boolean;
    cache_dir: string | undefined;
    cache_limit_gb: number;
    threads: number | undefined;
}
/** Shows how far the reading of some texts is. */
export interface ReadingDisplay {
    update(done: Tokenised): void;
    /** @param table null where reading failed */
    end(table: TokenTable | null): void;
}
export interface Reading {
    /** @param files that are read; none where the texts are in memory */
    show?: ((files: string[]) => ReadingDisplay) | undefined;
    signal?: AbortSignal | undefined;
    warn: (message: string) => void;
    /** Told what is read of folders; else `warn` is. */
    note?: ((message: string) => void) | undefined;
}
/** The texts of some files. */
export interface Texts {
    table: TokenTable;
    /** Names texts by their numbers, which are in order. */
    where(rows: number[]): Promise<string[]>;
}
export declare function openTokenizer(o: {
    base_model: string;
    tokenizer_name: string | undefined;
}, warn: Warn): Promise<Tokenizer>;
/**
 * @param names files, folders and patterns
 * @param wanted the split that folders are read for
 * @throws LowrankError E_DATA_FILES, E_FILE
 */
export declare function namedTexts(names: string[], wanted: Wanted, o: TextOptions, reading: Reading): TextSource;
/** Every text, whatever is in it. */
export declare function tokenise(source: TextSource, tokenizer: Tokenizer, o: TextOptions, { show, signal, warn }: Reading): Promise<Texts>;
/** Numbers of texts, in order, of which no example has something to learn. */
export declare function leftOut(table: TokenTable): number[];
/** The texts that a model can learn from. */
export interface LearnableTexts {
    table: TokenTable;
    /** Numbers of the examples with something to learn, in order; at least one. */
    examples: Int32Array;
}
/**
 * @param vocabSize of the base model
 * @throws LowrankError of reading; E_TOKENIZER, E_ALL_MASKED
 */
export declare function readTokens(source: TextSource, tokenizer: Tokenizer, vocabSize: number, o: TextOptions, reading: Reading): Promise<LearnableTexts>;
/** Warns where a model's own tokenizer has tokens that the model has no embedding for. What else is wrong with it is told when it is used. */
export declare function warnOfIds(model: ModelSource, warn: Warn): Promise<void>;
/** Says what `add_eos` does to texts. */
export declare function tellEnd({ add_eos }: Pick<TextOptions, "add_eos">, { eosToken }: Tokenizer, say: {
    info(line: string): void;
    warn(line: string): void;
}): void;
export interface TrainTextOptions extends TextOptions {
    /** Files, folders and patterns, or the texts themselves. */
    train_file: string[] | TextSource;
    validation_file: string[] | TextSource | undefined;
    packing: boolean;
    pad_to_max_length: boolean;
    seed: number;
}
/** What a training run reads besides the model. */
export interface TrainingTexts {
    tokenizer: Tokenizer;
    training: TokenDataset;
    validation: TokenDataset;
    /** sha256 of the texts that were read, null for those that a part of the training texts was taken for. */
    hashes: {
        training: string;
        validation: string | null;
    };
}
/** That of the tokenizer where the model has it: any other is as good, for nothing is learned or seen of it. */
export declare function paddingToken({ padTokenId, eosTokenId }: Pick<Tokenizer, "padTokenId" | "eosTokenId">, vocabSize: number): number;
/** @param vocabSize of the base model */
export declare function readTrainingTexts(o: TrainTextOptions, tokenizer: Tokenizer, vocabSize: number, reading: Reading): Promise<TrainingTexts>;
/** Says how many packs short texts would make; undefined where they are packed, or not short. */
export declare function packingHint({ training }: TrainingTexts, o: Pick<TrainTextOptions, "packing" | "max_seq_length">): string | undefined;
