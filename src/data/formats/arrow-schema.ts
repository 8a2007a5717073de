// An Arrow schema, and the place of a column's buffers among a record batch's.
import { LowrankError } from "../../base/errors.js";
import { notTexts, unreadType, type Wanted } from "./columnar.js";
import { check } from "./damage.js";
import type { Table } from "./flatbuffer.js";
import { noColumn } from "./format.js";

/** Types by their number in Arrow, with the buffers that a column of each has besides its children's. */
const TYPES: { name: string; buffers: number; isView?: true }[] = [
  { name: "nothing", buffers: 0 },
  { name: "null", buffers: 0 },
  { name: "int", buffers: 2 },
  { name: "float", buffers: 2 },
  { name: "binary", buffers: 3 },
  { name: "utf8", buffers: 3 },
  { name: "bool", buffers: 2 },
  { name: "decimal", buffers: 2 },
  { name: "date", buffers: 2 },
  { name: "time", buffers: 2 },
  { name: "timestamp", buffers: 2 },
  { name: "interval", buffers: 2 },
  { name: "list", buffers: 2 },
  { name: "struct", buffers: 1 },
  { name: "union", buffers: 1 },
  { name: "fixed_size_binary", buffers: 2 },
  { name: "fixed_size_list", buffers: 1 },
  { name: "map", buffers: 2 },
  { name: "duration", buffers: 2 },
  { name: "large_binary", buffers: 3 },
  { name: "large_utf8", buffers: 3 },
  { name: "large_list", buffers: 2 },
  { name: "run_end_encoded", buffers: 0 },
  { name: "binary_view", buffers: 2, isView: true },
  { name: "utf8_view", buffers: 2, isView: true },
  { name: "list_view", buffers: 3 },
  { name: "large_list_view", buffers: 3 },
];
const UNION = 14;
/** The version of the metadata since which unions have no bitmap of nulls. */
const V5 = 4;

const TEXTS = ["utf8", "large_utf8", "utf8_view"];
const LISTS = ["list", "large_list", "fixed_size_list", "map"];
/** Types whose values can be read. */
const READ = new Set([...TEXTS, ...LISTS, "null", "int", "float", "bool", "struct", "date", "timestamp"]);
export function isText({ type }: ArrowField): boolean {
  return TEXTS.includes(type);
}

const DEEPEST = 64;
const MOST_FIELDS = 100_000;

/** Entries of some columns in a batch's lists of nodes, buffers and counts of views' buffers. */
interface Extent {
  nodes: number;
  buffers: number;
  views: number;
}

export interface Dictionary {
  id: number;
  indexBytes: number;
  isSigned: boolean;
  /** Its entries, as the one column of their batch. */
  entries: ArrowField;
}

/** A column, or a part of a nested one. */
export interface ArrowField {
  name: string;
  /** Its type's name in Arrow. */
  type: string;
  /** The table of the schema with the rest of its type. */
  details: Table | undefined;
  /** Extent of a batch before it. */
  before: Extent;
  children: ArrowField[];
  /** Where its values are numbers of a dictionary's entries; it has no children then. */
  dictionary?: Dictionary;
}

function typeOf(field: Table): { number: number; name: string; buffers: number; isView?: true } {
  const number = field.byte(2);
  const type = TYPES[number];
  check(type !== undefined && number > 0, `a column has an unknown type, ${number}`);
  return { number, ...type };
}

class Layout {
  readonly #extent: Extent = { nodes: 0, buffers: 0, views: 0 };
  readonly #version: number;
  /** Shared with the layouts of dictionaries. */
  readonly #fields: { count: number };

  /** @param version of the metadata */
  constructor(version: number, fields = { count: 0 }) {
    this.#version = version;
    this.#fields = fields;
  }

  /** The next column, with its children. */
  add(field: Table, depth = 0): ArrowField {
    const encoding = field.table(4);
    if (encoding === undefined) return this.#addPlain(field, depth);
    const before = { ...this.#extent };
    this.#extent.nodes++;
    this.#extent.buffers += 2;
    const index = encoding.table(1);
    // Without a type of its own the index is a signed number of 32 bits.
    const indexBytes = (index?.int32(0) ?? 32) / 8;
    check([1, 2, 4, 8].includes(indexBytes), `a dictionary's index has ${indexBytes * 8} bits`);
    const isSigned = index === undefined || index.byte(1) !== 0;
    const entries = new Layout(this.#version, this.#fields).#addPlain(field, depth);
    const dictionary = { id: encoding.int64(0), indexBytes, isSigned, entries };
    return { ...entries, before, children: [], dictionary };
  }

  #addPlain(field: Table, depth: number): ArrowField {
    // A damaged schema may lead to one field again and again.
    check(depth < DEEPEST && ++this.#fields.count <= MOST_FIELDS, "its columns are nested too deep");
    const { number, name, buffers, isView } = typeOf(field);
    const details = field.table(3);
    const before = { ...this.#extent };
    this.#extent.nodes++;
    this.#extent.buffers += buffers;
    if (isView) this.#extent.views++;
    if (number === UNION) this.#extent.buffers += (details?.int16(0) === 1 ? 1 : 0) + (this.#version < V5 ? 1 : 0);
    const children = field.tables(5).map((child) => this.add(child, depth + 1));
    return { name: field.text(0), type: name, details, before, children };
  }
}

/** The type of the first values in a field that cannot be read. */
function unread({ type, details, dictionary, children }: ArrowField): string | undefined {
  if (!READ.has(type)) return type;
  if (type === "float" && (details?.int16(0) ?? 0) === 0) return "float of 16 bits";
  return (dictionary?.entries.children ?? children).map(unread).find((one) => one !== undefined);
}

/**
 * The wanted columns; null where the file lacks an optional one.
 * @param version of the metadata
 * @throws LowrankError E_TEXT_COLUMN, E_DATA_ROW for a column of a type that is not read, Damage
 */
export function findColumns(schema: Table, version: number, wanted: Wanted[], file: string): (ArrowField | null)[] {
  if (schema.int16(0) !== 0) {
    const message = `${file} has its numbers in big-endian order. Write it on a little-endian machine.`;
    throw new LowrankError("E_ARROW", message, file);
  }
  const tables = schema.tables(1);
  check(tables.length <= MOST_FIELDS, `it has ${tables.length} columns`);
  const layout = new Layout(version);
  const fields = tables.map((field) => layout.add(field));
  return wanted.map(({ name, holds, isOptional }) => {
    const field = fields.find((one) => one.name === name);
    if (field === undefined && isOptional) return null;
    if (field === undefined) {
      throw noColumn(
        file,
        name,
        fields.map((one) => one.name),
        file,
      );
    }
    if (holds === "texts" && !isText(field)) throw notTexts(file, name, field.type);
    const problem = unread(field);
    if (problem) throw unreadType(file, name, problem);
    return field;
  });
}
