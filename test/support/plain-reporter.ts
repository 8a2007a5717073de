import type { Reporter, TestModule } from "vitest/node";

const SILENCE_MS = 10_000;

/** Ends a run with the plain line `N passed, N failed, N skipped`, and shows that it goes on while no file ends. */
export default class PlainReporter implements Reporter {
  #running = new Set<string>();
  #done = 0;
  #shownAt = Date.now();
  #timer: NodeJS.Timeout | undefined;

  onTestRunStart(): void {
    this.#timer = setInterval(() => this.#showRunning(), SILENCE_MS / 10).unref();
  }

  onTestModuleStart({ relativeModuleId }: TestModule): void {
    this.#running.add(relativeModuleId);
  }

  onTestModuleEnd({ relativeModuleId }: TestModule): void {
    this.#running.delete(relativeModuleId);
    this.#done++;
    this.#shownAt = Date.now();
  }

  #showRunning(): void {
    if (Date.now() - this.#shownAt < SILENCE_MS) return;
    this.#shownAt = Date.now();
    console.log(`... ${this.#done} files done, running ${[...this.#running].join(", ")}`);
  }

  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    clearInterval(this.#timer);
    const count = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      if (module.errors().length > 0) count.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state === "passed" || state === "failed" ? state : "skipped"]++;
      }
    }
    console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
  }
}
