// lowrank sweep: every adapter is the one that lowrank train gives alone.
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { run as sweep } from "../../src/commands/sweep.js";
import { run as train } from "../../src/commands/train.js";
import { commands, optionsFrom } from "../../src/config/index.js";
import { short } from "../../src/report/text.js";
import { errorOf } from "../support/folders.js";
import { jsonLines, someTexts, steadyMetrics, tinyBase } from "../support/tiny.js";

const work = mkdtempSync(join(tmpdir(), "lowrank-sweep-"));
afterAll(() => rmSync(work, { recursive: true }));
afterEach(() => vi.restoreAllMocks());
const texts = someTexts(join(work, "texts.jsonl"), 40);
const held = someTexts(join(work, "held.jsonl"), 6);

const OPTIONS = {
  base_model: tinyBase,
  train_file: texts,
  validation_file: held,
  max_seq_length: 24,
  per_device_train_batch_size: 2,
  learning_rate: 1e-2,
  max_steps: 8,
  logging_steps: 3,
  eval_steps: 2,
  save_steps: 3,
  save_total_limit: 0,
  threads: 1,
  json: true,
};

interface Told {
  run?: string;
  type: string;
  step?: number;
  [key: string]: unknown;
}

/** Calls a command in this process. @param onEvent told each of its events. @returns the events */
async function call(
  command: "train" | "sweep",
  o: Record<string, unknown>,
  onEvent: (event: Told, stop: () => void) => void = () => {},
): Promise<Told[]> {
  const events: Told[] = [];
  const controller = new AbortController();
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    const event = JSON.parse(String(text)) as Told;
    events.push(event);
    onEvent(event, () => controller.abort());
    return true;
  });
  try {
    if (command === "sweep") {
      const { options, given } = optionsFrom(commands.sweep, { ...OPTIONS, ...o });
      await sweep(options, given, controller.signal);
    } else {
      const { options, given } = optionsFrom(commands.train, { ...OPTIONS, num_samples: 0, merge: false, ...o });
      await train(options, given, controller.signal);
    }
  } finally {
    vi.restoreAllMocks();
  }
  return events;
}

const GRID = [
  { lora_r: 2 },
  { lora_r: 8, use_rslora: true, learning_rate: 3e-3, seed: 7 },
  { lora_r: 4, use_dora: true, lora_dropout: 0, target_modules: ["q_proj", "down_proj"] },
  { lora_r: 3, per_device_train_batch_size: 3, gradient_accumulation_steps: 2, neftune_noise_alpha: 5 },
];
const NAMES = [
  "r2",
  "r8_use_rslora-true_learning_rate-0.003_seed-7",
  "r4_use_dora-true_lora_dropout-0_target_modules-q_proj-down_proj",
];
const grid = join(work, "grid.yaml");
writeFileSync(grid, JSON.stringify(GRID));
const whole = join(work, "whole");

/** Told of each step: a report that is drawn while others train would take their time and memory. */
function expectNoReport(folder: string, { type }: Told): void {
  if (type !== "step") return;
  const drawn = readdirSync(folder).filter((run) => existsSync(join(folder, run, "report.html")));
  expect(drawn, "reports before the last step").toEqual([]);
}

/** Told of each event: the copies of two saves would add up. */
function expectOneSave(folder: string): void {
  if (!existsSync(folder)) return;
  const runs = readdirSync(folder, { withFileTypes: true }).filter((run) => run.isDirectory());
  const saving = runs.flatMap(({ name }) => readdirSync(join(folder, name)).filter((file) => file.endsWith(".tmp")));
  expect(saving.length, saving.join()).toBeLessThanOrEqual(1);
}

const files = (folder: string) =>
  ["adapter_model.safetensors", "adapter_config.json", "checkpoint-6/optimizer.safetensors"].map((file) =>
    existsSync(join(folder, file)) ? readFileSync(join(folder, file)) : null,
  );

