import { releasePages } from "../../native/index.js";

/**
 * Bytes around a place of a mapped file that reading it may make resident: the system maps a whole piece of its
 * cache.
 */
const REGION_BYTES = 2 << 20;
/** Regions that may be resident before all are given back: 64 MiB. */
const REGIONS = 32;

/** Keeps the resident part of a mapped file small, whichever bytes are read and in which order. */
export class ResidentPages {
  readonly #buffer: ArrayBuffer;
  readonly #touched = new Set<number>();

  constructor(buffer: ArrayBuffer) {
    this.#buffer = buffer;
  }

  /** Tells that these bytes of the file were read, or will be at once. */
  touch({ byteOffset, byteLength }: ArrayBufferView): void {
    const last = Math.floor((byteOffset + byteLength) / REGION_BYTES);
    for (let region = Math.floor(byteOffset / REGION_BYTES); region <= last; region++) this.#touched.add(region);
    if (this.#touched.size < REGIONS) return;
    this.#touched.clear();
    releasePages(this.#buffer);
  }
}
