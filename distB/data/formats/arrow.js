// Arrow IPC: files and streams, a record batch at a time.
import { LowrankError } from "../../base/errors.js";
import { BatchReader } from "./arrow-column.js";
import { findColumn } from "./arrow-schema.js";
import { columnar } from "./columnar.js";
import { check, checkedSize } from "./damage.js";
import { Table } from "./flatbuffer.js";
const MAGIC = "ARROW1";
/** Before a message's length, since version 0.15 of the format. */
const CONTINUATION = 0xffffffff;
/** A message's kinds. */
const SCHEMA = 1;
const DICTIONARY = 2;
const BATCH = 3;
/** Undefined where the file is a stream. */
async function readFooter(source) {
    const { size, file } = source;
    const head = (await source.read(0, Math.min(8, size))).toString("latin1");
    if (head.startsWith("FEA1")) {
        const message = `${file} is a Feather file of version 1. Write it as version 2, which is Arrow IPC.`;
        throw new LowrankError("E_ARROW", message, file);
    }
    if (!head.startsWith(MAGIC))
        return undefined;
    check(size >= 8 + 4 + MAGIC.length, `its ${size} bytes are too few for one`);
    const tail = await source.read(size - 4 - MAGIC.length, size);
    check(tail.toString("latin1", 4) === MAGIC, `it does not end with ${MAGIC}`);
    const end = size - tail.length;
    const length = checkedSize(tail.readInt32LE(0), end - 8, "the length of its footer");
    const table = Table.root(await source.read(end - length, end));
    const blocks = (field) => table.structs(field, 3).map(([offset, head]) => {
        const at = checkedSize(offset, end - length, "a message's offset");
        return { at, headBytes: checkedSize(head, end - length - at, "a message's length") };
    });
    return { table, dictionaries: blocks(2), batches: blocks(3) };
}
/** @param bytes a message without its length @param end where the messages of the file end */
function messageOf(bytes, bodyAt, end) {
    const message = Table.root(bytes);
    const bodyBytes = checkedSize(message.int64(3), end - bodyAt, "the length of a message's body");
    const header = message.table(2);
    check(header !== undefined, "a message has no header");
    return { version: message.int16(0), kind: message.byte(1), header, bodyAt, bodyBytes };
}
/** The messages of a stream. */
async function* messages(source) {
    const end = source.size;
    for (let at = 0; at < end;) {
        check(at + 4 <= end, "a message ends early");
        let length = (await source.read(at, at + 4)).readUInt32LE(0);
        at += 4;
        if (length === CONTINUATION) {
            check(at + 4 <= end, "a message ends early");
            length = (await source.read(at, at + 4)).readUInt32LE(0);
            at += 4;
        }
        if (length === 0) {
            check(at === end, "it goes on after its end");
            return;
        }
        checkedSize(length, end - at, "a message's length");
        const message = messageOf(await source.read(at, at + length), at + length, end);
        at = message.bodyAt + message.bodyBytes;
        yield message;
    }
}
/** The messages that a footer lists: between them a writer may leave what it likes, an end of a stream among it. */
async function* listed(source, blocks, kind) {
    for (const { at, headBytes } of blocks) {
        const bytes = await source.read(at, at + headBytes);
        check(headBytes >= 8, "a message ends early");
        const message = messageOf(bytes.subarray(bytes.readUInt32LE(0) === CONTINUATION ? 8 : 4), at + headBytes, source.size);
        check(message.kind === kind, `its footer leads to a message of kind ${message.kind}, expected ${kind}`);
        yield message;
    }
}
/** A column's batches, and what its dictionaries have given so far. */
class ColumnReader {
    source;
    column;
    text;
    #dictionary;
    constructor(source, column, text) {
        this.source = source;
        this.column = column;
        this.text = text;
    }
    async addDictionary({ header, bodyAt, bodyBytes }, mayReplace) {
        if (header.int64(0) !== this.column.dictionary?.id)
            return;
        const data = header.table(1);
        check(data !== undefined, "a dictionary has no data");
        const own = { type: this.column.type, before: { nodes: 0, buffers: 0, views: 0 } };
        const texts = await new BatchReader(this.source, data, bodyAt, bodyBytes, this.text).texts(own);
        const isDelta = header.byte(2) !== 0;
        check(isDelta || mayReplace || this.#dictionary === undefined, "it replaces a dictionary, which only a stream may");
        this.#dictionary = isDelta ? [...(this.#dictionary ?? []), ...texts] : texts;
    }
    textsOf({ header, bodyAt, bodyBytes }) {
        const batch = new BatchReader(this.source, header, bodyAt, bodyBytes, this.text);
        if (this.column.dictionary === undefined)
            return batch.texts(this.column);
        return batch.lookUp(this.column, this.#dictionary ?? []);
    }
}
async function* readFile(source, footer, name, text) {
    const schema = footer.table.table(1);
    check(schema !== undefined, "its footer has no schema");
    const column = findColumn(schema, footer.table.int16(0), name, source.file);
    const reader = new ColumnReader(source, column, text);
    for await (const message of listed(source, footer.dictionaries, DICTIONARY))
        await reader.addDictionary(message, false);
    for await (const message of listed(source, footer.batches, BATCH))
        yield await reader.textsOf(message);
}
async function* readStream(source, name, text) {
    let reader;
    for await (const message of messages(source)) {
        const { kind, header, version } = message;
        if (kind === SCHEMA) {
            check(reader === undefined, "it has two schemas");
            reader = new ColumnReader(source, findColumn(header, version, name, source.file), text);
            continue;
        }
        check(reader !== undefined, "it does not begin with a schema");
        if (kind === DICTIONARY) {
            await reader.addDictionary(message, true);
            continue;
        }
        check(kind === BATCH, `it holds a message of an unknown kind, ${kind}`);
        yield await reader.textsOf(message);
    }
    check(reader !== undefined, "it has no schema");
}
/** The texts of each record batch in turn. */
async function* readBatches(source, name, text) {
    const footer = await readFooter(source);
    yield* footer ? readFile(source, footer, name, text) : readStream(source, name, text);
}
export const arrow = columnar("Arrow", [".arrow", ".arrows", ".feather", ".ipc"], readBatches);