/** The same files, and the same lines of metrics but for times. */
function expectSame(folder: string, other: string): void {
  for (const [i, file] of files(folder).entries())
    expect(file!.equals(files(other)[i]!), `${folder}, file ${i}`).toBe(true);
  expect(steadyMetrics(folder)).toEqual(steadyMetrics(other));
}

describe("a sweep", () => {
  test("gives the adapters, checkpoints and metrics of single runs, bit for bit, and the best one's name", async () => {
    const events = await call("sweep", { grid, output_dir: whole }, (event) => {
      expectNoReport(whole, event);
      expectOneSave(whole);
    });
    const result = JSON.parse(readFileSync(join(whole, "sweep.json"), "utf8"));
    const names: string[] = result.runs.map(({ run }: { run: string }) => run);
    expect(names.slice(0, 3)).toEqual(NAMES);
    for (const [i, values] of GRID.entries()) {
      const alone = join(work, `alone-${i}`);
      await call("train", { ...values, output_dir: alone });
      expectSame(join(whole, names[i]!), alone);
    }
    const losses = result.runs.map((entry: { evaluation: { eval_loss: number } }) => entry.evaluation.eval_loss);
    expect(result.best).toBe(names[losses.indexOf(Math.min(...losses))]);
    expect(names).toContain(result.recommended.run);
    expect(events.at(-1)).toMatchObject({ type: "end", best: result.best });
    // In turn: no run is two steps ahead of another one.
    const at = new Map(names.map((name) => [name, 0]));
    for (const { type, run, step } of events) {
      if (type !== "step") continue;
      at.set(run!, step!);
      expect(Math.max(...at.values()) - Math.min(...at.values())).toBeLessThanOrEqual(1);
    }
    // The others train while a run's checkpoint is written.
    const order = (wanted: Told) =>
      events.findIndex((told) => told.run === wanted.run && told.type === wanted.type && told.step === wanted.step);
    const saved = order({ run: names[0]!, type: "checkpoint", step: 3 });
    const stepped = order({ run: names[1]!, type: "step", step: 3 });
    expect(stepped).toBeGreaterThan(0);
    expect(saved).toBeGreaterThan(stepped);
    expect(readFileSync(join(whole, "sweep.log"), "utf8")).toContain("r2: step 8/8");
    const report = readFileSync(join(whole, "report.html"), "utf8");
    for (const name of names) {
      expect(report).toContain(`whole-${name}</th>`);
      expect(existsSync(join(whole, name, "report.html"))).toBe(true);
    }
    // The time of the others' turns is not a run's own.
    const ownSeconds = names.flatMap((name) => {
      const facts = JSON.parse(readFileSync(join(whole, name, "report.json"), "utf8"));
      return Object.values(facts.seconds as Record<string, number>);
    });
    expect(ownSeconds.reduce((sum, each) => sum + each, 0)).toBeLessThan(1.5 * result.seconds);
    const told: [number, number][] = result.runs.map(
      ({ options, evaluation }: { options: { lora_r: number }; evaluation: Told }) => [
        options.lora_r,
        evaluation.eval_loss,
      ],
    );
    const summary = told.sort(([a], [b]) => a - b).map(([rank, loss]) => `Rank ${rank}: ${short(loss)}.`);
    expect(report).toContain(`Evaluation by rank. ${summary.join(" ")}`);
    expect(existsSync(join(whole, "report_files/evaluation-by-rank.svg"))).toBe(true);
  });

  test("that was killed goes on to the same bits, wherever each run was", async () => {
    const killed = join(work, "killed");
    const folder = join(work, "copied");
    // The folder as a kill would leave it: some of the runs have saved step 3, the others have not.
    const last: string = JSON.parse(readFileSync(join(whole, "sweep.json"), "utf8")).runs[3].run;
    // What is being written meanwhile is left out: it would get its name while it is copied.
    const filter = (file: string) => !file.endsWith(".tmp");
    await call("sweep", { grid, output_dir: folder }, ({ type, run, step }) => {
      if (type === "step" && run === NAMES[0] && step === 4) cpSync(folder, killed, { recursive: true, filter });
    });
    expect(existsSync(join(killed, NAMES[1]!, "checkpoint-3/manifest.json"))).toBe(true);
    // As a kill leaves it that came before the last run's save was done.
    rmSync(join(killed, last, "checkpoint-3"), { recursive: true, force: true });
    await call("sweep", { grid, output_dir: killed, resume: "auto" });
    for (const { run } of JSON.parse(readFileSync(join(killed, "sweep.json"), "utf8")).runs)
      expectSame(join(killed, run), join(whole, run));
  });

  test("that was asked to stop saves, and goes on to the same bits", async () => {
    const folder = join(work, "stopped");
    await call("sweep", { grid, output_dir: folder }, ({ type, run, step }, stop) => {
      if (type === "step" && run === NAMES[2] && step === 4) stop();
    });
    const status = () =>
      JSON.parse(readFileSync(join(folder, "sweep.json"), "utf8")).runs.map((each: Told) => each.status);
    expect(status()).toEqual(["interrupted", "interrupted", "interrupted", "interrupted"]);
    await call("sweep", { grid, output_dir: folder, resume: true });
    expect(status()).toEqual(["finished", "finished", "finished", "finished"]);
    for (const name of NAMES) expectSame(join(folder, name), join(whole, name));
  });

  test("stops hopeless runs, goes on to the same decisions, and leaves the others as they are alone", async () => {
    const list = [{ learning_rate: 1e-2 }, { learning_rate: 1e-7 }, { learning_rate: 3e-3 }];
    const three = join(work, "three.yaml");
    writeFileSync(three, JSON.stringify(list));
    const options = { grid: three, stopping_rule: "successive_halving", grace_evaluations: 2 };
    const folder = join(work, "halving");
    const killed = join(work, "halving-killed");
    await call("sweep", { ...options, output_dir: folder }, (event) => {
      const { type, step, run } = event;
      expectNoReport(folder, event);
      if (type === "step" && step === 6 && run === "learning_rate-0.01") cpSync(folder, killed, { recursive: true });
    });
    const told = (of: string) =>
      JSON.parse(readFileSync(join(of, "sweep.json"), "utf8")).runs.map(({ run, status, steps }: Told) => [
        run,
        status,
        steps,
      ]);
    expect(told(folder)).toEqual([
      ["learning_rate-0.01", "finished", 8],
      ["learning_rate-1e-7", "stopped", 3],
      ["learning_rate-0.003", "stopped", 6],
    ]);
    await call("train", { ...list[0], output_dir: join(work, "alone-lr") });
    expectSame(join(folder, "learning_rate-0.01"), join(work, "alone-lr"));
    await call("sweep", { ...options, output_dir: killed, resume: "auto" });
    expect(told(killed)).toEqual(told(folder));
    expectSame(join(killed, "learning_rate-0.01"), join(work, "alone-lr"));
  });

  test("goes on beside a run whose loss is no number", async () => {
    const list = join(work, "diverges.yaml");
    writeFileSync(list, JSON.stringify([{ learning_rate: 1e-2 }, { learning_rate: 1e30, max_grad_norm: 0 }]));
    const folder = join(work, "diverges");
    const o = { grid: list, output_dir: folder, logging_steps: 1 };
    await call("sweep", o, (event) => expectNoReport(folder, event));
    expect(existsSync(join(folder, "learning_rate-1e+30_max_grad_norm-0", "report.html"))).toBe(true);
    const { runs, best } = JSON.parse(readFileSync(join(folder, "sweep.json"), "utf8"));
    expect(runs.map(({ status, error }: Told) => [status, (error as { code: string } | undefined)?.code])).toEqual([
      ["finished", undefined],
      ["failed", "E_NAN"],
    ]);
    expect(best).toBe("learning_rate-0.01");
    // What it has written before it failed is in the table, and its curves are in the report.
    const failed = "learning_rate-1e+30_max_grad_norm-0";
    const lines = jsonLines(join(folder, failed, "metrics.jsonl"));
    expect(lines.map(({ step }) => step)).toEqual([1, 2]);
    const [first, second] = lines.map(({ loss }) => loss!) as [number, number];
    expect(runs[1]).toMatchObject({ steps: 2, train_loss: (first + second) / 2, evaluation: null });
    expect(readFileSync(join(folder, "report.html"), "utf8")).toContain(`diverges-${failed}`);
  });

  test("ends where one run cannot save, after the others have saved", async () => {
    const folder = join(work, "unsaved");
    let isGone = false;
    const steps = new Map<string, number>();
    const error = await errorOf(() =>
      call("sweep", { ranks: "2,3,4", output_dir: folder }, ({ type, run, step }) => {
        if (type === "step") steps.set(run!, step!);
        if (isGone || run !== "r3" || step !== 2) return;
        isGone = true;
        rmSync(join(folder, "r3"), { recursive: true });
        writeFileSync(join(folder, "r3"), "");
      }),
    );
    expect(error).toMatchObject({ code: "E_WRITE" });
    expect(error.message).toContain("r3");
    for (const run of ["r2", "r4"]) {
      expect(steps.get(run)).toBeLessThan(8);
      expect(existsSync(join(folder, run, "checkpoint-3/manifest.json"))).toBe(true);
    }
  });
});

