#!/usr/bin/env node
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readArguments } from "./support/arguments.mjs";

const { count } = readArguments({
  about: "Whether memory stays flat while trainers are made, run for a step and closed, over and over.",
  options: { count: { kind: "number", least: 1, default: 1000, help: "trainers" } },
});
const { Model, Trainer } = await import("../dist/index.js");
const { judge, resident } = await import("./bench/flat.mjs");
const work = mkdtempSync(join(tmpdir(), "lowrank-soak-"));
const texts = Array.from({ length: 8 }, (_, i) => `text ${i} of some words that are learned again and again`);
const options = { train: texts, cache_dir: work, max_steps: 1, max_seq_length: 32, per_device_train_batch_size: 2 };
const samples = [];
const model = await Model.open(fileURLToPath(new URL("../examples/tiny-base", import.meta.url)), { threads: 2 });
for (let i = 0; i < count; i++) {
  const trainer = await Trainer.create(model, options);
  for await (const event of trainer.run()) if (event.type === "step") break;
  await trainer.close();
  if (i % 10 === 9) samples.push(resident());
}
await model.close();
rmSync(work, { recursive: true, force: true });
judge(`${count} trainers`, samples);
