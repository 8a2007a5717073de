// Signals that are answered, and the question for a person at the end.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isYes, mergeCommand } from "../../src/commands/merge.js";
import { temporaryFolders } from "../support/folders.js";

const temporaryFolder = temporaryFolders();
const module = new URL("../../dist/cli/hangup.js", import.meta.url).href;
const probe = `console.log((await import(${JSON.stringify(module)})).ignoresHangup())`;

/** A process's report on SIGHUP, started by a shell as a line of its script. */
function said(line: string, env: NodeJS.ProcessEnv = {}): string {
  const node = `"${process.execPath}" --input-type=module -e '${probe}'`;
  const { stdout, stderr } = spawnSync("bash", ["-c", line.replace("NODE", node)], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return (stdout || stderr).trim();
}

test.each([
  ["a plain start", "NODE; true", "false"],
  ["nohup", "nohup NODE; true", "true"],
  ["a script under nohup, or a shell that ignores it", 'trap "" HUP; NODE; true', "true"],
  ["nohup at a terminal, by another shell", "unset _; NODE 0>/dev/null; true", "true"],
])("SIGHUP after %s", (_, line, expected) => expect(said(line)).toBe(expected));

/** The launcher's report on SIGHUP, with a module in the place of the command. */
test.each([
  ["a plain start", "LAUNCHER; true", "default"],
  ["exec", "exec LAUNCHER", "default"],
  ["nohup", "nohup LAUNCHER; true", "ignored"],
  ["exec nohup", "exec nohup LAUNCHER", "ignored"],
  ["exec in a shell that ignores it", 'trap "" HUP; exec LAUNCHER', "ignored"],
  ["another signal ignored", 'trap "" INT; exec LAUNCHER', "default"],
])("the launcher after %s, through a link", (_, line, expected) => {
  const folder = temporaryFolder();
  for (const part of ["scripts/support", "dist/cli", "bin"]) mkdirSync(join(folder, part), { recursive: true });
  cpSync(new URL("../../scripts/support/lowrank.mjs", import.meta.url), join(folder, "scripts/support/lowrank.mjs"));
  const command = "console.log(JSON.stringify([process.env.LOWRANK_SIGHUP, process.argv.slice(2)]))";
  writeFileSync(join(folder, "dist/cli/main.js"), command);
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  symlinkSync("../scripts/support/lowrank.mjs", join(folder, "bin/lowrank"));
  const { stdout, stderr } = spawnSync(
    "bash",
    ["-c", line.replace("LAUNCHER", `"${folder}/bin/lowrank" train "a b" ""`)],
    {
      encoding: "utf8",
      env: { ...process.env, LOWRANK_SIGHUP: "ignored" },
    },
  );
  expect(stderr).not.toMatch(/lowrank|directory/);
  expect(JSON.parse(stdout)).toEqual([expected, ["train", "a b", ""]]);
});

test("the question is asked until the answer is yes or no", async () => {
  const ask = (...answers: (string | null)[]) => {
    const asked: string[] = [];
    const wanted = isYes("Write it?", async (question) => {
      asked.push(question);
      return answers.shift() ?? null;
    });
    return wanted.then((yes) => [yes, asked.length, asked.at(-1)]);
  };
  expect(await ask("y")).toEqual([true, 1, "Write it? [y/N] "]);
  expect(await ask(" YES ")).toEqual([true, 1, "Write it? [y/N] "]);
  expect(await ask("maybe", "1", "Y")).toEqual([true, 3, "Please answer y or n. Write it? [y/N] "]);
  expect(await ask("")).toEqual([false, 1, "Write it? [y/N] "]);
  expect(await ask("yo", "no")).toEqual([false, 2, "Please answer y or n. Write it? [y/N] "]);
  expect(await ask(null)).toEqual([false, 1, "Write it? [y/N] "]);
});

test("the command for later is one that a shell takes", () => {
  const o = { merge: undefined, base_model: "./base", tokenizer_name: undefined, output_dir: "./out" };
  expect(mergeCommand(o, "/x/out_merged")).toBe(
    "lowrank merge --base_model ./base --adapter ./out --output_dir /x/out_merged",
  );
  const odd = { ...o, output_dir: "it's mine", tokenizer_name: "t" };
  expect(mergeCommand(odd, "m")).toContain("--tokenizer_name t --adapter 'it'\\''s mine' --output_dir m");
});
