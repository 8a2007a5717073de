// The tokenizer of a GGUF file as the files of a Hugging Face one.
import { readGgufHeader } from "./header.js";
import { Metadata, shown } from "./metadata.js";
import { PRETOKENIZERS } from "./pretokenizers.js";
/** Kinds of tokens (tokenizer.ggml.token_type). */
const CONTROL = 3;
const USER_DEFINED = 4;
const ADVICE = "Give the model's Hugging Face tokenizer with --tokenizer_name FOLDER.";
/** @throws LowrankError E_GGUF; E_TOKENIZER naming the key, and --tokenizer_name as the way out */
export function ggufTokenizer(file) {
    const metadata = new Metadata(readGgufHeader(file), "E_TOKENIZER", ADVICE);
    const cut = readPretokenizer(metadata);
    const tokens = metadata.texts("tokenizer.ggml.tokens");
    const vocab = readVocab(metadata, tokens);
    const special = (name) => {
        const id = specialId(metadata, name, tokens.length);
        return id === undefined ? undefined : { id, content: tokens[id] };
    };
    const [bos, eos] = [special("bos"), special("eos")];
    return {
        "tokenizer.json": {
            version: "1.0",
            truncation: null,
            padding: null,
            added_tokens: readAdded(metadata, tokens),
            normalizer: cut.normalizer ?? null,
            pre_tokenizer: cut.pre_tokenizer,
            post_processor: template(around(metadata, "bos", bos, cut.addsBos ?? false), around(metadata, "eos", eos, false)),
            decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
            model: {
                type: "BPE",
                dropout: null,
                unk_token: null,
                continuing_subword_prefix: "",
                end_of_word_suffix: "",
                fuse_unk: false,
                byte_fallback: false,
                ignore_merges: cut.ignore_merges ?? false,
                vocab: Object.fromEntries(vocab),
                merges: readMerges(metadata, vocab),
            },
        },
        "tokenizer_config.json": {
            tokenizer_class: "PreTrainedTokenizerFast",
            bos_token: bos?.content,
            eos_token: eos?.content,
            pad_token: special("padding")?.content,
            unk_token: special("unknown")?.content,
            chat_template: metadata.get("tokenizer.chat_template") === undefined ? undefined : metadata.text("tokenizer.chat_template"),
        },
        "generation_config.json": { eos_token_id: endIds(metadata, tokens.length) },
    };
}
/**
 * Ids of the tokens that end a text, in a file whose tokenizer is perhaps of a kind that is not read; empty where it names none.
 * @throws LowrankError E_GGUF
 */
export function ggufEndIds(file) {
    const metadata = new Metadata(readGgufHeader(file), "E_TOKENIZER", ADVICE);
    const tokens = metadata.get("tokenizer.ggml.tokens");
    return endIds(metadata, Array.isArray(tokens) ? tokens.length : 0);
}
/** Old files have ids that mean none, such as -1, for tokens that nothing needs. */
function specialId(metadata, name, count) {
    return metadata.index(`tokenizer.ggml.${name}_token_id`, count);
}
function endIds(metadata, count) {
    return [...new Set(["eos", "eot", "eom"].flatMap((name) => specialId(metadata, name, count) ?? []))];
}
function readPretokenizer(metadata) {
    const unsupported = (key, known) => metadata.error(key, `is ${shown(metadata.get(key))}; supported in GGUF files: ${known}`);
    if (metadata.get("tokenizer.ggml.model") !== "gpt2")
        throw unsupported("tokenizer.ggml.model", "gpt2 (byte-level BPE)");
    const pre = metadata.get("tokenizer.ggml.pre");
    const found = typeof pre === "string" ? PRETOKENIZERS.get(pre) : undefined;
    if (!found)
        throw unsupported("tokenizer.ggml.pre", [...PRETOKENIZERS.keys()].join(", "));
    return found;
}
function readVocab(metadata, tokens) {
    const vocab = new Map();
    for (const [id, token] of tokens.entries()) {
        const other = vocab.get(token);
        if (other !== undefined)
            throw metadata.error("tokenizer.ggml.tokens", `has ${shown(token)} twice, as ${other} and ${id}`);
        vocab.set(token, id);
    }
    return vocab;
}
/** Tokens that stand for a text as it is, whatever the merges say. */
function readAdded(metadata, tokens) {
    const key = "tokenizer.ggml.token_type";
    if (metadata.get(key) === undefined)
        return [];
    const kinds = metadata.numbers(key);
    if (kinds.length !== tokens.length)
        throw metadata.error(key, `is a list of ${kinds.length}, expected one number for each of ${tokens.length} tokens`);
    return tokens.flatMap((content, id) => {
        if (kinds[id] !== CONTROL && kinds[id] !== USER_DEFINED)
            return [];
        const special = kinds[id] === CONTROL;
        return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
    });
}
/** "a b"; neither half has a space, for bytes are spelled as letters. */
function readMerges(metadata, vocab) {
    return metadata.texts("tokenizer.ggml.merges").map((merge) => {
        const [left = "", right = "", ...more] = merge.split(" ");
        if (left === "" || right === "" || more.length > 0 || ![left, right, left + right].every((each) => vocab.has(each)))
            throw metadata.error("tokenizer.ggml.merges", `has ${shown(merge)}, expected two tokens that make a third`);
        return [left, right];
    });
}
/** The token that every text begins (bos) or ends (eos) with, undefined where there is none. */
function around(metadata, name, token, otherwise) {
    const key = `tokenizer.ggml.add_${name}_token`;
    if (!metadata.flag(key, otherwise))
        return undefined;
    if (token)
        return token;
    const idKey = `tokenizer.ggml.${name}_token_id`;
    const id = metadata.get(idKey);
    if (id === undefined && metadata.get(key) === undefined)
        return undefined;
    const found = id === undefined ? "missing" : `${shown(id)}, which no token has`;
    throw metadata.error(key, `is true, but ${idKey} is ${found}`);
}
function template(bos, eos) {
    const tokens = [bos, eos].filter((token) => token !== undefined);
    if (tokens.length === 0)
        return null;
    const piece = (token) => (token ? [{ SpecialToken: { id: token.content, type_id: 0 } }] : []);
    const text = (id) => [...piece(bos), { Sequence: { id, type_id: id === "A" ? 0 : 1 } }, ...piece(eos)];
    const special_tokens = Object.fromEntries(tokens.map(({ id, content }) => [content, { id: content, ids: [id], tokens: [content] }]));
    return { type: "TemplateProcessing", single: text("A"), pair: [...text("A"), ...text("B")], special_tokens };
}
