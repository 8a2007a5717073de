import { type Format } from "./format.js";
export declare const csv: Format;
export declare const tsv: Format;
