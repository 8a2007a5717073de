// mpirun's standard error: what ranks write for people, what they tell the launcher, and mpirun's own reports.
import { StringDecoder } from "node:string_decoder";
import { type RankRecord, RECORD_START } from "../base/ranks.js";

export interface Listener {
  /** Text for people, as it came. */
  text(text: string): void;
  record(record: RankRecord): void;
  /** A report of mpirun: the lines between two rules of dashes, in one line. */
  report(text: string): void;
}

/** mpirun writes its reports between such lines. */
const RULE = /^-{60,}\r?$/;
/** Lines of mpirun that nobody needs. */
const NOISE =
  /^(mpirun: Forwarding signal \d+ to job|\[[^\]\s]+:\d+\] (\d+ more process(es)? (has|have) sent help message|Set MCA parameter "orte_base_help_aggregate"|Warning: could not find environment variable).*)\r?$/;
/** A line without its end is shown after this time: it may be a progress bar. */
const PATIENCE_MS = 50;

/** Takes mpirun's standard error apart. */
export class RankOutput {
  readonly #listener: Listener;
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";
  /** Lines of a report that has begun. */
  #report: string[] | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  write(data: Buffer): void {
    this.#rest += this.#decoder.write(data);
    clearTimeout(this.#timer);
    for (let end = this.#rest.indexOf("\n"); end >= 0; end = this.#rest.indexOf("\n")) {
      const line = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + 1);
      this.#line(line);
    }
    // Half of a record or of a rule is no text.
    if (this.#rest !== "" && this.#report === null && !this.#rest.includes(RECORD_START) && !/^-+$/.test(this.#rest))
      this.#timer = setTimeout(() => this.#flush(), PATIENCE_MS);
  }

  /** The rest, when mpirun has ended. */
  end(): void {
    clearTimeout(this.#timer);
    this.#rest += this.#decoder.end();
    if (this.#rest !== "" && this.#report !== null) this.#report.push(this.#rest);
    else this.#flush();
    this.#endReport();
  }

  #flush(): void {
    if (this.#rest !== "") this.#listener.text(this.#rest);
    this.#rest = "";
  }

  #line(line: string): void {
    const at = line.indexOf(RECORD_START);
    if (at >= 0) {
      const record = readRecord(line.slice(at + 1));
      if (at > 0) this.#line(line.slice(0, at));
      if (record) this.#listener.record(record);
    } else if (RULE.test(line)) {
      if (this.#report === null) this.#report = [];
      else this.#endReport();
    } else if (this.#report !== null) this.#report.push(line);
    else if (!NOISE.test(line)) this.#listener.text(`${line}\n`);
  }

  #endReport(): void {
    const lines = this.#report ?? [];
    this.#report = null;
    const text = lines.join(" ").replace(/\s+/g, " ").trim();
    if (text !== "") this.#listener.report(text);
  }
}

function readRecord(text: string): RankRecord | undefined {
  try {
    const record = JSON.parse(text) as RankRecord;
    return typeof record.rank === "number" && typeof record.what === "string" ? record : undefined;
  } catch {
    return undefined;
  }
}
