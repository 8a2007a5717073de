// The command under a low limit of open files: Node itself needs 18 of them.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolders, tinyBase } from "../support/folders.js";
import { cliFile as cli } from "../support/tiny.js";

const folder = temporaryFolders();

function limited(files: number, args: string[]) {
  const command = 'ulimit -n "$1"; shift; exec "$@"';
  return spawnSync("sh", ["-c", command, "sh", `${files}`, process.execPath, cli, ...args], { encoding: "utf8" });
}

function train(files: number) {
  const work = folder();
  const texts = new URL("../../examples/data/train.jsonl", import.meta.url).pathname;
  const places = { base_model: tinyBase, train_file: texts, output_dir: join(work, "run"), cache_dir: work };
  const options = Object.entries({ ...places, max_steps: 1, max_seq_length: 16, threads: 1, merge: false });
  return limited(files, ["train", ...options.flatMap(([name, value]) => [`--${name}`, `${value}`])]);
}

test("26 suffice to start and to train", () => {
  expect(limited(26, ["--help"])).toMatchObject({ status: 0, stderr: "" });
  expect(limited(26, ["train", "--help"]).stdout).toContain("--train_file");
  const { status, stderr } = train(26);
  expect(status, stderr).toBe(0);
});

test("a run that needs more names the file and how to raise the limit", () => {
  const { status, stderr } = train(20);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^error E_\w+: .*\/\S+ cannot be (read|written): .*`ulimit -n 1024` \(EMFILE\)/m);
  expect(stderr).not.toMatch(/^ +at /m);
});
