// Arrow IPC: files and streams, a record batch at a time.
import { LowrankError } from "../../base/errors.js";
import { BatchReader } from "./arrow-column.js";
import { type ArrowField, type Dictionary, findColumns } from "./arrow-schema.js";
import { columnar, type Decode, type Wanted, withAbsent } from "./columnar.js";
import { check, checkedSize } from "./damage.js";
import { Table } from "./flatbuffer.js";
import type { RandomAccess } from "./random-access.js";

const MAGIC = "ARROW1";
/** Before a message's length, since version 0.15 of the format. */
const CONTINUATION = 0xffffffff;

/** A message's kinds. */
const SCHEMA = 1;
const DICTIONARY = 2;
const BATCH = 3;

/** The parts of a file in its file form, as its footer lists them. */
interface Footer {
  table: Table;
  dictionaries: Block[];
  batches: Block[];
}

/** Where a message is. */
interface Block {
  at: number;
  /** Size of the message before its body. */
  headBytes: number;
}

/** Undefined where the file is a stream. */
async function readFooter(source: RandomAccess): Promise<Footer | undefined> {
  const { size, file } = source;
  const head = (await source.read(0, Math.min(8, size))).toString("latin1");
  if (head.startsWith("FEA1")) {
    const message = `${file} is a Feather file of version 1. Write it as version 2, which is Arrow IPC.`;
    throw new LowrankError("E_ARROW", message, file);
  }
  if (!head.startsWith(MAGIC)) return undefined;
  check(size >= 8 + 4 + MAGIC.length, `its ${size} bytes are too few for one`);
  const tail = await source.read(size - 4 - MAGIC.length, size);
  check(tail.toString("latin1", 4) === MAGIC, `it does not end with ${MAGIC}`);
  const end = size - tail.length;
  const length = checkedSize(tail.readInt32LE(0), end - 8, "the length of its footer");
  const table = Table.root(await source.read(end - length, end));
  const blocks = (field: number) =>
    table.structs(field, 3).map(([offset, head]) => {
      const at = checkedSize(offset, end - length, "a message's offset");
      return { at, headBytes: checkedSize(head, end - length - at, "a message's length") };
    });
  return { table, dictionaries: blocks(2), batches: blocks(3) };
}

interface Message {
  version: number;
  kind: number;
  header: Table;
  bodyAt: number;
  bodyBytes: number;
}

/** @param bytes a message without its length @param end where the messages of the file end */
function messageOf(bytes: Uint8Array, bodyAt: number, end: number): Message {
  const message = Table.root(bytes);
  const bodyBytes = checkedSize(message.int64(3), end - bodyAt, "the length of a message's body");
  const header = message.table(2);
  check(header !== undefined, "a message has no header");
  return { version: message.int16(0), kind: message.byte(1), header, bodyAt, bodyBytes };
}

