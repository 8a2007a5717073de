import type { Format } from "./formats/format.js";
/** Where texts have come from, for those that cannot be read again. */
export declare class Places {
    #private;
    add(file: string, unit: Format["unit"], at: number): void;
    /** Of the n-th text, counted from 0: "/dev/stdin, line 12". */
    of(n: number): string;
}
