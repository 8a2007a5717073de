import type { Format } from "./formats/format.js";

interface Run {
  /** Number of its first row. */
  first: number;
  file: string;
  unit: Format["unit"];
  /** Place of the first row; each row after it is one further. */
  at: number;
}

/** Where rows of a pipe have come from: it cannot be read again. */
export class PipePlaces {
  readonly #runs: Run[] = [];
  #count = 0;

  add(file: string, unit: Format["unit"], at: number): void {
    const last = this.#runs.at(-1);
    const follows = last?.file === file && last.at + this.#count - last.first === at;
    if (!follows) this.#runs.push({ first: this.#count, file, unit, at });
    this.#count++;
  }

  /** Place of the n-th row, counted from 0: "/dev/stdin, line 12". */
  of(n: number): string {
    const { file, unit, at, first } = this.#runs.findLast((run) => run.first <= n)!;
    return `${file}, ${unit} ${at + n - first}`;
  }
}
