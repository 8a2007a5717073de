// Arrow IPC: files and streams, a record batch at a time.
import { LowrankError } from "../../errors.js";
import { BatchReader } from "./arrow-column.js";
import { findColumn, type TextColumn } from "./arrow-schema.js";
import { columnar, type Decode, type Texts } from "./columnar.js";
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

/** The part of a file that is messages, and of the file form the footer. */
interface Extent {
  start: number;
  end: number;
  footer?: Table;
}

async function extentOf(source: RandomAccess): Promise<Extent> {
  const { size, file } = source;
  const head = (await source.read(0, Math.min(8, size))).toString("latin1");
  if (head.startsWith("FEA1")) {
    const message = `${file} is a Feather file of version 1. Write it as version 2, which is Arrow IPC.`;
    throw new LowrankError("E_ARROW", message, file);
  }
  if (!head.startsWith(MAGIC)) return { start: 0, end: size };
  check(size >= 8 + 4 + MAGIC.length, `its ${size} bytes are too few for one`);
  const tail = await source.read(size - 4 - MAGIC.length, size);
  check(tail.toString("latin1", 4) === MAGIC, `it does not end with ${MAGIC}`);
  const end = size - tail.length;
  const length = checkedSize(tail.readInt32LE(0), end - 8, "the length of its footer");
  const footer = Table.root(await source.read(end - length, end));
  return { start: 8, end: end - length, footer };
}

interface Message {
  version: number;
  kind: number;
  header: Table;
  bodyAt: number;
  bodyBytes: number;
}

async function* messages(source: RandomAccess, { start, end }: Extent): AsyncGenerator<Message> {
  for (let at = start; at < end; ) {
    check(at + 4 <= end, "a message ends early");
    let length = (await source.read(at, at + 4)).readUInt32LE(0);
    at += 4;
    if (length === CONTINUATION) {
      check(at + 4 <= end, "a message ends early");
      length = (await source.read(at, at + 4)).readUInt32LE(0);
      at += 4;
    }
    if (length === 0) {
      // Nothing follows the end of a stream; in a file there may be padding before the footer.
      check(start > 0 || at === end, "it goes on after its end");
      return;
    }
    checkedSize(length, end - at, "a message's length");
    const message = Table.root(await source.read(at, at + length));
    at += length;
    const bodyBytes = checkedSize(message.int64(3), end - at, "the length of a message's body");
    const header = message.table(2);
    check(header !== undefined, "a message has no header");
    yield { version: message.int16(0), kind: message.byte(1), header, bodyAt: at, bodyBytes };
    at += bodyBytes;
  }
}

/** The texts of each record batch in turn. */
async function* readBatches(source: RandomAccess, name: string, text: Decode): AsyncGenerator<Texts> {
  const extent = await extentOf(source);
  const { footer } = extent;
  let column: TextColumn | undefined;
  // Some writers put the schema of a file into its footer only.
  const schema = footer?.table(1);
  if (footer !== undefined && schema !== undefined) column = findColumn(schema, footer.int16(0), name, source.file);
  let dictionary: Texts | undefined;
  let batches = 0;
  for await (const { version, kind, header, bodyAt, bodyBytes } of messages(source, extent)) {
    if (kind === SCHEMA) {
      check(column === undefined || footer !== undefined, "it has two schemas");
      column ??= findColumn(header, version, name, source.file);
      continue;
    }
    check(column !== undefined, "it does not begin with a schema");
    if (kind === DICTIONARY) {
      if (header.int64(0) !== column.dictionary?.id) continue;
      const data = header.table(1);
      check(data !== undefined, "a dictionary has no data");
      const own = { type: column.type, before: { nodes: 0, buffers: 0, views: 0 } };
      const texts = await new BatchReader(source, data, bodyAt, bodyBytes, text).texts(own);
      dictionary = header.byte(2) !== 0 ? [...(dictionary ?? []), ...texts] : texts;
      continue;
    }
    check(kind === BATCH, `it holds a message of an unknown kind, ${kind}`);
    batches++;
    const batch = new BatchReader(source, header, bodyAt, bodyBytes, text);
    if (column.dictionary === undefined) yield await batch.texts(column);
    else yield await batch.lookUp(column, dictionary ?? []);
  }
  check(column !== undefined, "it has no schema");
  const expected = footer?.structs(3, 3).length ?? batches;
  check(batches === expected, `it has ${batches} record batches, its footer lists ${expected}`);
}

export const arrow = columnar("Arrow", [".arrow", ".arrows", ".feather", ".ipc"], readBatches);
