// A list of integers that grows in place.
export class IntList {
  #items: Int32Array;
  length = 0;

  constructor(room: number) {
    this.#items = new Int32Array(room + 16);
  }

  push(item: number): void {
    if (this.length === this.#items.length) {
      const larger = new Int32Array(2 * this.length);
      larger.set(this.#items);
      this.#items = larger;
    }
    this.#items[this.length++] = item;
  }

  at(place: number): number {
    return this.#items[place]!;
  }

  /** The integers, in an array of their own. */
  taken(): Int32Array {
    return this.#items.slice(0, this.length);
  }
}
