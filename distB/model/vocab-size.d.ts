/** How many tokens a model has embeddings for, without opening its weights; undefined where a folder does not say. */
export declare function modelVocabSize(path: string): number | undefined;
