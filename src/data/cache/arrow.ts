// The layout of a cache file in Arrow IPC (file form).
//
//   input_ids  list<int32>   tokens of an example
//   loss_mask  list<uint8>   1 where the token is to be learned
//   supervised int32         tokens of the example that are learned
//   row        uint32        number of its text among all texts, from 0
import type { Data, DataType, Field, List } from "apache-arrow";
import { loadPackage } from "../../base/packages.js";
import type { Block } from "../tokenise/block.js";
import type { Provenance } from "./contents.js";

/** Raised whenever another version's files would be read wrongly. */
export const FORMAT_VERSION = "2";

/** Turns blocks into the bytes of a file, which are returned as they come. */
export interface Encoder {
  write(block: Block): Uint8Array[];
  finish(): Uint8Array[];
}

// Loaded when it is needed: it takes longer than opening a cache.
const arrow = () => loadPackage("apache-arrow") as typeof import("apache-arrow");

export async function encoder(provenance: Provenance): Promise<Encoder> {
  const {
    AsyncByteQueue,
    Field,
    Int32,
    List,
    RecordBatch,
    RecordBatchFileWriter,
    Schema,
    Struct,
    Uint32,
    Uint8,
    makeData,
  } = arrow();

  /** Takes the writer's bytes, at once and without a copy. */
  class Sink extends AsyncByteQueue {
    #chunks: Uint8Array[] = [];
    override write(value: ArrayBufferLike | ArrayBufferView): void {
      const view = ArrayBuffer.isView(value) ? value : new Uint8Array(value);
      this.#chunks.push(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    }
    take(): Uint8Array[] {
      const chunks = this.#chunks;
      this.#chunks = [];
      return chunks;
    }
  }

  const list = (type: DataType) => new List(new Field("item", type, false));
  const fields: Field[] = [
    new Field("input_ids", list(new Int32()), false),
    new Field("loss_mask", list(new Uint8()), false),
    new Field("supervised", new Int32(), false),
    new Field("row", new Uint32(), false),
  ];
  const schema = new Schema(fields, new Map(Object.entries(provenance)));
  const writer = new RecordBatchFileWriter();
  const sink = new Sink();
  writer.reset(sink, schema);

  const flat = (type: DataType, data: Int32Array | Uint8Array | Uint32Array) =>
    makeData({ type: type as Int32Type, length: data.length, nullCount: 0, data: data as Int32Array });
  const lists = (type: List, valueOffsets: Int32Array, child: Data) =>
    makeData({ type, length: valueOffsets.length - 1, nullCount: 0, valueOffsets, child });

  const batch = ({ inputIds, lossMask, offsets, supervised, rows }: Block) => {
    const children: Data[] = [
      lists(fields[0]!.type as List, offsets, flat(new Int32(), inputIds)),
      lists(fields[1]!.type as List, offsets, flat(new Uint8(), lossMask)),
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

type Int32Type = import("apache-arrow").Int32;

/**
 * The blocks of a file that was just written. A file that somebody may have changed meanwhile is not for this package, which may never end
 * over it.
 */
export function decode(buffer: ArrayBuffer): Block[] {
  const { RecordBatchReader } = arrow();
  return [...RecordBatchReader.from(new Uint8Array(buffer))].map(({ data }) => {
    const [ids, mask, supervised, row] = data.children as [Data<List>, Data<List>, Data, Data];
    return {
      inputIds: values(ids.children[0]!) as Int32Array,
      lossMask: values(mask.children[0]!) as Uint8Array,
      offsets: ids.valueOffsets.subarray(0, ids.length + 1),
      supervised: values(supervised) as Int32Array,
      rows: values(row) as Uint32Array,
    };
  });
}

// Without the padding of the buffer.
const values = ({ values: padded, length }: Data) => padded.subarray(0, length);
