import { z } from "zod";
/** How the text of a flag or an environment variable becomes a value. */
export type Kind = "text" | "number" | "flag";
/** One option: everything that is known about it. Flags, YAML keys, environment, help and docs are read from here. */
export interface Row<T = unknown> {
    schema: z.ZodType<T>;
    kind: Kind;
    /** What a right value is; completes "expected ...". */
    expects: string;
    defaultValue: T | undefined;
    required: boolean;
    /** Value where the option stands alone; only of texts. */
    bare?: string;
    group: string;
    /** What it decides of a training run: its bits, so that a run that goes on must have the same value, or none of them. */
    decides: "bits" | "nothing";
    help: string;
}
/** Where a row stands in the help, and what it decides. */
export type Place = Pick<Row, "group" | "decides">;
/** Rows of one heading. */
export declare const section: (group: string) => {
    readonly bits: {
        readonly group: string;
        readonly decides: "bits";
    };
    readonly nothing: {
        readonly group: string;
        readonly decides: "nothing";
    };
};
export type Rows = Record<string, Row>;
/** The validated values of some rows. */
export type OptionsOf<R extends Rows> = {
    [K in keyof R]: R[K] extends Row<infer T> ? T : never;
};
type Built<T> = {
    required: () => Row<T>;
    optional: () => Row<T | undefined>;
    or: (value: T) => Row<T>;
};
/** The other rows. */
export declare function without<R extends Rows, K extends keyof R>(rows: R, ...names: K[]): Omit<R, K>;
/** The same row where nobody needs to give a value, and there is no default. */
export declare function optional<T>(row: Row<T>): Row<T | undefined>;
export declare function text(expects: string, place: Place, help: string): Built<string>;
/** Several texts: a list in YAML, or one text with commas. */
export declare function texts(expects: string, place: Place, help: string): Built<string[]>;
/** Names joined by commas: one text, or a list. */
export declare function nameList(expects: string, place: Place, help: string): Built<string>;
/** @param others what other trainers call these values */
export declare function choice<const T extends string>(values: readonly [T, ...T[]], place: Place, help: string, others?: Record<string, T>): Built<T>;
export declare function flag(place: Place, help: string): Built<boolean>;
/** What only programs can give, and no text stands for. */
export declare function custom<T>(expects: string, test: (value: unknown) => value is T, help: string): Built<T>;
/** A text that may also be left out (`bare`), as `--name`, or switched off, as `--no-name`. */
export declare function textOrBare(bare: string, expects: string, place: Place, help: string): Row<string | undefined>;
/** A number of bytes, also as a text with a unit: 6GB is 6 * 10^9, 6GiB (or 6G) is 6 * 2^30. */
export declare function size(place: Place, help: string): Built<number>;
export interface Range {
    min?: number;
    max?: number;
    /** Bounds that the value itself must not reach. */
    above?: number;
    below?: number;
}
export declare function integer(limits: Range, place: Place, help: string): Built<number>;
export declare function number(limits: Range, place: Place, help: string): Built<number>;
/** The value that a flag's or variable's text stands for; text that stands for none is left for the schema to refuse. */
export declare function parseText(row: Row, value: string): unknown;
export {};
