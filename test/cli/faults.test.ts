// Every file-system call of a run fails once: whole files stay whole, and the run goes on or ends with a message.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkpointProblem, listCheckpoints, readAdapter } from "../../src/checkpoint/index.js";
import { openModel } from "../../src/model/index.js";
import { buildPreload, type Fault, FaultyCommand } from "../support/faults.js";
import { someTexts, steadyMetrics, tinyBase, workFolder } from "../support/tiny.js";

const work = workFolder("faults");
const library = work.path("faults.so");
const missing = buildPreload("faults.c", library);
const disk = work.path("disk");
const reference = `${disk}/reference`;
const output = `${disk}/output`;
let command: FaultyCommand;
let train: string[] = [];
/** Calls of an undisturbed run. */
let calls = 0;

/** Of every call, one in STRIDE is made to fail: LOWRANK_FAULTS=1 fails each. */
const STRIDE = Number(process.env.LOWRANK_FAULTS ?? 9);
const { ENOSPC, EIO } = constants.errno;

const OPTIONS = {
  base_model: tinyBase,
  max_seq_length: 16,
  lora_r: 2,
  target_modules: "model.layers.0.self_attn.q_proj",
  per_device_train_batch_size: 2,
  learning_rate: 1e-2,
  max_steps: 3,
  logging_steps: 2,
  save_steps: 1,
  save_total_limit: 2,
  threads: 1,
};

const args = (folder: string) => [...train, `--output_dir=${folder}`];

beforeAll(async () => {
  if (missing !== null) return;
  const texts = someTexts(work.path("texts.jsonl"), 12);
  const all = { ...OPTIONS, train_file: texts };
  train = ["train", "--no-merge", ...Object.entries(all).map(([name, value]) => `--${name}=${value}`)];
  mkdirSync(disk);
  command = new FaultyCommand(library, `${disk}/`, work.path("control"));
  const whole = await command.run(args(reference));
  expect(whole.code, whole.printed).toBe(0);
  calls = whole.calls;
  expect(calls).toBeGreaterThan(150);
});
afterAll(() => {
  command?.close();
  work.remove();
});

const adapterOf = (folder: string) => readFileSync(`${folder}/adapter_model.safetensors`);

function expectSame(folder: string, what: string) {
  expect(adapterOf(folder).equals(adapterOf(reference)), what).toBe(true);
  expect(steadyMetrics(folder), what).toEqual(steadyMetrics(reference));
}

/** One run with a fault, and the runs that it takes to finish it. @returns how it ended */
async function survives(fault: Fault): Promise<"warned" | "ended" | "unharmed"> {
  const what = `call ${fault.at}, errno ${fault.errno}`;
  rmSync(output, { recursive: true, force: true });
  const { code, printed } = await command.run(args(output), fault);
  expect([0, 1], `${what}: ${printed}`).toContain(code);
  expect(printed, what).not.toMatch(/E_INTERNAL|\n {4}at /);
  const checkpoints = await listCheckpoints(output);
  for (const folder of checkpoints) expect(await checkpointProblem(folder), `${what}: ${folder}`).toBeNull();
  if (code === 0) {
    if (!printed.includes("Training goes on without this checkpoint")) {
      // A disk that fails from the last line of metrics on has no room for it; one that failed once has all of them.
      if (fault.forGood && printed.includes("metrics.jsonl failed, and the run goes on"))
        expect(adapterOf(output).equals(adapterOf(reference)), what).toBe(true);
      else expectSame(output, what);
      return "unharmed";
    }
    // The missing checkpoint may have been the best. The last one is as it would have been.
    expect(printed, what).toMatch(/warning: \S+ cannot be written: .*\(ENOSPC\)/);
    const last = `checkpoint-${OPTIONS.max_steps}`;
    expect(adapterOf(`${output}/${last}`).equals(adapterOf(`${reference}/${last}`)), what).toBe(true);
    expect(steadyMetrics(output), what).toEqual(steadyMetrics(reference));
    return "warned";
  }
  expect(printed, what).toMatch(/error E_WRITE: \S+ cannot be written: .*\((ENOSPC|EIO)\)/);
  expect(printed, what).toContain(output);
  if (/\/checkpoint-\d+ cannot be written.*\(ENOSPC\)/.test(printed)) {
    expect(printed, what).toMatch(/It needs \d\S* \w+, and \d\S* \w+ are free there/);
    // The disk was full for one call only.
    expect(printed, what).toContain(`The adapter as it is now was saved in ${output}/unfinished-adapter`);
    expect(readAdapter(`${output}/unfinished-adapter`, openModel(tinyBase)).tensors.size, what).toBe(2);
    const goOn = checkpoints.length > 0 ? `--resume goes on from ${checkpoints.at(-1)}` : "no whole checkpoint";
    expect(printed, what).toContain(goOn);
  }
  // For the next run the process that holds it would be gone.
  rmSync(`${output}/.lowrank.lock`, { force: true });
  const again = await command.run([...args(output), "--resume=auto"]);
  expect(again.code, `${what}: ${again.printed}`).toBe(0);
  expectSame(output, what);
  expect(existsSync(`${output}/unfinished-adapter`), what).toBe(false);
  return "ended";
}

