// Whether the head is the embedding: config.json says so, and the weights may say otherwise.
import { closeSync, readSync } from "node:fs";
import { openRegular, readError } from "../base/system-errors.js";
import { EMBEDDING, HEAD } from "./config.js";
import { widen } from "./widen.js";
const CHUNK_ELEMENTS = 1 << 20;
const BYTES = { f32: 4, bf16: 2, f16: 2 };
const isPlain = (dtype) => Object.hasOwn(BYTES, dtype);
/** The numbers `begin` to `begin + count` of a tensor, as they are stored. */
function readPart(descriptor, { offset }, dtype, begin, count) {
    const bytes = Buffer.alloc(count * BYTES[dtype]);
    readSync(descriptor, bytes, 0, bytes.length, offset + begin * BYTES[dtype]);
    return bytes;
}
function withOpen(file, use) {
    let descriptor;
    try {
        descriptor = openRegular(file, "Weights");
        return use(descriptor);
    }
    catch (error) {
        throw readError(error, file, "Weights");
    }
    finally {
        if (descriptor !== undefined)
            closeSync(descriptor);
    }
}
/** Whether two plain tensors hold the same numbers, in whatever dtypes; reads no further than the first difference. */
function sameNumbers(a, b) {
    if (!isPlain(a.dtype) || !isPlain(b.dtype) || String(a.shape) !== String(b.shape))
        return false;
    const { dtype: first } = a;
    const { dtype: second } = b;
    const elements = a.shape.reduce((product, n) => product * n, 1);
    const chunk = (of, tensor, dtype, at, count) => {
        const bytes = readPart(of, tensor, dtype, at, count);
        return first === second ? bytes : Buffer.from(widen(new Uint8Array(bytes), dtype).buffer);
    };
    return withOpen(a.file, (one) => withOpen(b.file, (other) => {
        for (let at = 0; at < elements; at += CHUNK_ELEMENTS) {
            const count = Math.min(CHUNK_ELEMENTS, elements - at);
            if (!chunk(one, a, first, at, count).equals(chunk(other, b, second, at, count)))
                return false;
        }
        return true;
    }));
}
/**
 * The model with the head that transformers 5 gives it. Under a configuration that ties head and embedding: where both are
 * stored and differ, the head is its own; where one is stored, it is the other, too.
 * @throws LowrankError E_FILE
 */
export function resolveHead(model, file, warn) {
    const { config, tensors } = model;
    if (!config.tieWordEmbeddings)
        return model;
    const [embedding, head] = [EMBEDDING, HEAD].map((name) => tensors.find((tensor) => tensor.name === name));
    if (!head)
        return model;
    if (!embedding)
        return { ...model, tensors: [...tensors, { ...head, name: EMBEDDING }] };
    if (sameNumbers(embedding, head))
        return model;
    warn(`${file}: tie_word_embeddings is true, but ${head.file} holds an ${HEAD} that differs from ${EMBEDDING}: the stored head is used, as in transformers 5. Set tie_word_embeddings to false.`);
    return { ...model, config: { ...config, tieWordEmbeddings: false } };
}
