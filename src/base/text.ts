// Numbers and tables for people.
export { bytes } from "./system-errors.js";

export function count(n: number): string {
  return n.toLocaleString("en-US");
}

/** Lines of aligned columns: the first to the left, the others to the right. */
export function columns(rows: readonly string[][], indent = "  "): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const aligned = (cell: string, i: number) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!));
  return rows.map((row) => `${indent}${row.map(aligned).join("  ").trimEnd()}`).join("\n");
}

/** Lines of two columns, the second one right-aligned. */
export function table(rows: [string, string][], indent = "  "): string {
  const left = Math.max(...rows.map(([name]) => name.length));
  const right = Math.max(...rows.map(([, value]) => value.length));
  return rows.map(([name, value]) => `${indent}${name.padEnd(left)}  ${value.padStart(right)}`).join("\n");
}
