import { LowrankError } from "../../base/errors.js";
import type { GgufHeader, GgufValue } from "./header.js";
interface CountLimits {
    otherwise?: number;
    /** 2^26 where it is not given. */
    most?: number;
}
/** A value for a message, cut where it is long. */
export declare function shown(value: GgufValue | undefined): string;
/** What reads a value throws a LowrankError that names file and key, says what was expected and ends with the advice. */
export declare class Metadata {
    #private;
    /** @param what follows the key: "is 3, expected 4" */
    readonly error: (key: string, what: string) => LowrankError;
    /** @param code of the errors, E_CONFIG_VALUE or E_TOKENIZER */
    constructor({ file, metadata }: Pick<GgufHeader, "file" | "metadata">, code: string, advice: string);
    get(key: string): GgufValue | undefined;
    text(key: string): string;
    flag(key: string, otherwise: boolean): boolean;
    /** A whole number from 1 to `most`. */
    count(key: string, { otherwise, most }?: CountLimits): number;
    /** A number from 0 to below `count`; undefined where there is none, or one out of that range. */
    index(key: string, count: number): number | undefined;
    positive(key: string, otherwise?: number): number;
    only<T extends GgufValue>(key: string, values: readonly T[], otherwise: T): T;
    texts(key: string): string[];
    numbers(key: string): number[];
}
export {};
