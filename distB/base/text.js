// Numbers and tables for people.
export { bytes } from "./system-errors.js";
export function count(n) {
    return n.toLocaleString("en-US");
}
/** Lines of two columns, the second one right-aligned. */
export function table(rows, indent = "  ") {
    const left = Math.max(...rows.map(([name]) => name.length));
    const right = Math.max(...rows.map(([, value]) => value.length));
    return rows.map(([name, value]) => `${indent}${name.padEnd(left)}  ${value.padStart(right)}`).join("\n");
}
