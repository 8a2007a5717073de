// A Parquet file's schema as a tree.
import { Float } from "../../base/exact-json.js";
import { check, checkedSize } from "./damage.js";
import { type Struct, structOf } from "./thrift.js";
import { wholeNumber } from "./whole-number.js";

const PHYSICAL = ["boolean", "int32", "int64", "int96", "float", "double", "byte_array", "fixed_len_byte_array"];
export const BOOLEAN = 0;
export const INT32 = 1;
export const INT64 = 2;
export const FLOAT = 4;
export const DOUBLE = 5;
export const BYTE_ARRAY = 6;
const OPTIONAL = 1;
const REPEATED = 2;
/** Annotations that say that bytes are text: UTF8, ENUM, JSON as the old kind, STRING, ENUM, JSON as the new. */
const OLD_TEXTS = new Set([0, 4, 19]);
const NEW_TEXTS = [1, 4, 12];
/** Other annotations, old and new. */
const OLD = {
  maps: [1, 2],
  list: 3,
  decimal: 5,
  date: 6,
  times: [7, 8],
  milliseconds: 9,
  microseconds: 10,
  unsigned: [13, 14],
};
const NEW = { map: 2, list: 3, decimal: 5, date: 6, time: 7, timestamp: 8, integer: 10 };
const DAY_MS = 86_400_000;
/** Units of timestamps by their number: how many make a millisecond. */
const PER_MS: Record<number, number> = { 1: 1, 2: 1e3, 3: 1e6 };
const DEEPEST = 64;

/** A field of the schema. */
export interface Node {
  name: string;
  /** Number of the leaf that it is, or of the first leaf in it. */
  leaf: number;
  isRepeated: boolean;
  /** Definition level from which on it is there, and repetition level of a further value of it in the same list. */
  definition: number;
  repetition: number;
  /** Empty for a leaf. */
  children: Node[];
  /** Annotation of a group. */
  group: "list" | "map" | undefined;
  /** For a leaf: its number among the physical types, and the name of its type in errors. */
  physical: number;
  type: string;
  /** Whether a leaf's values can be read. */
  isRead: boolean;
  /** Makes a leaf's value of its number in the file. */
  convert: (value: unknown) => unknown;
}

const same = (value: unknown) => value;

/** The annotations of an element. */
function annotations(element: Struct): { old: number | undefined; logical: Struct | undefined } {
  const old = element.get(6);
  const logical = element.get(10);
  return {
    old: old === undefined ? undefined : Number(old),
    logical: logical instanceof Map && logical.size > 0 ? logical : undefined,
  };
}

function byteArrayType(element: Struct): string {
  const { old, logical } = annotations(element);
  const isText = logical && NEW_TEXTS.some((n) => logical.has(n));
  // Some writers write texts as bytes without any annotation.
  return (isText ?? (old === undefined || OLD_TEXTS.has(old))) ? "text" : "byte_array of another kind";
}

/** How many units of a leaf's times make a millisecond; undefined where it holds none. */
function timesPerMs(element: Struct): number | undefined {
  const { old, logical } = annotations(element);
  const timestamp = logical?.get(NEW.timestamp);
  if (timestamp instanceof Map) {
    const [unit] = structOf(timestamp.get(2), "a timestamp's unit").keys();
    return PER_MS[unit ?? 0];
  }
  return old === OLD.milliseconds ? 1 : old === OLD.microseconds ? 1e3 : undefined;
}

