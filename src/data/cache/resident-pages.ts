import { releasePages } from "../../native/index.js";

/** What a look into a mapped file may make resident around it: the system maps as much as it keeps in one piece. */
const REGION_BYTES = 2 << 20;
/** Regions that may be resident before all are given back: 64 MiB. */
const REGIONS = 32;

/** Keeps what is resident of a mapped file small, whatever is read of it and in which order. */
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
