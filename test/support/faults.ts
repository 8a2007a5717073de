// The built command with failing file-system calls, below Node: nothing in src/ knows of it.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const here = (name: string) => new URL(name, import.meta.url).pathname;

/** Compiles a file beside this one into a library to be preloaded. @returns the reason why there is none */
export function buildPreload(source: string, library: string): string | null {
  const built = spawnSync("cc", ["-O2", "-shared", "-fPIC", "-o", library, here(source), "-ldl"], { encoding: "utf8" });
  return built.status === 0 ? null : `no C compiler that makes a library: ${built.error?.message ?? built.stderr}`;
}

/** The `at`th call fails (none where it is 0), and all after it where it is for good. */
export interface Fault {
  at: number;
  errno: number;
  forGood: boolean;
}

export const NO_FAULT: Fault = { at: 0, errno: 0, forGood: false };

export interface Outcome {
  code: number;
  printed: string;
  /** File-system calls that change something under the folder. */
  calls: number;
}

/** Runs commands one after the other in one process, whose calls on files under a folder can be made to fail. */
export class FaultyCommand {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(library: string, prefix: string, control: string, env: NodeJS.ProcessEnv = {}) {
    writeFileSync(control, Buffer.alloc(4096));
    const faults = { LD_PRELOAD: library, FAULT_PREFIX: prefix, FAULT_CONTROL: control, UV_USE_IO_URING: "0" };
    this.#child = spawn(process.execPath, [here("fault-driver.mjs")], {
      env: { ...process.env, ...faults, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async run(args: string[], fault: Fault = NO_FAULT): Promise<Outcome> {
    this.#child.stdin!.write(`${JSON.stringify({ args, fault })}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`the process ended with call ${fault.at} failing`);
    return JSON.parse(value);
  }

  close(): void {
    this.#child.stdin!.end();
  }
}