/** The messages of a stream. */
async function* messages(source: RandomAccess): AsyncGenerator<Message> {
  const end = source.size;
  for (let at = 0; at < end; ) {
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

/** The messages that a footer lists. Between them a writer may leave any bytes, an end of a stream among them. */
async function* listed(source: RandomAccess, blocks: Block[], kind: number): AsyncGenerator<Message> {
  for (const { at, headBytes } of blocks) {
    const bytes = await source.read(at, at + headBytes);
    check(headBytes >= 8, "a message ends early");
    const message = messageOf(
      bytes.subarray(bytes.readUInt32LE(0) === CONTINUATION ? 8 : 4),
      at + headBytes,
      source.size,
    );
    check(message.kind === kind, `its footer leads to a message of kind ${message.kind}, expected ${kind}`);
    yield message;
  }
}

/** The dictionaries of a field and of the fields within it. */
function dictionariesOf({ dictionary, children }: ArrowField): Dictionary[] {
  return [
    ...(dictionary ? [dictionary, ...dictionariesOf(dictionary.entries)] : []),
    ...children.flatMap(dictionariesOf),
  ];
}

/** The wanted columns' batches, and the entries of their dictionaries so far. */
class ColumnsReader {
  readonly #source: RandomAccess;
  readonly #columns: ({ field: ArrowField; text: Decode } | null)[];
  readonly #entries = new Map<number, unknown[]>();

  /** @param schema its table @param version of the metadata */
  constructor(source: RandomAccess, schema: Table, version: number, wanted: Wanted[]) {
    this.#source = source;
    const fields = findColumns(schema, version, wanted, source.file);
    this.#columns = fields.map((field, i) => field && { field, text: wanted[i]!.text });
  }

  async addDictionary({ header, bodyAt, bodyBytes }: Message, mayReplace: boolean): Promise<void> {
    const id = header.int64(0);
    const column = this.#columns.find((one) => one && dictionariesOf(one.field).some((own) => own.id === id));
    if (!column) return;
    const dictionary = dictionariesOf(column.field).find((one) => one.id === id)!;
    const data = header.table(1);
    check(data !== undefined, "a dictionary has no data");
    const batch = new BatchReader(this.#source, data, { bodyAt, bodyBytes }, column.text, this.#entries);
    const values = await batch.values(dictionary.entries);
    const isDelta = header.byte(2) !== 0;
    const before = this.#entries.get(id);
    check(isDelta || mayReplace || before === undefined, "it replaces a dictionary, which only a stream may");
    this.#entries.set(id, isDelta ? [...(before ?? []), ...values] : values);
  }

  /** The values of each wanted column in a record batch. */
  async read({ header, bodyAt, bodyBytes }: Message): Promise<unknown[][]> {
    const columns: unknown[][] = [];
    for (const column of this.#columns) {
      if (column === null) continue;
      const { field, text } = column;
      const batch = new BatchReader(this.#source, header, { bodyAt, bodyBytes }, text, this.#entries);
      columns.push(await batch.values(field));
    }
    return withAbsent(this.#columns, columns);
  }
}

async function* readFile(source: RandomAccess, footer: Footer, wanted: Wanted[]): AsyncGenerator<unknown[][]> {
  const schema = footer.table.table(1);
  check(schema !== undefined, "its footer has no schema");
  const reader = new ColumnsReader(source, schema, footer.table.int16(0), wanted);
  for await (const message of listed(source, footer.dictionaries, DICTIONARY)) {
    await reader.addDictionary(message, false);
  }
  for await (const message of listed(source, footer.batches, BATCH)) yield await reader.read(message);
}

async function* readStream(source: RandomAccess, wanted: Wanted[]): AsyncGenerator<unknown[][]> {
  let reader: ColumnsReader | undefined;
  for await (const message of messages(source)) {
    const { kind, header, version } = message;
    if (kind === SCHEMA) {
      check(reader === undefined, "it has two schemas");
      reader = new ColumnsReader(source, header, version, wanted);
      continue;
    }
    check(reader !== undefined, "it does not begin with a schema");
    if (kind === DICTIONARY) {
      await reader.addDictionary(message, true);
      continue;
    }
    check(kind === BATCH, `it holds a message of an unknown kind, ${kind}`);
    yield await reader.read(message);
  }
  check(reader !== undefined, "it has no schema");
}

/** The values of the wanted columns in each record batch in turn. */
async function* readBatches(source: RandomAccess, wanted: Wanted[]): AsyncGenerator<unknown[][]> {
  const footer = await readFooter(source);
  yield* footer ? readFile(source, footer, wanted) : readStream(source, wanted);
}

async function countRows(source: RandomAccess): Promise<number> {
  const footer = await readFooter(source);
  let rows = 0;
  for await (const { kind, header } of footer ? listed(source, footer.batches, BATCH) : messages(source)) {
    if (kind === BATCH) rows += checkedSize(header.int64(0), Number.MAX_SAFE_INTEGER, "a batch's number of rows");
  }
  return rows;
}

export const arrow = columnar("Arrow", [".arrow", ".arrows", ".feather", ".ipc"], readBatches, countRows);
