// The layout of a cache file in Arrow IPC (file form).
//
//   input_ids  list<int32>   tokens of an example
//   loss_mask  list<uint8>   1 where the token is to be learned
//   length     int32         tokens of the example
//   row        uint32        number of its text among all texts, from 0
import { createRequire } from "node:module";
import type { Data, DataType, Field, List } from "apache-arrow";
import type { Block } from "./block.js";
import { isSound, type Part } from "./part.js";
import { Residence } from "./residence.js";

/** Raised whenever another version's files would be read wrongly. */
export const FORMAT_VERSION = "1";

/** Facts about a file: its schema's metadata, under these names. */
export interface Provenance {
  format_version: string;
  content_sha256: string;
  tokenizer_sha256: string;
  /** JSON of what decides the tokens besides texts and tokenizer. */
  options: string;
  /** JSON list of the files that the texts were first read from. */
  sources: string;
}

/** Turns blocks into the bytes of a file, which are returned as they come. */
export interface Encoder {
  write(block: Block): Uint8Array[];
  finish(): Uint8Array[];
}

// Loaded when it is needed: it takes longer than opening a cache. `import` would open its hundred files at once.
const arrow = () => createRequire(import.meta.url)("apache-arrow") as typeof import("apache-arrow");

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

  /** Takes what the writer writes, at once and without a copy. */
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
    new Field("length", new Int32(), false),
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

  const batch = ({ inputIds, lengths, rows }: Block) => {
    const offsets = new Int32Array(lengths.length + 1);
    for (const [i, length] of lengths.entries()) offsets[i + 1] = offsets[i]! + length;
    const mask = new Uint8Array(inputIds.length).fill(1);
    const children: Data[] = [
      lists(fields[0]!.type as List, offsets, flat(new Int32(), inputIds)),
      lists(fields[1]!.type as List, offsets, flat(new Uint8(), mask)),
      flat(new Int32(), lengths),
      flat(new Uint32(), rows),
    ];
    const struct = makeData({ type: new Struct(fields), length: lengths.length, nullCount: 0, children });
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

/** Null where the bytes are not such a file, or one of another version. */
export async function decode(buffer: ArrayBuffer): Promise<{ provenance: Provenance; parts: Part[] } | null> {
  const { RecordBatchReader } = arrow();
  try {
    const reader = RecordBatchReader.from(new Uint8Array(buffer)).open();
    // The reader forgets it when it has come to the end.
    const provenance = Object.fromEntries(reader.schema.metadata) as unknown as Provenance;
    if (provenance.format_version !== FORMAT_VERSION) return null;
    const residence = new Residence(buffer);
    const parts: Part[] = [];
    for (const { data } of reader) {
      const [ids, mask, length, row] = data.children as [Data<List>, Data<List>, Data, Data];
      const part: Part = {
        inputIds: values(ids.children[0]!) as Int32Array,
        lossMask: values(mask.children[0]!) as Uint8Array,
        offsets: offsets(ids),
        rows: values(row) as Uint32Array,
      };
      if (!isSound(part) || !agree(part.offsets, offsets(mask), values(length) as Int32Array)) return null;
      for (const column of Object.values(part)) residence.touch(column);
      parts.push(part);
    }
    return { provenance, parts };
  } catch {
    return null;
  }
}

// Without what fills the buffers up.
const offsets = ({ valueOffsets, length }: Data<List>) => valueOffsets.subarray(0, length + 1);
const values = ({ values: padded, length }: Data) => padded.subarray(0, length);

/** Whether the columns agree in where examples begin. */
function agree(begins: Int32Array, maskBegins: Int32Array, lengths: Int32Array): boolean {
  if (lengths.length + 1 !== begins.length) return false;
  return lengths.every((n, i) => begins[i + 1] === begins[i]! + n && maskBegins[i + 1] === begins[i + 1]);
}
