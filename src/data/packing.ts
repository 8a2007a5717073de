export interface Packs {
  /** The values, the values of one pack side by side. */
  values: Int32Array;
  /** Pack i is `values[starts[i]]` up to `values[starts[i + 1]]`. */
  starts: Int32Array;
}

/**
 * Best-fit decreasing (D. S. Johnson, 1973): the longest first, each into the fullest pack that still has room for it.
 * Needs no more than 11/9 of the fewest packs possible. A value longer than `capacity` gets a pack of its own.
 * @param length of a value, at least 0
 */
export function packBestFit(values: Int32Array, length: (value: number) => number, capacity: number): Packs {
  const lengths = Int32Array.from(values, length);
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  // Packs by the room that is left in them. A tree of the existing rooms finds the smallest that is large enough.
  const open: number[][] = Array.from({ length: capacity + 1 }, () => []);
  const rooms = new SmallestAtLeast(capacity + 1);
  const packs: number[][] = [];
  for (const i of order) {
    const need = Math.min(lengths[i]!, capacity);
    const room = rooms.find(need);
    let pack = packs.length;
    if (room < 0) {
      packs.push([]);
    } else {
      pack = open[room]!.pop()!;
      if (open[room]!.length === 0) rooms.remove(room);
    }
    packs[pack]!.push(values[i]!);
    const left = (room < 0 ? capacity : room) - need;
    open[left]!.push(pack);
    rooms.add(left);
  }
  const starts = new Int32Array(packs.length + 1);
  for (const [p, pack] of packs.entries()) starts[p + 1] = starts[p]! + pack.length;
  return { values: Int32Array.from(packs.flat()), starts };
}

/** A set of numbers below a size; a binary tree of counts. */
class SmallestAtLeast {
  readonly #leaves: number;
  /** Node i has children 2i and 2i + 1; whether there is any number below it. */
  readonly #any: Uint8Array;

  constructor(size: number) {
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(size, 2)));
    this.#any = new Uint8Array(2 * this.#leaves);
  }

  add(n: number): void {
    for (let node = n + this.#leaves; node >= 1; node >>= 1) this.#any[node] = 1;
  }

  remove(n: number): void {
    let node = n + this.#leaves;
    this.#any[node] = 0;
    for (node >>= 1; node >= 1; node >>= 1) this.#any[node] = this.#any[2 * node]! | this.#any[2 * node + 1]!;
  }

  /** @returns the smallest number that is at least `n`, or -1 */
  find(n: number): number {
    let node = n + this.#leaves;
    if (this.#any[node]) return n;
    // Up until there is something to the right, then down to the left.
    while (node > 1 && !((node & 1) === 0 && this.#any[node + 1])) node >>= 1;
    if (node <= 1) return -1;
    for (node++; node < this.#leaves; ) node = this.#any[2 * node] ? 2 * node : 2 * node + 1;
    return node - this.#leaves;
  }
}
