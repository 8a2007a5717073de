import type { Format, ReadOptions } from "./format.js";
export declare const jsonLines: Format;
export declare const jsonArray: Format;
/** What a JSON file is, by its beginning, whatever its extension says. */
export declare function jsonFormOf(file: string, { jsonField }: ReadOptions): Promise<Format>;
