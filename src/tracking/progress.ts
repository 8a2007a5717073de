import type { GenericFormatter, MultiBar, SingleBar } from "cli-progress";

/** Whether a bar can be shown: on a terminal, and not in a build's log. */
export function showsBar(stream: NodeJS.WriteStream = process.stderr): boolean {
  return stream.isTTY === true && !process.env.CI;
}

const FORMAT = "{task} {bar} {value}/{total} | eta {eta_formatted} | {note}";

/** A bar of one line: a second line would stay when the bar is drawn again. The least important part is cut off. */
export function oneLine(formatter: GenericFormatter, columns: () => number | undefined): GenericFormatter {
  return (options, params, payload) => {
    const line = formatter({ ...options, format: FORMAT }, params, payload);
    return line.slice(0, (columns() || 80) - 1);
  };
}

/** A bar leaves nothing of the terminal changed, whenever the process ends. */
const OPTIONS = {
  barsize: 25,
  clearOnComplete: true,
  emptyOnZero: true,
  etaBuffer: 50,
  forceRedraw: true,
  gracefulExit: false,
  hideCursor: false,
  linewrap: true,
};

/** The progress bar at the foot of the terminal, or nothing where there is none. */
export class Progress {
  /** One bar of many, for a single one moves the cursor back over lines that were printed meanwhile. */
  #shown: { bars: MultiBar; bar: SingleBar } | null = null;
  readonly #create: (() => MultiBar) | null;

  private constructor(create: (() => MultiBar) | null) {
    this.#create = create;
  }

  /** @param shows whether there is a terminal to draw on; without one nothing is loaded */
  static async open(shows: boolean): Promise<Progress> {
    if (!shows) return new Progress(null);
    const { Format, MultiBar, Presets } = (await import("cli-progress")).default;
    const format = oneLine(Format.Formatter, () => process.stderr.columns);
    return new Progress(() => new MultiBar({ ...OPTIONS, format, stream: process.stderr }, Presets.shades_classic));
  }

  get shown(): boolean {
    return this.#create !== null;
  }

  start(task: string, total: number): void {
    this.stop();
    if (!this.#create) return;
    const bars = this.#create();
    this.#shown = { bars, bar: bars.create(total, 0, { task, note: "" }) };
  }

  update(done: number, note = ""): void {
    this.#shown?.bar.update(done, { note });
  }

  stop(): void {
    this.#shown?.bars.stop();
    this.#shown = null;
  }

  /** Makes room for a line of text; the bar is drawn again below it. */
  clearLine(): void {
    if (this.#shown) process.stderr.write("\r\x1b[K");
  }
}
