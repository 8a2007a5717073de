import { existsSync } from "node:fs";
import { holdsFinishedRun, removeLater } from "../../checkpoint/index.js";
import { OutputLock } from "./lock.js";
import { type Allowed, beginOutput, checkOutput, holdsCheckpoints } from "./output.js";
import { AUTO, findCheckpoint, liesIn, type Resumption } from "./resume.js";

export interface FolderOptions {
  output_dir: string;
  overwrite_output_dir: boolean;
  resume: string | undefined;
}

/** The output folder of a run: whether the run may write there, the checkpoint it goes on from, and the lock. */
export class RunFolder {
  readonly #o: FolderOptions;
  readonly #inputs: (string | undefined)[];
  readonly #lock: OutputLock;
  /** Whether a checkpoint in this folder is meant. */
  readonly #inPlace: boolean;

  /** @param inputs folders that the run reads and must not write into */
  constructor(o: FolderOptions, inputs: (string | undefined)[]) {
    this.#o = o;
    this.#lock = new OutputLock(o.output_dir);
    this.#inPlace = o.resume !== undefined && liesIn(o.resume, o.output_dir);
    this.#inputs = this.#inPlace ? inputs : [...inputs, o.resume];
  }

  get path(): string {
    return this.#o.output_dir;
  }

  /** Refuses early; nothing is changed. @throws LowrankError E_OUTPUT_LOCKED, E_OUTPUT_EXISTS */
  check(): void {
    this.#lock.check();
    const goesOn =
      this.#inPlace && (this.#o.resume !== AUTO || holdsCheckpoints(this.path) || holdsFinishedRun(this.path));
    checkOutput(this.path, goesOn ? "results" : this.#allowed(), this.#inputs, true);
  }

  /**
   * Finds the checkpoint that `--resume` means. Where it lies in this folder, no other run may change it from here on.
   * @param looksOnly whether nothing may be changed, the lock included
   * @returns null where the run begins anew
   * @throws LowrankError E_OUTPUT_LOCKED, E_CHECKPOINT, E_FILE_MISSING
   */
  async findCheckpoint(warn: (message: string) => void, looksOnly = false): Promise<Resumption | null> {
    const { resume } = this.#o;
    if (resume === undefined) return null;
    if (this.#inPlace && existsSync(this.path) && !looksOnly) this.#lock.take();
    return findCheckpoint(resume, this.path, warn, looksOnly);
  }

  /**
   * Makes the folder this run's: empty of earlier results, or cut back to the checkpoint that the run goes on from.
   * @returns the checkpoints removed
   * @throws LowrankError E_OUTPUT_LOCKED, E_OUTPUT_EXISTS, E_WRITE
   */
  async begin(resumption: Resumption | null): Promise<string[]> {
    this.#lock.take();
    if (resumption?.inPlace) return removeLater(this.path, resumption.state.step);
    // Another run may have begun here while this one read its texts.
    checkOutput(this.path, this.#allowed(), this.#inputs, true);
    beginOutput(this.path);
    return [];
  }

  release(): void {
    this.#lock.release();
  }

  /** Files that may lie in the folder of a run that begins anew. */
  #allowed(): Allowed {
    if (this.#o.overwrite_output_dir) return "results";
    return this.#o.resume === AUTO ? "leftovers" : "nothing";
  }
}
