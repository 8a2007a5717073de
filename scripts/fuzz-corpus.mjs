#!/usr/bin/env node
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CORPUS, fileName, mutations } from "../test/fuzz/inputs.mjs";
import { readArguments } from "./support/arguments.mjs";

readArguments({
  about: `Makes the stored corpus anew: test/fuzz/seeds, an adapter and a checkpoint that are right, and test/fuzz/corpus, damaged files of
every kind. For a new kind of file or a change of a file's layout.`,
});
const { writeManifest } = await import("../dist/checkpoint/manifest.js");
const { Model, Trainer } = await import("../dist/index.js");
const { kinds } = await import("../test/fuzz/kinds.mjs");

const FILES_OF_A_KIND = 10;

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const work = mkdtempSync(join(tmpdir(), "lowrank-fuzz-"));
const model = await Model.open(here("../examples/tiny-base"), { threads: 1 });
const trainer = await Trainer.create(model, {
  train: Array.from({ length: 8 }, (_, i) => `text ${i} of some words`),
  lora_r: 2,
  max_steps: 1,
  max_seq_length: 16,
  cache_dir: join(work, "cache"),
  target_modules: "q_proj",
  output_dir: join(work, "run"),
});
for await (const _ of trainer.run());
await model.close();
// base.gguf, the third seed, stays: nothing here writes such files.
const seeds = here("../test/fuzz/seeds");
for (const name of ["adapter", "checkpoint-1"]) rmSync(join(seeds, name), { recursive: true, force: true });
cpSync(join(work, "run/checkpoint-1"), join(seeds, "checkpoint-1"), { recursive: true });
for (const name of ["adapter_model.safetensors", "adapter_config.json"])
  cpSync(join(work, "run", name), join(seeds, "adapter", name));
rmSync(work, { recursive: true });
// Where it was made is nobody's business.
const root = here("..");
for (const file of ["adapter/adapter_config.json", "checkpoint-1/adapter_config.json", "checkpoint-1/README.md"].concat(
  "checkpoint-1/trainer_state.json",
)) {
  const text = readFileSync(join(seeds, file), "utf8");
  writeFileSync(join(seeds, file), text.replaceAll(root, "").replaceAll(`${work}/`, ""));
}
rmSync(join(seeds, "checkpoint-1/manifest.json"));
await writeManifest(join(seeds, "checkpoint-1"));

rmSync(CORPUS, { recursive: true, force: true });
mkdirSync(CORPUS);
const all = kinds();
const count = FILES_OF_A_KIND * Object.keys(all).length;
let number = 0;
for (const { name, bytes } of mutations(all, 0)) {
  if (number === count) break;
  writeFileSync(join(CORPUS, fileName(number++, name)), bytes);
}
console.log(`${count} files of ${Object.keys(all).length} kinds`);
