// What the scripts that kill runs have in common: a short run on the examples' base, with dropout and checkpoints.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const cli = join(root, "dist/cli/main.js");

/** A folder of the script's own, with the texts of its runs. */
export function crashFolder(name) {
  const work = mkdtempSync(join(tmpdir(), `lowrank-${name}-`));
  const texts = join(work, "texts.jsonl");
  const examples = readFileSync(join(root, "examples/data/train.jsonl"), "utf8").split("\n");
  writeFileSync(texts, examples.slice(0, 30).join("\n"));
  return { work, texts };
}

/** The command line of a run. @param more options, which come after those of all runs */
export function trainArguments(texts, more) {
  const all = {
    base_model: join(root, "examples/tiny-base"),
    train_file: texts,
    max_seq_length: 32,
    lora_r: 4,
    lora_dropout: 0.1,
    per_device_train_batch_size: 2,
    gradient_accumulation_steps: 2,
    learning_rate: 1e-2,
    logging_steps: 5,
    save_total_limit: 2,
    ...more,
  };
  return [cli, "train", "--no-merge", ...Object.entries(all).map(([name, value]) => `--${name}=${value}`)];
}

export function fail(message) {
  throw new Error(message);
}
