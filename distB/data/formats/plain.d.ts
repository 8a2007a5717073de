import { type Format } from "./format.js";
export declare const plain: Format;
export declare const markdown: Format;
