// Rows of a nested column from the levels of its leaves (S. Melnik et al., Dremel, 2010).
import { check } from "./damage.js";
import type { Node } from "./parquet-schema.js";

/** The entries of a leaf in one row: a value, or a place where the column ends earlier. */
export interface Entries {
  definitions: number[];
  repetitions: number[];
  /** One for each entry; null where it is none. */
  values: unknown[];
}

/** Cuts the entries of a leaf's pages into rows, which may go on in the next page. */
export class RowSplitter {
  readonly #leaf: Node;
  #open: Entries | undefined;

  constructor(leaf: Node) {
    this.#leaf = leaf;
  }

  /** @returns the rows that end in a page */
  add(page: { values: unknown[]; definitions: number[] | undefined; repetitions: number[] | undefined }): Entries[] {
    const rows: Entries[] = [];
    const { values, definitions, repetitions } = page;
    const { definition, repetition } = this.#leaf;
    const entries = definitions?.length ?? values.length;
    let next = 0;
    for (let i = 0; i < entries; i++) {
      const level = definitions?.[i] ?? definition;
      const repeated = repetitions?.[i] ?? 0;
      check(level <= definition && repeated <= repetition, "a level in a page is too high");
      if (repeated === 0) {
        if (this.#open) rows.push(this.#open);
        this.#open = { definitions: [], repetitions: [], values: [] };
      }
      check(this.#open !== undefined, "a row group begins within a row");
      this.#open.definitions.push(level);
      this.#open.repetitions.push(repeated);
      this.#open.values.push(level === definition ? values[next++] : null);
    }
    return rows;
  }

  /** @returns the last row */
  end(): Entries[] {
    return this.#open ? [this.#open] : [];
  }
}

/** Entries `begin` to `end` of a leaf. */
interface Range extends Entries {
  begin: number;
  end: number;
}

/** @param leaves entries of a row for each leaf of the node */
export function assemble(node: Node, leaves: Entries[]): unknown {
  return fieldValue(
    node,
    leaves.map((entries) => ({ ...entries, begin: 0, end: entries.values.length })),
  );
}

/** The value of a field, a list where it is repeated. */
function fieldValue(node: Node, ranges: Range[]): unknown {
  return node.isRepeated ? listOf(node, ranges).map((one) => single(node, one)) : single(node, ranges);
}

/** The entries of each value of a repeated field. */
function listOf(node: Node, ranges: Range[]): Range[][] {
  if (ranges[0]!.definitions[ranges[0]!.begin]! < node.definition) return [];
  const cut = ranges.map((range) => {
    const parts: Range[] = [];
    let begin = range.begin;
    for (let i = begin + 1; i <= range.end; i++) {
      if (i < range.end && range.repetitions[i]! > node.repetition) continue;
      parts.push({ ...range, begin, end: i });
      begin = i;
    }
    return parts;
  });
  check(
    cut.every(({ length }) => length === cut[0]!.length),
    "the parts of a list are of different lengths",
  );
  return cut[0]!.map((_, i) => cut.map((parts) => parts[i]!));
}

/** One value of a field. */
function single(node: Node, ranges: Range[]): unknown {
  const [first] = ranges;
  if (node.children.length === 0) {
    check(first!.end - first!.begin === 1, "a value in a page is given twice");
    return first!.values[first!.begin];
  }
  if (first!.definitions[first!.begin]! < node.definition) return null;
  const ofChild = (child: Node, values: (child: Node, ranges: Range[]) => unknown) => {
    const at = child.leaf - node.leaf;
    return values(child, ranges.slice(at, at + countLeaves(child)));
  };
  const [child] = node.children;
  if (node.group === "map" && child!.isRepeated) {
    return ofChild(child!, (pairs, own) => listOf(pairs, own).map((one) => Object.values(single(pairs, one) ?? {})));
  }
  if (node.group === "list" && node.children.length === 1 && child!.isRepeated) {
    return ofChild(child!, (repeated, own) => listOf(repeated, own).map((one) => element(node, repeated, one)));
  }
  return Object.fromEntries(node.children.map((one) => [one.name, ofChild(one, fieldValue)]));
}

/** One value of a list: usually it is in a group of its own, some writers leave the group out. */
function element(list: Node, repeated: Node, ranges: Range[]): unknown {
  const isElement =
    repeated.children.length !== 1 || repeated.name === "array" || repeated.name === `${list.name}_tuple`;
  return isElement ? single(repeated, ranges) : fieldValue(repeated.children[0]!, ranges);
}

function countLeaves(node: Node): number {
  return node.children.length === 0 ? 1 : node.children.reduce((sum, child) => sum + countLeaves(child), 0);
}
