/** Lets runs on one engine go on in turn: one has the turn, the others wait in the order in which they asked. */
export class Turns {
  #isTaken = false;
  #taken = 0;
  #waiting: (() => void)[] = [];
  #saving: Promise<void> = Promise.resolve();

  /** A member of the round. */
  join(): Turn {
    return new Turn(this);
  }

  /** How often a run has taken the turn. */
  get taken(): number {
    return this.#taken;
  }

  /** The end of the last run's save. */
  get saved(): Promise<void> {
    return this.#saving;
  }

  saves(end: Promise<void>): void {
    this.#saving = end;
  }

  async take(): Promise<void> {
    if (this.#isTaken) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#isTaken = true;
    this.#taken++;
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#isTaken = false;
  }
}

/** A run's place in the round, with a clock that stands still while others have the turn. */
export class Turn {
  readonly #turns: Turns;
  #waited = 0;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Milliseconds. */
  readonly now = (): number => performance.now() - this.#waited;

  take(): Promise<void> {
    return this.#outside(async () => {});
  }

  give(): void {
    this.#turns.give();
  }

  /** The end of the save that any of the runs began last. The copies of two saves would add up: a run waits for it before it saves. */
  saved(): Promise<void> {
    return this.#turns.saved;
  }

  /** @param end of this run's save; it does not reject */
  saves(end: Promise<void>): void {
    this.#turns.saves(end);
  }

  /** Lets every other run that waits have its turn. */
  pass(): Promise<void> {
    return this.during(async () => {});
  }

  /** The others have the turn while this run waits for something, and then for its turn. */
  during<T>(wait: () => Promise<T>): Promise<T> {
    this.give();
    return this.#outside(wait);
  }

  async #outside<T>(wait: () => Promise<T>): Promise<T> {
    const begin = performance.now();
    const others = this.#turns.taken;
    try {
      return await wait();
    } finally {
      await this.#turns.take();
      // Where no other run had the turn, the time is this run's own: a run alone waits for its last checkpoint.
      if (this.#turns.taken > others + 1) this.#waited += performance.now() - begin;
    }
  }
}
