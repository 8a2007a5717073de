// Standard output and standard error that are full or gone, and the output folder that somebody removes.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkpointProblem } from "../../src/checkpoint/index.js";
import { Model, Trainer } from "../../src/index.js";
import { cliFile, lowrank, someTexts, steadyMetrics, tinyBase, workFolder } from "../support/tiny.js";

const work = workFolder("streams");
let train: string[] = [];

interface Ended {
  code: number | null;
  stderr: string;
}

/** Runs the command with its standard output, and its standard error where it is not "pipe", in a file. */
function into(args: string[], stdout: string, stderr: "pipe" | string = "pipe"): Promise<Ended> {
  const error = stderr === "pipe" ? "pipe" : openSync(stderr, "w");
  const child = spawn(process.execPath, [cliFile, ...args], { stdio: ["ignore", openSync(stdout, "w"), error] });
  let text = "";
  child.stderr?.on("data", (data) => {
    text += data;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stderr: text })));
}

const adapterOf = (folder: string) => readFileSync(`${folder}/adapter_model.safetensors`);

function expectSame(folder: string) {
  expect(adapterOf(folder).equals(adapterOf(work.path("whole")))).toBe(true);
  expect(steadyMetrics(folder)).toEqual(steadyMetrics(work.path("whole")));
}

beforeAll(async () => {
  const texts = someTexts(work.path("texts.jsonl"), 20);
  const small = ["--max_seq_length=16", "--lora_r=2", "--per_device_train_batch_size=2", "--threads=1"];
  const often = ["--max_steps=6", "--logging_steps=1", "--eval_steps=2", "--save_steps=2", "--num_samples=1"];
  train = ["train", `--base_model=${tinyBase}`, `--train_file=${texts}`, "--no-merge", ...small, ...often];
  const whole = await lowrank([...train, "--output_dir", work.path("whole")]);
  expect(whole.code, whole.stderr).toBe(0);
});
afterAll(() => work.remove());

describe("a full disk behind standard output and standard error", () => {
  test("a run ends with the bits of another, and its log says so", async () => {
    const output = work.path("full");
    expect((await into([...train, "--output_dir", output], "/dev/full", "/dev/full")).code).toBe(0);
    expectSame(output);
    const log = readFileSync(`${output}/train.log`, "utf8");
    for (const name of ["output", "error"]) {
      expect(log.match(new RegExp(`standard ${name} cannot be written any more \\(ENOSPC\\)`, "g"))).toHaveLength(1);
    }
  });

  test("--json: the run is finished, and that its events are lost is an error", async () => {
    const output = work.path("json");
    const { code, stderr } = await into([...train, "--json", "--output_dir", output], "/dev/full");
    expect(code).toBe(1);
    expect(JSON.parse(stderr.trim().split("\n").at(-1)!)).toMatchObject({ code: "E_WRITE" });
    expectSame(output);
  });

  test.each([
    ["schema", []],
    ["completion", ["bash"]],
    ["--help", []],
    ["inspect", [tinyBase]],
    ["generate", ["--base_model", tinyBase, "--prompt", "The", "--max_new_tokens", "20"]],
  ])("%s: one error", async (command, more) => {
    const { code, stderr } = await into([command, ...more], "/dev/full");
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^error E_WRITE: Standard output cannot be written: .*\(ENOSPC\)\.\n$/),
    ]);
  });
});

test("a reader that has seen enough is no error", async () => {
  const child = spawn("sh", ["-c", `"${process.execPath}" "${cliFile}" schema; echo "code $?" >&2`], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  await new Promise((resolve) => child.once("close", resolve));
  expect(stderr).toBe("code 0\n");
});

// `script` of util-linux gives a command a terminal, which hangs up when it is killed.
const hasScript = spawnSync("script", ["--version"]).status === 0;
test.skipIf(!hasScript)("a terminal that hangs up: the run ends as another, with its exit code", async () => {
  const [output, ended] = [work.path("hung-up"), work.path("hung-up.code")];
  const run = [process.execPath, cliFile, ...train, "--output_dir", output].map((word) => `'${word}'`).join(" ");
  const ignoring = `trap "" HUP; ${run}; echo $? > '${ended}.new'; mv '${ended}.new' '${ended}'`;
  const terminal = spawn("script", ["-qec", ignoring, "/dev/null"], { stdio: ["ignore", "ignore", "ignore"] });
  const isThere = (file: string) => expect.poll(() => existsSync(file), { timeout: 30_000, interval: 5 }).toBe(true);
  await isThere(`${output}/train.log`);
  terminal.kill("SIGKILL");
  await isThere(ended);
  expect(readFileSync(ended, "utf8")).toBe("0\n");
  expectSame(output);
  expect(readFileSync(`${output}/train.log`, "utf8")).toMatch(
    /standard (output|error) cannot be written any more \(EIO\)/,
  );
});

describe("an output folder that is removed while the run goes on", () => {
  test("checkpoints and the adapter are written anew, and a warning says so", async () => {
    await using model = await Model.open(tinyBase, { threads: 1 });
    const output_dir = work.path("removed");
    const options = { train_file: [work.path("texts.jsonl")], max_seq_length: 16, max_steps: 6, save_steps: 2 };
    await using trainer = await Trainer.create(model, { ...options, output_dir, eval_steps: 2, logging_steps: 1 });
    const warnings: string[] = [];
    for await (const event of trainer.run()) {
      if (event.type === "warning" && !event.message.startsWith("mfu")) warnings.push(event.message);
      if (event.type === "checkpoint" && event.step === 2) rmSync(output_dir, { recursive: true });
    }
    expect(warnings).toEqual([
      `${output_dir} was removed while the run goes on: it is made anew, without its old files.`,
    ]);
    expect(readdirSync(output_dir)).toEqual(expect.arrayContaining(["checkpoint-6", "adapter_model.safetensors"]));
    expect(await checkpointProblem(`${output_dir}/checkpoint-6`)).toBeNull();
  });
});