function leafOf(element: Struct): Pick<Node, "physical" | "type" | "isRead" | "convert"> {
  const physical = Number(element.get(1));
  const name = PHYSICAL[physical] ?? "an unknown type";
  const { old, logical } = annotations(element);
  if (physical === BYTE_ARRAY) {
    const type = byteArrayType(element);
    return { physical, type, isRead: type === "text", convert: same };
  }
  const isDecimal = logical?.has(NEW.decimal) || old === OLD.decimal;
  const isTime = logical?.has(NEW.time) || OLD.times.includes(old ?? -1);
  if (isDecimal || isTime) return { physical, type: isTime ? "time" : "decimal", isRead: false, convert: same };
  const isRead = [BOOLEAN, INT32, INT64, FLOAT, DOUBLE].includes(physical);
  const perMs = timesPerMs(element);
  if (perMs !== undefined) return { physical, type: name, isRead, convert: (value) => new Date(Number(value) / perMs) };
  if (logical?.has(NEW.date) || old === OLD.date) {
    return { physical, type: name, isRead, convert: (value) => new Date(Number(value) * DAY_MS) };
  }
  const integer = logical?.get(NEW.integer);
  const isUnsigned = integer instanceof Map ? integer.get(2) === false : OLD.unsigned.includes(old ?? -1);
  const isFloat = physical === FLOAT || physical === DOUBLE;
  if (isFloat) return { physical, type: name, isRead, convert: (value) => new Float(value as number) };
  if (!isUnsigned) return { physical, type: name, isRead, convert: same };
  const convert =
    physical === INT64
      ? (value: unknown) => wholeNumber(BigInt.asUintN(64, BigInt(value as number | bigint)))
      : (value: unknown) => (value as number) >>> 0;
  return { physical, type: name, isRead, convert };
}

/** Reads elements, which stand in depth-first order, each with the number of its children. */
class TreeReader {
  readonly #elements: Struct[];
  #at = 0;
  leaves = 0;

  constructor(elements: Struct[]) {
    this.#elements = elements;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#elements.length;
  }

  /** The next element's number of children. */
  #childrenOf(element: Struct): number {
    return element.has(5) ? checkedSize(element.get(5), this.#elements.length, "a number of columns") : 0;
  }

  #next(): Struct {
    const element = this.#elements[this.#at++];
    check(element !== undefined, "its metadata lists fewer columns than announced");
    return element;
  }

  root(): Node[] {
    check(this.#elements.length > 0, "its metadata lists no columns");
    const children = this.#childrenOf(this.#next());
    return Array.from({ length: children }, () => this.#node(0, 0, 0));
  }

  /** @param definition level at which its parent is there @param repetition level of its parent */
  #node(definition: number, repetition: number, depth: number): Node {
    check(depth < DEEPEST, "its columns are nested too deep");
    const element = this.#next();
    const bytes = element.get(4);
    check(bytes instanceof Uint8Array, "a column has no name");
    const kind = element.get(3);
    const isRepeated = kind === REPEATED;
    const own = {
      name: Buffer.from(bytes).toString("utf8"),
      leaf: this.leaves,
      isRepeated,
      definition: definition + (kind === OPTIONAL || isRepeated ? 1 : 0),
      repetition: repetition + (isRepeated ? 1 : 0),
    };
    const count = this.#childrenOf(element);
    if (count === 0) {
      this.leaves++;
      return { ...own, ...leafOf(element), children: [], group: undefined };
    }
    const { old, logical } = annotations(element);
    const isList = logical?.has(NEW.list) || old === OLD.list;
    const isMap = logical?.has(NEW.map) || OLD.maps.includes(old ?? -1);
    const children = Array.from({ length: count }, () => this.#node(own.definition, own.repetition, depth + 1));
    const group = isList ? "list" : isMap ? "map" : undefined;
    return { ...own, children, group, physical: -1, type: "a nested type", isRead: true, convert: same };
  }
}

/** The root's own fields, and the number of leaves of all. */
export function fieldsOf(elements: Struct[]): { fields: Node[]; leaves: number } {
  const reader = new TreeReader(elements);
  const fields = reader.root();
  check(reader.isAtEnd, "its metadata lists more columns than announced");
  return { fields, leaves: reader.leaves };
}

export function leavesOf(node: Node): Node[] {
  return node.children.length === 0 ? [node] : node.children.flatMap(leavesOf);
}
