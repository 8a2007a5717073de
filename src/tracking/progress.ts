import type { SingleBar } from "cli-progress";

/** Whether a bar can be shown: on a terminal, and not in a build's log. */
export function showsBar(stream: NodeJS.WriteStream = process.stderr): boolean {
  return stream.isTTY === true && !process.env.CI;
}

const FORMAT = "{task} {bar} {value}/{total} | {note} | eta {eta_formatted}";

/** The progress bar at the foot of the terminal, or nothing where there is none. */
export class Progress {
  #bar: SingleBar | null = null;
  readonly #create: (() => SingleBar) | null;

  private constructor(create: (() => SingleBar) | null) {
    this.#create = create;
  }

  /** @param shows whether there is a terminal to draw on; without one nothing is loaded */
  static async open(shows: boolean): Promise<Progress> {
    if (!shows) return new Progress(null);
    const { SingleBar, Presets } = (await import("cli-progress")).default;
    const options = { format: FORMAT, stream: process.stderr, hideCursor: true, forceRedraw: true, etaBuffer: 50 };
    return new Progress(() => new SingleBar(options, Presets.shades_classic));
  }

  get shown(): boolean {
    return this.#create !== null;
  }

  start(task: string, total: number): void {
    this.stop();
    this.#bar = this.#create?.() ?? null;
    this.#bar?.start(total, 0, { task, note: "" });
  }

  update(done: number, note = ""): void {
    this.#bar?.update(done, { note });
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = null;
  }

  /** Makes room for a line of text; the bar is drawn again below it. */
  clearLine(): void {
    if (this.#bar) process.stderr.write("\r\x1b[K");
  }
}