describe("a sweep is refused", () => {
  test.each<[string, Record<string, unknown>, string, string]>([
    ["without ranks and grid", {}, "E_USAGE", "one of --ranks and --grid"],
    ["with both", { ranks: "2,4", grid }, "E_USAGE", "one of --ranks and --grid"],
    ["where it goes on from elsewhere", { ranks: [2], resume: work }, "E_USAGE", "a sweep goes on in its own folder"],
    ["where it does not fit", { ranks: [2, 4], memory_limit: "1MB" }, "E_MEMORY", "Training 2 adapters side by side"],
    ["where a seed chooses the texts", { grid: "seeds", validation_file: undefined }, "E_USAGE", "grid: seed"],
    [
      "where a rule has nothing to compare",
      { ranks: [2, 4], stopping_rule: "median", eval_strategy: "no", load_best_model_at_end: false },
      "E_USAGE",
      "compares evaluations",
    ],
  ])("%s", async (_, o, code, message) => {
    const seeds = join(work, "seeds.yaml");
    writeFileSync(seeds, "seed: [1, 2]\n");
    const output_dir = join(work, "refused");
    const error = await errorOf(() => call("sweep", { ...o, ...(o.grid === "seeds" && { grid: seeds }), output_dir }));
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(message);
    expect(existsSync(output_dir)).toBe(false);
  });

  test("before any text is read, and by a dry run, where a rule has no evaluations or other lengths to compare", async () => {
    const o = { stopping_rule: "median", output_dir: join(work, "refused"), dry_run: true };
    const unevaluated = { ranks: "2,4", eval_strategy: "no", train_file: join(work, "none.jsonl") };
    const error = await errorOf(() => call("sweep", { ...o, ...unevaluated }));
    expect(error).toMatchObject({ code: "E_USAGE", where: "stopping_rule" });
    const lengths = join(work, "lengths.yaml");
    writeFileSync(lengths, "per_device_train_batch_size: [2, 4]\n");
    const other = await errorOf(() => call("sweep", { ...o, grid: lengths }));
    expect(other).toMatchObject({ code: "E_USAGE", where: "stopping_rule" });
  });

  test("where a folder holds another run's results", async () => {
    const error = await errorOf(() => call("sweep", { grid, output_dir: whole }));
    expect(error.code).toBe("E_OUTPUT_EXISTS");
  });

  test("never by a dry run, which writes nothing", async () => {
    const output_dir = join(work, "dry");
    const events = await call("sweep", { ranks: "2,4", output_dir, dry_run: true }).catch((error) => error);
    expect(events.map(({ type }: Told) => type)).toEqual(["plan"]);
    expect(events[0].adapters.map(({ run }: Told) => run)).toEqual(["r2", "r4"]);
    expect(existsSync(output_dir)).toBe(false);
  });
});
