// `lowrank train --merge` where there can be no merged model: refused before the first step, or told after the end.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { type Finished, lowrank, type RunOptions } from "../support/tiny.js";

const folder = temporaryFolders();
const env = { XDG_CACHE_HOME: folder() };
const gguf = new URL("../fuzz/seeds/base.gguf", import.meta.url).pathname;
const texts = writeIn(folder(), "words.txt", "abcd bca\ndcba abab\ncdab dd\n");

function train(output: string, base: string, more: string[], options: RunOptions = {}): Promise<Finished> {
  const small = [
    "--max_seq_length",
    "16",
    "--per_device_train_batch_size",
    "1",
    "--max_steps",
    "2",
    "--num_samples",
    "0",
  ];
  const data = ["--base_model", base, "--train_file", texts, "--output_dir", output, "--eval_strategy", "no"];
  return lowrank(["train", ...data, ...small, "--merge", "--json", ...more], { env, ...options });
}

const eventsOf = ({ stdout }: Finished) => {
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => (JSON.parse(line) as { type: string }).type);
};

const errorOf = ({ stderr }: Finished) => JSON.parse(stderr.trim().split("\n").at(-1)!) as Record<string, string>;

test.each([
  ["a GGUF file", gguf, [], "E_QUANTIZED", / is a GGUF file/],
  ["a base without biases, with lora_bias", tinyBase, ["--lora_bias"], "E_MERGE", / has no bias in /],
])("%s is refused before the first step", async (_, base, more, code, message) => {
  const output = join(folder(), "run");
  const refused = await train(output, base, more);
  expect(errorOf(refused)).toMatchObject({ code, message: expect.stringMatching(message) });
  expect(eventsOf(refused)).not.toContain("start");
  expect(readdirSync(dirname(output))).toEqual([]);
  const dry = await train(output, base, [...more, "--dry_run"]);
  expect([dry.code, dry.stderr]).toEqual([0, expect.stringMatching(new RegExp(`^warning: .*${message.source}`, "m"))]);
  expect(eventsOf(dry)).toContain("dry_run");
});

test("other files where the merged model would be replaced are refused before the first step", async () => {
  const output = join(folder(), "run");
  mkdirSync(`${output}_merged`);
  writeIn(`${output}_merged`, "notes.txt", "mine");
  const message = /run_merged is not empty: it holds notes\.txt/;
  const refused = await train(output, tinyBase, ["--overwrite_output_dir"]);
  expect(errorOf(refused)).toMatchObject({ code: "E_OUTPUT_EXISTS", message: expect.stringMatching(message) });
  expect([eventsOf(refused), readdirSync(dirname(output))]).toEqual([[], [`${basename(output)}_merged`]]);
  const dry = await train(output, tinyBase, ["--overwrite_output_dir", "--dry_run"]);
  expect([dry.code, dry.stderr]).toEqual([0, expect.stringMatching(message)]);
});

test("a merge that fails loses no run: its end is told, and the command that merges later", async () => {
  const output = join(folder(), "run");
  const merged = `${output}_merged`;
  const failed = await train(output, tinyBase, [], {
    // As another program would, after the run has looked.
    onOutput: (_, stderr) => {
      if (!stderr.includes("texts to train on")) return;
      mkdirSync(merged, { recursive: true });
      writeFileSync(join(merged, "notes.txt"), "mine");
    },
  });
  expect([failed.code, eventsOf(failed).at(-1)]).toEqual([1, "end"]);
  expect(failed.stderr).toMatch(/^2 steps in /m);
  const later = `lowrank merge --base_model ${tinyBase} --adapter ${output} --output_dir ${merged}`;
  const { code, message } = errorOf(failed);
  expect(code).toBe("E_OUTPUT_EXISTS");
  expect(message).toContain(`The adapter is saved in ${output}, and was not merged: Output folder ${merged}`);
  expect(message).toContain(`To merge it: ${later}`);
});
