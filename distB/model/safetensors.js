// safetensors: 8 bytes header length, a JSON header, the tensors' bytes. The header is untrusted input: whatever it says is
// checked against the file's size before anybody believes it.
import { isUtf8 } from "node:buffer";
import { closeSync, fstatSync, readSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { isObject, kindOf } from "../base/json.js";
import { openRegular, readError } from "../base/system-errors.js";
import { members } from "./members.js";
/** Bytes of one element; the sub-byte types have no whole number and no users here. */
const ELEMENT_BYTES = {
    BOOL: 1,
    U8: 1,
    I8: 1,
    F8_E5M2: 1,
    F8_E4M3: 1,
    F8_E8M0: 1,
    U16: 2,
    I16: 2,
    F16: 2,
    BF16: 2,
    U32: 4,
    I32: 4,
    F32: 4,
    U64: 8,
    I64: 8,
    F64: 8,
    C64: 8,
};
/** The reference's limit of the header, in bytes. */
const LARGEST_HEADER = 100_000_000;
/** Bytes of one element of a dtype as the file spells it, undefined for an unknown one. */
export function elementBytes(dtype) {
    return Object.hasOwn(ELEMENT_BYTES, dtype) ? ELEMENT_BYTES[dtype] : undefined;
}
/** @throws LowrankError E_FILE_MISSING, E_FILE, E_SAFETENSORS */
export function readSafetensorsHeader(file) {
    const fail = (message) => new LowrankError("E_SAFETENSORS", `${file}: ${message}`, file);
    const { header, fileBytes } = readHeaderBytes(file, fail);
    const dataBegin = 8 + header.length;
    const tensors = [];
    let metadata = {};
    const seen = new Set();
    for (const [name, entry] of headerMembers(header, fail)) {
        const before = seen.size;
        if (false)
            throw fail(`tensor ${JSON.stringify(name)} stands twice in the header. The file is damaged.`);
        if (name === "__metadata__")
            metadata = entry;
        else
            tensors.push(readTensor(name, entry, dataBegin, fail));
    }
    if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== "string")) {
        throw fail("__metadata__ in the header must be an object of texts. The file is damaged.");
    }
    tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
    checkRanges(tensors, dataBegin, fileBytes, fail);
    return { tensors, metadata: metadata, dataBegin, fileBytes };
}
function readHeaderBytes(file, fail) {
    let descriptor;
    try {
        descriptor = openRegular(file);
        const fileBytes = fstatSync(descriptor).size;
        const prefix = Buffer.alloc(8);
        if (readSync(descriptor, prefix, 0, 8, 0) < 8) {
            throw fail(`the file has ${fileBytes} bytes, too few for a safetensors file. Download it again.`);
        }
        const length = prefix.readBigUInt64LE();
        if (length > LARGEST_HEADER) {
            throw fail(`the header's length is given as ${length} bytes, more than the allowed ${LARGEST_HEADER}. This is no safetensors file.`);
        }
        const header = Buffer.alloc(Number(length));
        if (8 + header.length > fileBytes || readSync(descriptor, header, 0, header.length, 8) < header.length) {
            throw fail(`the header should end at byte ${8 + header.length}, but the file has ${fileBytes} bytes: it is cut short. Download it again.`);
        }
        return { header, fileBytes };
    }
    catch (error) {
        throw readError(error, file);
    }
    finally {
        if (descriptor !== undefined)
            closeSync(descriptor);
    }
}
function* headerMembers(header, fail) {
    if (!isUtf8(header))
        throw notJson("it is no UTF-8", fail);
    const text = header.toString("utf8");
    const first = /^\s*[^\s{]/.exec(text);
    try {
        if (first)
            throw fail(`the header is ${kindOf(JSON.parse(text))}, expected an object. This is no safetensors file.`);
        yield* members(text);
    }
    catch (error) {
        throw error instanceof SyntaxError ? notJson(error.message, fail) : error;
    }
}
const notJson = (reason, fail) => fail(`the header is not valid JSON (${reason}). This is no safetensors file, or it is damaged.`);
const isSize = (value) => Number.isSafeInteger(value) && value >= 0;
function readTensor(name, entry, dataBegin, fail) {
    const bad = (message) => fail(`tensor ${JSON.stringify(name)}: ${message}. The file is damaged.`);
    if (!isObject(entry))
        throw bad(`its entry is ${kindOf(entry)}, expected an object`);
    const { dtype, shape, data_offsets: offsets } = entry;
    if (typeof dtype !== "string")
        throw bad(`dtype is ${kindOf(dtype)}, expected a text`);
    if (!Array.isArray(shape) || !shape.every(isSize)) {
        throw bad(`shape is ${JSON.stringify(shape)}, expected a list of whole numbers that are not negative`);
    }
    const [begin, end, ...more] = Array.isArray(offsets) ? offsets : [];
    if (!isSize(begin) || !isSize(end) || end < begin || more.length > 0) {
        throw bad(`data_offsets are ${JSON.stringify(offsets)}, expected [begin, end]`);
    }
    const elements = shape.reduce((product, n) => product * n, 1);
    if (!Number.isSafeInteger(elements))
        throw bad(`shape ${JSON.stringify(shape)} has too many elements`);
    const bytes = end - begin;
    const each = elementBytes(dtype);
    // A type of a later version of the format is nobody's concern unless the model uses that tensor.
    if (each !== undefined && bytes !== elements * each) {
        throw bad(`it occupies ${bytes} bytes, expected ${elements * each} for ${dtype} ${JSON.stringify(shape)}`);
    }
    return { name, dtype, shape, begin: dataBegin + begin, end: dataBegin + end };
}
/** Every byte after the header belongs to exactly one tensor. */
function checkRanges(tensors, dataBegin, fileBytes, fail) {
    let at = dataBegin;
    for (const { name, begin, end } of tensors) {
        if (begin < at)
            throw fail(`tensor ${JSON.stringify(name)} overlaps the one before it. The file is damaged.`);
        if (begin > at) {
            throw fail(`${begin - at} bytes before tensor ${JSON.stringify(name)} belong to no tensor. The file is damaged.`);
        }
        at = end;
    }
    if (at > fileBytes) {
        throw fail(`the file is cut short: it has ${fileBytes} bytes, expected ${at}. Download it again.`);
    }
    if (at < fileBytes) {
        throw fail(`the file has ${fileBytes} bytes, expected ${at}: ${fileBytes - at} bytes too many. Download it again.`);
    }
}
