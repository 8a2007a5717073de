#!/usr/bin/env node
// Whether memory stays flat while trainers are made, run for a step and closed, over and over. Exit code 1 where what is
// resident has grown by more than 1 % from the third quarter to the last: before that, code is still being compiled.
//
//   npm run soak:trainers -- [--count 1000]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Model, Trainer } from "../dist/index.js";

const { values } = parseArgs({ options: { count: { type: "string", default: "1000" } } });
const count = Number(values.count);
const LARGEST_GROWTH = 0.01;
const work = mkdtempSync(join(tmpdir(), "lowrank-soak-"));
const texts = Array.from({ length: 8 }, (_, i) => `text ${i} of some words that are learned again and again`);
const options = { train: texts, cache_dir: work, max_steps: 1, max_seq_length: 32, per_device_train_batch_size: 2 };
const resident = [];
const model = await Model.open(fileURLToPath(new URL("../examples/tiny-base", import.meta.url)), { threads: 2 });
for (let i = 0; i < count; i++) {
  const trainer = await Trainer.create(model, options);
  for await (const event of trainer.run()) if (event.type === "step") break;
  await trainer.close();
  // Not the garbage that the engine has not come to yet, but what is held.
  if (i % 10 === 9) {
    globalThis.gc?.();
    resident.push(process.memoryUsage.rss());
  }
}
await model.close();
rmSync(work, { recursive: true, force: true });
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const quarter = Math.floor(resident.length / 4);
const [early, late] = [median(resident.slice(2 * quarter, 3 * quarter)), median(resident.slice(-quarter))];
const growth = late / early - 1;
const mib = (bytes) => (bytes / 2 ** 20).toFixed(1);
console.log(
  `${count} trainers: ${mib(early)} MiB resident early, ${mib(late)} MiB late, ${(100 * growth).toFixed(2)} % growth`,
);
process.exitCode = growth <= LARGEST_GROWTH ? 0 : 1;
