import { Damage } from "./damage.js";
/** Fields by their number. */
export type Struct = Map<number, Value>;
export type Value = boolean | number | Uint8Array | Value[] | Struct;
/** The bytes end within a value. */
export declare class EndsEarly extends Damage {
}
/** @returns the struct at the beginning of some bytes, and its length. @throws Damage, EndsEarly */
export declare function readStruct(bytes: Uint8Array): {
    fields: Struct;
    length: number;
};
export declare function structOf(value: Value | undefined, what: string): Struct;
export declare function structsOf(value: Value | undefined, what: string): Struct[];
