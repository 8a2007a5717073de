import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", "./test/support/plain-reporter.ts"],
    globalSetup: "./test/support/cache-folder.ts",
    pool: "forks",
    // Vitest's own number leaves one processor idle: many tests wait for a child process or for one thread.
    maxWorkers: availableParallelism(),
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
