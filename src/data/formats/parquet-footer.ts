// The wanted columns by a Parquet file's footer, checked against the file.
import { LowrankError } from "../../base/errors.js";
import { notTexts, unreadType, type Wanted } from "./columnar.js";
import { check, checkedSize, Damage } from "./damage.js";
import { noColumn } from "./format.js";
import { fieldsOf, leavesOf, type Node } from "./parquet-schema.js";
import type { RandomAccess } from "./random-access.js";
import { readStruct, type Struct, structOf, structsOf } from "./thrift.js";

const MAGIC = "PAR1";
/** Numbers of values of a leaf in a row group: a nested column has several for a row. */
const MOST_VALUES = 2 ** 31;

/** A leaf of a wanted column in one row group. */
export interface Chunk {
  codec: number;
  /** Rows of the group. */
  rows: number;
  /** Values, nulls and empty lists included. */
  values: number;
  /** Its pages in the file. */
  start: number;
  end: number;
  /** All its pages together, unpacked. */
  unpackedBytes: number;
}

/** A wanted column: its part of the schema, and for each row group the chunk of each leaf. */
export interface ParquetColumn {
  node: Node;
  leaves: Node[];
  groups: Chunk[][];
}

async function readFooter(source: RandomAccess): Promise<Struct> {
  check(source.size >= 12, `its ${source.size} bytes are too few for one`);
  const head = (await source.read(0, 4)).toString("latin1");
  const tail = await source.read(source.size - 8, source.size);
  const magic = tail.toString("latin1", 4);
  if (magic === "PARE") {
    const message = `${source.file} is encrypted. Write it without encryption.`;
    throw new LowrankError("E_PARQUET", message, source.file);
  }
  check(head === MAGIC, `it does not begin with ${MAGIC}`);
  check(magic === MAGIC, `it does not end with ${MAGIC}`);
  const length = checkedSize(tail.readUInt32LE(0), source.size - 12, "the length of its metadata");
  return readStruct(await source.read(source.size - 8 - length, source.size - 8)).fields;
}

function chunkOf(group: Struct, leaf: Node, leaves: number, source: RandomAccess): Chunk {
  const rows = checkedSize(group.get(3), 2 ** 31, "a row group's number of rows");
  const columns = structsOf(group.get(1), "a row group's list of columns");
  check(columns.length === leaves, `a row group has ${columns.length} columns, the schema ${leaves}`);
  check(!columns[leaf.leaf]!.has(1), "its texts are in another file");
  const column = structOf(columns[leaf.leaf]!.get(3), "a column's description");
  check(column.get(1) === leaf.physical, "a row group's column is not of the schema's type");
  const values = checkedSize(column.get(5), MOST_VALUES, "a column's number of values");
  const isRight = leaf.repetition > 0 ? values >= rows : values === rows;
  check(isRight, `a column has ${values} values for the ${rows} rows of its group`);
  const data = checkedSize(column.get(9), source.size, "a column's offset");
  // Some writers put 0 where there is no dictionary.
  const dictionary = column.get(11) ? checkedSize(column.get(11), source.size, "a dictionary's offset") : data;
  const start = Math.min(data, dictionary);
  const bytes = checkedSize(column.get(7), source.size - 8 - start, "a column's length");
  const unpackedBytes = checkedSize(column.get(6), Number.MAX_SAFE_INTEGER, "a column's unpacked length");
  return { codec: checkedSize(column.get(4), 255, "a codec"), rows, values, start, end: start + bytes, unpackedBytes };
}

/** @throws Damage */
export async function countRows(source: RandomAccess): Promise<number> {
  return checkedSize((await readFooter(source)).get(3), Number.MAX_SAFE_INTEGER, "its number of rows");
}

/** The wanted columns; null where the file lacks an optional one. @throws LowrankError E_TEXT_COLUMN, E_DATA_ROW for a column of a type that is not read, Damage */
export async function findColumns(source: RandomAccess, wanted: Wanted[]): Promise<(ParquetColumn | null)[]> {
  const footer = await readFooter(source);
  const { fields, leaves } = fieldsOf(structsOf(footer.get(2), "the schema"));
  const { file } = source;
  const groups = structsOf(footer.get(4), "the list of row groups");
  return wanted.map(({ name, holds, isOptional }) => {
    const node = fields.find((one) => one.name === name);
    if (node === undefined && isOptional) return null;
    if (node === undefined) {
      throw noColumn(
        file,
        name,
        fields.map((one) => one.name),
        file,
      );
    }
    const isNested = node.children.length > 0 || node.isRepeated;
    if (holds === "texts" && (isNested || node.type !== "text"))
      throw notTexts(file, name, isNested ? "a nested type" : node.type);
    const own = leavesOf(node);
    const unread = own.find(({ isRead }) => !isRead);
    if (unread) throw unreadType(file, name, unread.type);
    const chunks = groups.map((group) => own.map((leaf) => chunkOf(group, leaf, leaves, source)));
    const rows = chunks.reduce((sum, [chunk]) => sum + chunk!.rows, 0);
    if (footer.get(3) !== rows) throw new Damage(`its row groups have ${rows} rows, the file ${footer.get(3)}`);
    return { node, leaves: own, groups: chunks };
  });
}
