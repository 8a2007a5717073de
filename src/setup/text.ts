// Numbers and tables for people.

export function count(n: number): string {
  return n.toLocaleString("en-US");
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(n: number): string {
  let unit = 0;
  let value = n;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  // A tenth of a GiB is too much to leave out.
  return `${unit === 0 ? value : value.toFixed(unit < 3 ? 1 : 2)} ${UNITS[unit]}`;
}

/** Lines of two columns, the second one right-aligned. */
export function table(rows: [string, string][], indent = "  "): string {
  const left = Math.max(...rows.map(([name]) => name.length));
  const right = Math.max(...rows.map(([, value]) => value.length));
  return rows.map(([name, value]) => `${indent}${name.padEnd(left)}  ${value.padStart(right)}`).join("\n");
}
