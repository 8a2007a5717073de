import type { Row, Rows } from "./row.js";
/** Options by group, in the table's order. */
export declare function byGroup(rows: Rows): Map<string, [string, Row][]>;
/** A row's default as the help shows it. */
export declare function shownDefault(row: Row): string | undefined;
/** docs/options.md. */
export declare function optionsDocument(): string;
