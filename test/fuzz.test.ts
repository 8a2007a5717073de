// Damaged files of every kind: test/fuzz/corpus, and others of seed 1. `npm run fuzz` goes on where this ends.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../scripts/fuzz.mjs", import.meta.url));

test("a clear error or a right answer each time, in seconds and in bounded memory", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "--cases", "900", "--seed", "1"], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  const { inputs, failures, counts } = JSON.parse(stdout);
  expect([status, inputs, failures]).toEqual([0, 900, 0]);
  // Damage that is seen, in every kind of file, and some that is none.
  for (const code of [
    "E_JSON",
    "E_UTF8",
    "E_SAFETENSORS",
    "E_CHECKPOINT",
    "E_TOKENIZER",
    "E_PARQUET",
    "E_ARROW",
    "E_GZIP",
    "E_USAGE",
  ]) {
    expect(counts[code], code).toBeGreaterThan(0);
  }
  expect(counts.accepted).toBeGreaterThan(50);
}, 120_000);

test("the same seed damages the same way, another one another", async () => {
  const { generator, mutate } = await import(new URL("./fuzz/mutate.mjs", import.meta.url).href);
  const bytes = Buffer.from('{"a":[1,2,{"b":"c"}],"d":null}');
  const some = (seed: number) =>
    Array.from({ length: 50 }, (_, i) => mutate(bytes, "json", generator(seed + i)).bytes.toString("hex"));
  expect(some(1)).toEqual(some(1));
  expect(some(1)).not.toEqual(some(1000));
  expect(bytes.toString()).toBe('{"a":[1,2,{"b":"c"}],"d":null}');
});