describe.skipIf(missing !== null)(`failing calls${missing === null ? "" : ` (skipped: ${missing})`}`, () => {
  test.each([
    ["ENOSPC once", { errno: ENOSPC, forGood: false }, ["ended", "warned"]],
    ["EIO from then on", { errno: EIO, forGood: true }, ["ended"]],
  ])(
    "%s: whole checkpoints stay, the run is finished with the same bits",
    async (_, fault, kinds) => {
      const ends = new Set<string>();
      for (let at = 1; at <= calls; at += STRIDE) ends.add(await survives({ ...fault, at }));
      for (const kind of kinds) expect([...ends]).toContain(kind);
    },
    3_600_000,
  );

  test("a disk that stays full ends the run: the earlier adapter stays, and the error says how to go on", async () => {
    const longer = (folder: string) => [
      ...args(folder).filter((arg) => !arg.startsWith("--max_steps=")),
      "--resume",
      "--max_steps=4",
    ];
    for (const name of ["whole-longer", "full"]) cpSync(reference, `${disk}/${name}`, { recursive: true });
    const whole = await command.run(longer(`${disk}/whole-longer`));
    expect(whole.code, whole.printed).toBe(0);
    const full = `${disk}/full`;
    const fault = { at: Math.floor(whole.calls / 2), errno: ENOSPC, forGood: true };
    const { code, printed } = await command.run(longer(full), fault);
    expect(code, printed).toBe(1);
    expect(printed).toMatch(/\/full(\/checkpoint-4)? cannot be written: no space left.*It needs .* are free there/);
    expect(printed).toContain("The adapter alone could not be saved either.");
    expect(printed).toMatch(/--resume goes on from \S+\/full\/checkpoint-[34]/);
    expect(adapterOf(full).equals(adapterOf(reference))).toBe(true);
  });

  test("merging: the folder is whole or not there", async () => {
    const merged = `${disk}/merged`;
    const merge = ["merge", `--base_model=${tinyBase}`, `--adapter=${reference}`, "--threads=1"];
    const whole = await command.run([...merge, `--output_dir=${disk}/whole`]);
    expect(whole.code, whole.printed).toBe(0);
    expect(whole.calls).toBeGreaterThan(20);
    for (let at = 1; at <= whole.calls; at++) {
      const { code, printed } = await command.run([...merge, `--output_dir=${merged}`], {
        at,
        errno: ENOSPC,
        forGood: false,
      });
      expect(printed, `call ${at}`).not.toMatch(/E_INTERNAL|\n {4}at /);
      if (code === 0) {
        const model = (folder: string) => readFileSync(`${folder}/model.safetensors`);
        expect(model(merged).equals(model(`${disk}/whole`))).toBe(true);
        rmSync(merged, { recursive: true });
      } else {
        expect(printed).toMatch(/error E_WRITE: \S+ cannot be written: .*\(ENOSPC\)/);
        expect(existsSync(merged), `call ${at}: ${printed}`).toBe(false);
      }
    }
  });

  test("short writes are gone on with", async () => {
    const short = new FaultyCommand(library, `${disk}/`, work.path("control-short"), { FAULT_SHORT: "1" });
    try {
      const folder = `${disk}/short`;
      const found = await short.run(args(folder));
      expect(found.code, found.printed).toBe(0);
      expectSame(folder, "short writes");
      for (const checkpoint of await listCheckpoints(folder)) expect(await checkpointProblem(checkpoint)).toBeNull();
      expect(readdirSync(folder).sort()).toEqual(readdirSync(reference).sort());
      expect(found.calls).toBeGreaterThan(calls);
    } finally {
      short.close();
    }
  });
});
