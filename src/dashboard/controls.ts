// Wishes of the page that a run meets between two steps.

interface Wish {
  prompt: string;
  resolve: (text: string) => void;
  reject: (error: unknown) => void;
}

/** Texts that may wait for the next step. */
const MOST_WISHES = 8;

export class Controls {
  readonly #stop = new AbortController();
  #paused = false;
  /** Ends a pause, or hears of a wish in one. */
  #wake: () => void = () => {};
  readonly #wishes: Wish[] = [];
  #isOver = false;

  /** Finishes the step in progress, saves and ends. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  stop(): void {
    this.#stop.abort("the dashboard");
    this.resume();
  }

  /** The model's continuation of a prompt, after the step in progress. */
  sample(prompt: string): Promise<string> {
    if (this.#isOver) return Promise.reject(new Error("The run is over."));
    if (this.#wishes.length >= MOST_WISHES) return Promise.reject(new Error("Too many texts wait already."));
    return new Promise((resolve, reject) => {
      this.#wishes.push({ prompt, resolve, reject });
      this.#wake();
    });
  }

  /** Called between two steps: writes the texts that are wished for, and waits while the run is paused. @param signal ends a pause */
  async between(write: (prompt: string) => Promise<string>, signal: AbortSignal): Promise<void> {
    const wake = () => this.#wake();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        const wish = this.#wishes.shift();
        if (wish) await write(wish.prompt).then(wish.resolve, wish.reject);
        else if (this.#paused) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        } else break;
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }

  /** The run has no further step. */
  end(): void {
    this.#isOver = true;
    for (const { reject } of this.#wishes.splice(0)) reject(new Error("The run is over."));
  }
}
