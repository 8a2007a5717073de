// Every golden model against torch + transformers + peft, in one process: a file takes longer to start than a model to test.
import { describe, expect, test } from "vitest";
import { goldenNames } from "./support/golden.js";
import { goldenTests } from "./support/golden-tests.js";

test("there are goldens", () => {
  expect(goldenNames().length).toBeGreaterThanOrEqual(10);
});

describe.each(goldenNames())("golden %s", (name) => goldenTests(name));
