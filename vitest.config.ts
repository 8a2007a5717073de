import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", "./test/support/plain-reporter.ts"],
    globalSetup: "./test/support/cache-folder.ts",
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
