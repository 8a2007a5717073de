export interface Pretokenizer {
    pre_tokenizer: object;
    normalizer?: object;
    ignore_merges?: boolean;
    /** Whether a text begins with the first token where tokenizer.ggml.add_bos_token does not say. */
    addsBos?: boolean;
}
/** As the models' own tokenizer.json say it; "default" is llama.cpp's, punctuation first and digits by threes. */
export declare const PRETOKENIZERS: Map<string, Pretokenizer>;
