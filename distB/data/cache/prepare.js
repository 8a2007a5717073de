// Texts to a table of tokens: from the cache where it has them, else tokenised into it.
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { LowrankError } from "../../base/errors.js";
import { FORMAT_VERSION } from "./arrow.js";
import { CacheWriter } from "./file.js";
import { TokeniserPool } from "./pool.js";
import { rememberSources, stampOf } from "./sources.js";
import { adoptCache, cacheFile, evict, openCache, recallSources } from "./store.js";
/** Characters of texts in a block. */
const BLOCK = 1 << 18;
/** Bytes that a block has where no text is larger than that: the widest characters take four in UTF-8. */
const BLOCK_BYTES = 4 * BLOCK;
/** The same texts in blocks of about the same size. */
async function* blocks(texts) {
    let block = [];
    let characters = 0;
    for await (const some of texts) {
        for (const text of some) {
            block.push(text);
            characters += text.length;
            if (characters < BLOCK)
                continue;
            yield block;
            block = [];
            characters = 0;
        }
    }
    if (block.length > 0)
        yield block;
}
/**
 * The tokens of some texts. The cache file's name is the hash of the texts, the tokenizer and the options, whatever files
 * the texts came from; files that have not changed since are not read again.
 * @throws LowrankError of reading and tokenising, E_WRITE naming the cache file
 */
export async function tokenTable(source, options) {
    const { tokenizer, folder, maxLength, longText, limit, warn } = options;
    const end = options.addEos ? await tokenizer.textEnd() : null;
    const decisive = [
        FORMAT_VERSION,
        tokenizer.sha256,
        JSON.stringify({ max_seq_length: maxLength, long_text: longText, add_eos: end !== null }),
    ];
    const state = source.state();
    const stamp = state === null ? null : stampOf(state, decisive);
    const remembered = stamp === null ? null : recallSources(folder, stamp);
    const onDamage = (file) => warn?.(`cache file ${file}, or the note beside it, is damaged: the texts are tokenised anew`);
    const found = remembered === null ? null : openCache(folder, remembered, onDamage);
    if (found)
        return found;
    const { table, key } = await tokeniseInto(source, options, end, decisive);
    if (stamp !== null && source.state() === state)
        await rememberSources(folder, stamp, key);
    evict(folder, limit, cacheFile(folder, key));
    return table;
}
/** @param decisive what the key of the cache file depends on besides the texts */
async function tokeniseInto(source, options, end, decisive) {
    const { tokenizer, folder, threads, maxLength, longText, onProgress, signal } = options;
    const provenance = {
        format_version: FORMAT_VERSION,
        tokenizer_sha256: tokenizer.sha256,
        options: decisive[2],
        sources: JSON.stringify(source.files.map((file) => resolve(file))),
    };
    const writer = await CacheWriter.create(folder, provenance);
    const pool = new TokeniserPool(tokenizer, { maxLength, longText, end }, threads);
    const hash = createHash("sha256");
    const done = { texts: 0, tokens: 0, bytes: 0 };
    const inWork = [];
    // Tokenising takes many times the memory of a text: few large ones are as much work as many blocks.
    const isFull = () => inWork.length >= pool.capacity ||
        (inWork.length > 1 && inWork.reduce((sum, { bytes }) => sum + bytes, 0) > pool.capacity * BLOCK_BYTES);
    const take = async () => {
        const { block, texts, bytes } = inWork.shift();
        const tokens = await block;
        await writer.write(tokens);
        done.texts += texts;
        done.tokens += tokens.inputIds.length;
        done.bytes += bytes;
        onProgress?.({ ...done });
    };
    try {
        let row = 0;
        for await (const texts of blocks(source.texts())) {
            signal?.throwIfAborted();
            const bytes = addTo(hash, texts);
            const block = pool.tokenise(texts, row);
            // Awaited in its turn; until then its failure is nobody's.
            block.catch(() => { });
            inWork.push({ block, texts: texts.length, bytes });
            row += texts.length;
            while (isFull())
                await take();
        }
        while (inWork.length > 0)
            await take();
        if (row === 0)
            throw new LowrankError("E_DATA_EMPTY", "There are no texts.");
        const sha256 = hash.digest("hex");
        const key = createHash("sha256")
            .update(JSON.stringify([sha256, ...decisive]))
            .digest("hex");
        const content = await writer.finish(cacheFile(folder, key), sha256);
        return { table: adoptCache(folder, key, { provenance, content }), key };
    }
    catch (error) {
        await writer.discard();
        throw error;
    }
    finally {
        await pool.close();
    }
}
/** @returns bytes of the texts */
function addTo(hash, texts) {
    // Lengths first: no two lists of texts are the same bytes.
    const encoded = texts.map((text) => Buffer.from(text));
    const lengths = Uint32Array.from(encoded, ({ length }) => length);
    hash.update(lengths);
    for (const text of encoded)
        hash.update(text);
    return lengths.reduce((sum, length) => sum + length, 0);
}
