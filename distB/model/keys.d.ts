import { LowrankError } from "../base/errors.js";
/** The keys of a configuration object, read with their types and ranges. A key that is null counts as absent. */
export declare class ConfigKeys {
    #private;
    readonly json: Record<string, unknown>;
    readonly file: string;
    readonly prefix: string;
    /** @param prefix of the keys' names in errors, such as "rope_scaling." */
    constructor(json: Record<string, unknown>, file: string, prefix?: string);
    given(key: string): boolean;
    error(key: string, message: string): LowrankError;
    /** A whole number from 1 to `largest`. */
    count(key: string, largest: number, otherwise?: number): number;
    number(key: string, range: {
        above: number;
        atMost?: number;
    }, otherwise?: number): number;
    flag(key: string, otherwise: boolean): boolean;
    /** Refuses every value but these. */
    only<T extends string | number>(key: string, allowed: readonly T[], otherwise?: T): T;
    /** The keys of an object within, or null where it is absent. */
    within(key: string): ConfigKeys | null;
}
