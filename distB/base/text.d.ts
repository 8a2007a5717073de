export { bytes } from "./system-errors.js";
export declare function count(n: number): string;
/** Lines of two columns, the second one right-aligned. */
export declare function table(rows: [string, string][], indent?: string): string;
