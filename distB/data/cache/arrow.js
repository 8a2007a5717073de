// The layout of a cache file in Arrow IPC (file form).
//
//   input_ids  list<int32>   tokens of an example
//   loss_mask  list<uint8>   1 where the token is to be learned
//   supervised int32         tokens of the example that are learned
//   row        uint32        number of its text among all texts, from 0
import { createRequire } from "node:module";
/** Raised whenever another version's files would be read wrongly. */
export const FORMAT_VERSION = "2";
// Loaded when it is needed: it takes longer than opening a cache. `import` would open its hundred files at once.
const arrow = () => createRequire(import.meta.url)("apache-arrow");
export async function encoder(provenance) {
    const { AsyncByteQueue, Field, Int32, List, RecordBatch, RecordBatchFileWriter, Schema, Struct, Uint32, Uint8, makeData, } = arrow();
    /** Takes what the writer writes, at once and without a copy. */
    class Sink extends AsyncByteQueue {
        #chunks = [];
        write(value) {
            const view = ArrayBuffer.isView(value) ? value : new Uint8Array(value);
            this.#chunks.push(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
        }
        take() {
            const chunks = this.#chunks;
            this.#chunks = [];
            return chunks;
        }
    }
    const list = (type) => new List(new Field("item", type, false));
    const fields = [
        new Field("input_ids", list(new Int32()), false),
        new Field("loss_mask", list(new Uint8()), false),
        new Field("supervised", new Int32(), false),
        new Field("row", new Uint32(), false),
    ];
    const schema = new Schema(fields, new Map(Object.entries(provenance)));
    const writer = new RecordBatchFileWriter();
    const sink = new Sink();
    writer.reset(sink, schema);
    const flat = (type, data) => makeData({ type: type, length: data.length, nullCount: 0, data: data });
    const lists = (type, valueOffsets, child) => makeData({ type, length: valueOffsets.length - 1, nullCount: 0, valueOffsets, child });
    const batch = ({ inputIds, lossMask, offsets, supervised, rows }) => {
        const children = [
            lists(fields[0].type, offsets, flat(new Int32(), inputIds)),
            lists(fields[1].type, offsets, flat(new Uint8(), lossMask)),
            flat(new Int32(), supervised),
            flat(new Uint32(), rows),
        ];
        const struct = makeData({ type: new Struct(fields), length: rows.length, nullCount: 0, children });
        return new RecordBatch(schema, struct);
    };
    return {
        write(block) {
            writer.write(batch(block));
            return sink.take();
        },
        finish() {
            writer.finish();
            return sink.take();
        },
    };
}
/** The blocks of a file that was just written. What somebody may have changed meanwhile is not for this package, which may never end over it. */
export function decode(buffer) {
    const { RecordBatchReader } = arrow();
    return [...RecordBatchReader.from(new Uint8Array(buffer))].map(({ data }) => {
        const [ids, mask, supervised, row] = data.children;
        return {
            inputIds: values(ids.children[0]),
            lossMask: values(mask.children[0]),
            offsets: ids.valueOffsets.subarray(0, ids.length + 1),
            supervised: values(supervised),
            rows: values(row),
        };
    });
}
// Without what fills the buffer up.
const values = ({ values: padded, length }) => padded.subarray(0, length);
