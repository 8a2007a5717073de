import type { ReadOptions } from "../formats/format.js";
/** Texts, some at a time. */
export interface TextSource {
    /** Files, for the file's provenance; empty where the texts come from the program itself. */
    files: string[];
    texts(): AsyncIterable<string[]>;
    /** Where texts come from, for errors: "train.jsonl, line 12". @param numbers of texts that were read, in order */
    places(numbers: number[]): Promise<string[]>;
    /** Differs where the texts may differ, without reading them; null where that cannot be known. */
    state(): string | null;
}
/** @param warn see `textBlocks` */
export declare function fileTexts(files: string[], options: ReadOptions, warn?: (message: string) => void): TextSource;
/** Texts that are in memory already. */
export declare function givenTexts(texts: Iterable<string> | AsyncIterable<string>): TextSource;
/** The name under which the cache file of sources in this state is remembered. */
export declare function stampOf(state: string, decisive: string[]): string;
/** Notes which cache file was made from sources in a state. Where that fails, the texts are read again next time. */
export declare function rememberSources(folder: string, stamp: string, key: string): Promise<void>;
