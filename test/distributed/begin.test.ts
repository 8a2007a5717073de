// A stop that one of the ranks was asked for before the first step.
import { expect, test } from "vitest";
import type { Engine } from "../../src/native/index.js";
import type { RunOptions } from "../../src/setup/run/options.js";
import { beginTogether } from "../../src/setup/run/ranks.js";
import type { Prepared } from "../../src/setup/run/train.js";

test.each([
  [true, false],
  [false, true],
])("this rank asked: %s, the other: %s: no rank begins", async (own, other) => {
  const calls: string[] = [];
  const engine = {
    group: async () => ({ rank: 0, size: 2, waited: 0, sumsOnDevice: false, aboutSums: "" }),
    gatherTexts: async (text: string) => {
      calls.push("gather");
      return [text, JSON.stringify({ ...JSON.parse(text), isStopping: other })];
    },
    shareAdapter: async () => void calls.push("share"),
  } as unknown as Engine;
  const prepared = { settings: {}, plan: { engine: { device: "cpu" } }, resumption: null } as unknown as Prepared;
  const signal = own ? AbortSignal.abort("SIGUSR2") : new AbortController().signal;
  expect(await beginTogether(engine, {} as RunOptions, prepared, signal, () => {})).toBeNull();
  expect(calls).toEqual(["gather"]);
});
