// Ranks of one machine that want the same file of tokens.
import { readdirSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { oneAfterTheOther } from "../../src/data/cache/one-maker.js";
import { workFolder } from "../support/tiny.js";

const work = workFolder("one-maker");
afterAll(work.remove);
afterEach(() => vi.unstubAllEnvs());

/** The most of three that were at work at once, and what they left. */
async function atOnce(name: string | null): Promise<{ most: number; files: string[] }> {
  let inWork = 0;
  let most = 0;
  const make = () =>
    oneAfterTheOther(work.path("cache"), name, undefined, async () => {
      most = Math.max(most, ++inWork);
      await setTimeout(20);
      inWork--;
      return "made";
    });
  expect(await Promise.all([make(), make(), make()])).toEqual(["made", "made", "made"]);
  return { most, files: name === null ? [] : readdirSync(work.path("cache")) };
}

test("ranks make a file one after the other, and leave no lock", async () => {
  vi.stubEnv("OMPI_COMM_WORLD_RANK", "0");
  vi.stubEnv("OMPI_COMM_WORLD_SIZE", "2");
  expect(await atOnce("stamp")).toEqual({ most: 1, files: [] });
});

test("processes that are no ranks do not wait", async () => {
  expect((await atOnce(null)).most).toBe(3);
});

test("a rank that waits ends with the signal, and one whose work fails lets the next one in", async () => {
  vi.stubEnv("OMPI_COMM_WORLD_RANK", "1");
  vi.stubEnv("OMPI_COMM_WORLD_SIZE", "2");
  const folder = work.path("other");
  const controller = new AbortController();
  const failing = oneAfterTheOther(folder, "stamp", undefined, async () => {
    const waiting = oneAfterTheOther(folder, "stamp", controller.signal, async () => "never");
    controller.abort(new Error("asked to stop"));
    await expect(waiting).rejects.toThrow("asked to stop");
    throw new Error("no texts");
  });
  await expect(failing).rejects.toThrow("no texts");
  expect(await oneAfterTheOther(folder, "stamp", undefined, async () => "made")).toBe("made");
});
