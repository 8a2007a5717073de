// The planned size of a run's files, beside their real size, and beside the room on the disk.
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { freeBytes } from "../../src/base/system-errors.js";
import { savedSizes } from "../../src/checkpoint/index.js";
import { Tokenizer } from "../../src/data/index.js";
import { Model, Trainer, type TrainerOptions } from "../../src/index.js";
import { openModel, resolveTargets } from "../../src/model/index.js";
import { diskNeed, diskWarning } from "../../src/setup/run/disk-space.js";
import { someTexts, tinyBase, workFolder } from "../support/tiny.js";

let free: number | undefined;
vi.mock("../../src/base/system-errors.js", async (original) => {
  const real = await original<typeof import("../../src/base/system-errors.js")>();
  return { ...real, freeBytes: (path: string) => free ?? real.freeBytes(path) };
});

const work = workFolder("disk-space");
afterAll(() => work.remove());
const model = openModel(tinyBase);
const texts = someTexts(work.path("texts.jsonl"), 12);

/** @returns the warnings */
async function run(output_dir: string, options: Partial<TrainerOptions>): Promise<string[]> {
  await using base = await Model.open(tinyBase, { threads: 1 });
  const fixed = { train_file: texts, output_dir, max_seq_length: 16, max_steps: 3, save_steps: 1, num_samples: 0 };
  await using trainer = await Trainer.create(base, { ...fixed, ...options });
  const warnings: string[] = [];
  for await (const event of trainer.run()) if (event.type === "warning") warnings.push(event.message);
  return warnings;
}

const bytesIn = (folder: string) =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { name }) => sum + statSync(join(folder, name)).size, 0);

const close = (found: number, expected: number) =>
  expect(Math.abs(found / expected - 1), `${found} and ${expected}`).toBeLessThan(0.03);

describe.each([
  ["adamw", 32, "all-linear"],
  ["adamw", 2, "q_proj"],
  ["adamw_8bit", 64, "all-linear"],
] as const)("%s, rank %i, %s", (optim, rank, target_modules) => {
  test("a checkpoint and the final adapter are as large as they were said to be", async () => {
    const folder = work.path(`${optim}-${rank}`);
    const warnings = await run(folder, { optim, lora_r: rank, target_modules });
    expect(warnings.filter((line) => line.includes("too little room"))).toEqual([]);
    const targets = resolveTargets(model, target_modules).modules;
    const spec = { rank, alpha: 1, dropout: 0, useRslora: false, targets, seed: 0 };
    const sizes = savedSizes(model, spec, optim, await Tokenizer.open(tinyBase));
    close(sizes.checkpoint, bytesIn(join(folder, "checkpoint-3")));
    // The report is no part of an adapter.
    for (const name of ["report.html", "report.json"]) rmSync(join(folder, name));
    close(sizes.adapter, bytesIn(folder));
  });
});

test("a run is warned before its first step, by an event of the library", async () => {
  free = 1000;
  try {
    const [warning, ...others] = (await run(work.path("warned"), {})).filter((line) =>
      line.includes("too little room"),
    );
    expect(others).toEqual([]);
    expect(warning).toContain(work.path("warned"));
    expect(warning).toMatch(/needs \d.*and there are 1000 B\. Not even one checkpoint fits\./);
  } finally {
    free = undefined;
  }
});

describe("the warning", () => {
  const need = { adapter: 2 ** 20, checkpoint: 4 * 2 ** 20, checkpoints: 3, fewest: 2 };

  test.each([
    [13, undefined],
    [undefined, undefined],
    [
      12.5,
      "needs 13.0 MiB (3 checkpoints of 4.0 MiB at once and the adapter), and there are 12.5 MiB. Free some space, keep fewer with --save_total_limit, or choose another --output_dir.",
    ],
    [8, "and there are 8.0 MiB. Free some space, or choose another --output_dir."],
    [3, "and there are 3.0 MiB. Not even one checkpoint fits. Free some space, or choose another --output_dir."],
  ])("with %s MiB", (room, expected) => {
    const found = diskWarning("out", need, room === undefined ? undefined : room * 2 ** 20);
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(expected);
  });
});

test("what there is room for is asked of the nearest folder that is there", () => {
  expect(freeBytes(work.path("not", "there", "yet"))).toBeGreaterThan(0);
});

test.each([
  [{}, 10],
  [{ save_total_limit: 3 }, 4],
  [{ save_total_limit: 1 }, 2],
  [{ save_total_limit: 1, eval_strategy: "steps" }, 3],
  [{ save_total_limit: 30 }, 10],
  [{ save_steps: 30 }, 4],
  [{ save_strategy: "epoch" }, 4],
  [{ save_strategy: "no" }, 0],
])("%j: %i checkpoints at once", async (options, expected) => {
  const given = {
    ...{ per_device_train_batch_size: 1, gradient_accumulation_steps: 1, num_train_epochs: 4, max_steps: undefined },
    ...{ save_strategy: "steps", save_steps: 10, save_total_limit: 0, eval_strategy: "no", optim: "adamw", ...options },
  };
  const adapter = {
    rank: 1,
    alpha: 1,
    dropout: 0,
    useRslora: false,
    targets: resolveTargets(model, "q_proj").modules,
    seed: 0,
  };
  const prepared = {
    ...{ model, resumption: null, plan: { adapter } },
    texts: { training: { length: 25 }, tokenizer: { files: [] } },
  };
  const found = diskNeed(...([given, prepared] as unknown as Parameters<typeof diskNeed>));
  expect(found.checkpoints).toBe(expected);
});
