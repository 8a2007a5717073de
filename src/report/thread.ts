// A thread of its own for work that would hold up the event loop.
import { parentPort, Worker } from "node:worker_threads";

/** Where the build lies, seen from a folder of src or of dist: a thread cannot run the TypeScript sources. */
const BUILT = new URL("../../dist/report/", import.meta.url);

export class Thread<Job, Answer> {
  readonly #worker: Worker;
  #failure: unknown;
  /** Those whose answers are not there yet, in the order of their jobs. */
  readonly #waiting: { resolve: (answer: Answer) => void; reject: (error: unknown) => void }[] = [];

  /** @param file a file of this folder that gives `answerJobs` its work */
  constructor(file: string) {
    this.#worker = new Worker(new URL(file, BUILT), { execArgv: [] });
    this.#worker.on("message", (answer: Answer) => this.#waiting.shift()!.resolve(answer));
    const failed = (error: unknown) => {
      this.#failure ??= error;
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    };
    this.#worker.on("error", failed);
    this.#worker.on("exit", (code) => failed(new Error(`the thread of ${file} has ended (${code})`)));
  }

  ask(job: Job): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(job);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}

/** The whole of a thread's module: an error of the work ends the thread, and all who wait have it. */
export function answerJobs<Job, Answer>(work: (job: Job) => Answer): void {
  parentPort!.on("message", (job: Job) => parentPort!.postMessage(work(job)));
}
