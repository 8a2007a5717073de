// Which signals are answered, and what a person is asked at the end.
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { isYes, mergeCommand } from "../../src/commands/merge.js";

const module = new URL("../../dist/cli/hangup.js", import.meta.url).href;
const probe = `console.log((await import(${JSON.stringify(module)})).ignoresHangup())`;

/** What a process says of SIGHUP that a shell starts as a line of its script tells. */
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
