// Files that may lie in the output folder of a run that begins, and of a run that goes on if it can.
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { RunFolder } from "../../src/setup/run/folder.js";
import { checkOutput } from "../../src/setup/run/output.js";
import { errorOf } from "../support/folders.js";
import { workFolder } from "../support/tiny.js";

const work = workFolder("run-folder");
afterAll(() => work.remove());
let folders = 0;

/** A folder that holds files, and folders where the name ends in /. */
function holding(...names: string[]): string {
  const folder = work.path(`f${folders++}`);
  mkdirSync(folder);
  for (const name of names) {
    if (name.endsWith("/")) mkdirSync(`${folder}/${name}`);
    else writeFileSync(`${folder}/${name}`, "");
  }
  return folder;
}

const open = (output_dir: string, resume: string | undefined = "auto") =>
  new RunFolder({ output_dir, overwrite_output_dir: false, resume }, []);

describe("a folder that is not empty", () => {
  test("the way on by --resume is named where the command knows it", async () => {
    const path = holding("config.json");
    const merging = await errorOf(() => checkOutput(path, "nothing"));
    expect(merging.message).toContain("is not empty (config.json)");
    expect(merging.message).not.toContain("--resume");
    const running = await errorOf(() => checkOutput(path, "nothing", [], true));
    expect(running.message).toContain("go on with --resume");
  });
});

test("a folder that the run reads is refused as its output, also behind a link", async () => {
  const base = holding("config.json");
  const [link, other] = [work.path("link"), holding()];
  symlinkSync(base, link);
  symlinkSync(base, `${other}/base`);
  for (const [output, input] of [
    [link, base],
    [base, link],
    [base, `${link}/config.json`],
    [other, `${other}/base`],
  ] as const) {
    const error = await errorOf(() => checkOutput(output, "results", [input]));
    expect(error.message, `${output}, ${input}`).toContain(`is or holds ${input}, which this run reads`);
  }
  expect(() => checkOutput(other, "results", [base])).not.toThrow();
});

describe("--resume auto begins", () => {
  test.each([
    ["no folder", null],
    ["an empty folder", []],
    ["a lock", [".lowrank.lock", ".lowrank.lock.pid"]],
    ["the first lines of a run", ["train.log", "metrics.jsonl", "metrics.jsonl.tmp", "profile.json"]],
    ["half a first checkpoint", ["train.log", "metrics.jsonl", ".checkpoint-2.tmp/"]],
    ["half a checkpoint that was being removed", ["train.log", ".checkpoint-2.old/"]],
    ["half a final adapter", ["train.log", "metrics.jsonl", ".adapter.tmp/", "tokenizer.json", "README.md"]],
    ["the adapter of a run whose disk was full", ["train.log", "metrics.jsonl", "unfinished-adapter/"]],
    ["files of others", ["slurm-17.out", "notes.txt"]],
  ])("with %s", async (_, names) => {
    const path = names === null ? work.path("none") : holding(...names);
    const folder = open(path);
    folder.check();
    expect(await folder.findCheckpoint(() => {})).toBeNull();
    expect(await folder.begin(null)).toEqual([]);
    folder.release();
    const left = (names ?? []).filter((name) => /^(README|tokenizer|unfinished|slurm|notes)/.test(name));
    expect(readdirSync(path).sort()).toEqual(left.map((name) => name.replace("/", "")).sort());
  });

  test.each([
    ["an adapter without a checkpoint", ["train.log", "metrics.jsonl", "adapter_model.safetensors"]],
    ["a model", ["config.json", "model.safetensors", "tokenizer.json"]],
    ["a tokenizer", ["tokenizer.json"]],
  ])("not with %s", async (_, names) => {
    const folder = open(holding(...names));
    const error = await errorOf(() => folder.check());
    expect([error.code, error.message]).toEqual([
      "E_OUTPUT_EXISTS",
      expect.stringContaining("holds results, but no checkpoint to go on from"),
    ]);
    expect((await errorOf(() => folder.begin(null))).code).toBe("E_OUTPUT_EXISTS");
    folder.release();
  });

  test("what no checkpoint of is whole is an error", async () => {
    const folder = open(holding("checkpoint-2/"));
    folder.check();
    expect((await errorOf(() => folder.findCheckpoint(() => {}))).message).toContain("no checkpoint in it is whole");
    folder.release();
  });

  test("not where another run was here meanwhile", async () => {
    const path = holding();
    const folder = open(path);
    folder.check();
    expect(await folder.findCheckpoint(() => {})).toBeNull();
    mkdirSync(`${path}/checkpoint-2`);
    expect((await errorOf(() => folder.begin(null))).code).toBe("E_OUTPUT_EXISTS");
    folder.release();
  });
});

test("without --resume auto nothing may be there, but for --overwrite_output_dir", async () => {
  const path = holding("train.log", ".checkpoint-2.tmp/", "checkpoint-1/", "notes.txt");
  const refused = new RunFolder({ output_dir: path, overwrite_output_dir: false, resume: undefined }, []);
  expect((await errorOf(() => refused.check())).message).toMatch(/is not empty.*--resume/);
  const folder = new RunFolder({ output_dir: path, overwrite_output_dir: true, resume: undefined }, []);
  folder.check();
  await folder.begin(null);
  folder.release();
  expect(readdirSync(path)).toEqual(["notes.txt"]);
});

test("looking for a checkpoint takes the lock only where something may be changed", async () => {
  const path = holding();
  const folder = open(path);
  await folder.findCheckpoint(() => {}, true);
  expect(readdirSync(path)).toEqual([]);
  await folder.findCheckpoint(() => {});
  expect((await errorOf(() => open(path).check())).code).toBe("E_OUTPUT_LOCKED");
  folder.release();
});
