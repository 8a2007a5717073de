import type { Block } from "./block.js";
import type { Provenance } from "./contents.js";
/** Raised whenever another version's files would be read wrongly. */
export declare const FORMAT_VERSION = "2";
/** Turns blocks into the bytes of a file, which are returned as they come. */
export interface Encoder {
    write(block: Block): Uint8Array[];
    finish(): Uint8Array[];
}
export declare function encoder(provenance: Provenance): Promise<Encoder>;
/** The blocks of a file that was just written. What somebody may have changed meanwhile is not for this package, which may never end over it. */
export declare function decode(buffer: ArrayBuffer): Block[];
