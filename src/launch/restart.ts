// What a run is started with: the user's options for the first start, the last checkpoint for those after a lost rank.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** An option in its normal spelling, `--name=value` (src/cli/argv.ts), with the option's own name. */
export interface Token {
  /** Undefined for a word that is no option. */
  name: string | undefined;
  text: string;
}

/** Options that are the launcher's alone. */
const LAUNCHERS = new Set(["nproc_per_node", "hosts", "max_restarts"]);

/** The options of a rank. @param secrets options that may stand on no command line; they are variables */
export function rankTokens(tokens: readonly Token[], secrets: ReadonlySet<string>): Token[] {
  return tokens.filter(({ name }) => name === undefined || !(LAUNCHERS.has(name) || secrets.has(name)));
}

/** The checkpoints of a folder, each with what tells it from an earlier one of its name. */
function checkpoints(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch {
    // There is no folder yet.
  }
  for (const name of names.filter((each) => /^checkpoint-\d+$/.test(each))) {
    try {
      const { ino, mtimeMs } = statSync(join(folder, name));
      found.set(name, `${ino} ${mtimeMs}`);
    } catch {
      // It was removed just now.
    }
  }
  return found;
}

/** Knows which checkpoints are this run's: an earlier run's may lie in the same folder until this one has begun. */
export class Restarts {
  readonly #folder: string;
  readonly #before: Map<string, string>;
  readonly #tokens: readonly Token[];
  readonly #beginsElsewhere: boolean;

  /**
   * @param tokens options of the first start
   * @param beginsElsewhere whether it began from a checkpoint that was named, or replaces an earlier run's results
   */
  constructor(folder: string, tokens: readonly Token[], beginsElsewhere: boolean) {
    this.#folder = folder;
    this.#before = checkpoints(folder);
    this.#tokens = tokens;
    this.#beginsElsewhere = beginsElsewhere;
  }

  /** The newest checkpoint that this run has written; null where there is none. */
  newest(): string | null {
    const step = (name: string) => Number(name.split("-")[1]);
    const own = [...checkpoints(this.#folder)].filter(([name, what]) => this.#before.get(name) !== what);
    const names = own.map(([name]) => name).sort((a, b) => step(a) - step(b));
    return names.at(-1) ?? null;
  }

  /** The options of the next start, after a rank was lost. */
  again(): Token[] {
    const others = this.#tokens.filter(({ name }) => name !== "resume" && name !== "overwrite_output_dir");
    const auto: Token = { name: "resume", text: "--resume=auto" };
    if (this.newest() !== null) return [...others, auto];
    // From where it began. Leftovers of this run are in the way of a run that expects an empty folder, and of no other.
    return this.#beginsElsewhere || this.#before.size > 0 ? [...this.#tokens] : [...others, auto];
  }
}
