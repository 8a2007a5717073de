// Ranks that train together, beside one process that takes as many micro-batches a step.
import { cpSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ranksOf } from "../../scripts/support/rank-processes.mjs";
import { buildPreload } from "../support/faults.js";
import { expectCloseMetrics, noRanks, ranks } from "../support/mpi.js";
import {
  jsonLines,
  lowrank,
  root,
  someTexts,
  steadyMetrics,
  tinyBase,
  validationFile,
  workFolder,
} from "../support/tiny.js";

const missing = noRanks();
if (missing) console.log(`Ranks are not tested: ${missing}.`);

const work = workFolder("ranks");
afterAll(work.remove);
const noPreload = missing ?? buildPreload("no-memory.c", work.path("no-memory.so"));
if (noPreload && !missing) console.log(`A rank without memory is not tested: ${noPreload}`);
let texts = "";
let held = "";
beforeAll(() => {
  texts = someTexts(work.path("texts.jsonl"), 40);
  writeFileSync(work.path("held.jsonl"), readFileSync(validationFile, "utf8").split("\n").slice(0, 14).join("\n"));
  held = work.path("held.jsonl");
});

const OPTIONS = {
  base_model: tinyBase,
  precision: "fp32",
  max_seq_length: 32,
  lora_r: 4,
  lora_dropout: 0.1,
  per_device_train_batch_size: 2,
  per_device_eval_batch_size: 3,
  learning_rate: 1e-2,
  max_steps: 10,
  logging_steps: 1,
  eval_steps: 5,
  save_steps: 5,
  num_samples: 0,
  merge: false,
  threads: 1,
};

function train(output: string, more: Record<string, unknown> = {}): string[] {
  const all = { ...OPTIONS, train_file: texts, validation_file: held, output_dir: work.path(output), ...more };
  return ["train", ...Object.entries(all).map(([name, value]) => `--${name}=${value}`)];
}

async function succeeds(run: ReturnType<typeof lowrank>) {
  const finished = await run;
  expect(finished.code, finished.stderr).toBe(0);
  return finished;
}

const metrics = (output: string) => jsonLines(work.path(output, "metrics.jsonl"));
const adapter = (output: string) => readFileSync(work.path(output, "adapter_model.safetensors"));

const expectClose = (output: string, reference: string, from = 1) =>
  expectCloseMetrics(work.path(output), work.path(reference), from);

describe.skipIf(missing !== null)("ranks", () => {
  test("two ranks make the steps of one process with twice the accumulation, the same bits each time", async () => {
    await succeeds(lowrank(train("one", { gradient_accumulation_steps: 4 })));
    const { stdout, stderr } = await succeeds(ranks(2, train("two", { gradient_accumulation_steps: 2 })));
    await succeeds(ranks(2, train("again", { gradient_accumulation_steps: 2 })));
    expectClose("two", "one");
    expect(steadyMetrics(work.path("again"))).toEqual(steadyMetrics(work.path("two")));
    expect(adapter("again").equals(adapter("two"))).toBe(true);
    // The first rank alone shows the run.
    expect(stderr.match(/^step 3\/10 /gm)).toHaveLength(1);
    expect(stderr).toContain("2 ranks: a step has 4 micro-batches of 2 rows");
    expect(stdout).toContain("weights (mapped)");
    for (const { slowest_rank, slowest_rank_s, waiting } of metrics("two").filter(({ loss }) => loss !== undefined)) {
      expect([0, 1]).toContain(slowest_rank);
      expect(slowest_rank_s).toBeGreaterThan(0);
      expect(waiting).toBeGreaterThan(0);
      expect(waiting).toBeLessThan(1);
    }
  });

  /** A program that trains as the command does. @param before its trainer is made */
  function programOf(output: string, more: object, before = ""): string {
    const { base_model, merge, num_samples, threads, precision, ...options } = OPTIONS;
    const files = { train_file: texts, validation_file: held, output_dir: work.path(output) };
    const program = work.path(`${output}.mjs`);
    writeFileSync(
      program,
      `import { Model, Trainer } from ${JSON.stringify(join(root, "dist/index.js"))};
const model = await Model.open(${JSON.stringify(base_model)}, ${JSON.stringify({ threads, precision })});
${before}
const trainer = await Trainer.create(model, ${JSON.stringify({ ...options, ...files, ...more })});
for await (const event of trainer.run()) if (event.type === "end") console.log("steps " + event.steps);
await model.close();`,
    );
    return program;
  }

  test("a program that uses the library trains in ranks as the command does", async () => {
    const program = programOf("library", { gradient_accumulation_steps: 2 });
    const { stdout } = await succeeds(ranks(2, [], { program: () => program }));
    expect(stdout.match(/steps 10/g)).toHaveLength(2);
    expect(adapter("library").equals(adapter("two"))).toBe(true);
    expect(steadyMetrics(work.path("library"))).toEqual(steadyMetrics(work.path("two")));
  });

  test("a program's ranks wait for ddp_timeout", async () => {
    const never = 'if (process.env.OMPI_COMM_WORLD_RANK === "1") await new Promise((go) => setTimeout(go, 120_000));';
    const program = programOf("alone", { ddp_timeout: 1 }, never);
    const { code, stderr } = await ranks(2, [], { program: () => program });
    expect(code).not.toBe(0);
    expect(stderr).toContain("Not all ranks have come to the start of the training within 1 s (--ddp_timeout)");
  });

  test("a checkpoint goes on in one process", async () => {
    const resumed = train("resumed", { gradient_accumulation_steps: 4, resume: work.path("two/checkpoint-5") });
    await succeeds(lowrank(resumed));
    expectClose("resumed", "one", 6);
  });

  test("a checkpoint of one process goes on in two ranks", async () => {
    const resume = work.path("one/checkpoint-5");
    await succeeds(ranks(2, train("on", { gradient_accumulation_steps: 2, resume })));
    expectClose("on", "one", 6);
  });

  test("three ranks with shares of different sizes, the last step of an epoch without work for one", async () => {
    // 40 texts are 20 micro-batches: 9, 9 and 2 of them a step; 8-bit AdamW steps by the global values.
    const more = { max_steps: 4, optim: "adamw_8bit", per_device_train_batch_size: 2, use_dora: true, lora_dropout: 0 };
    await succeeds(lowrank(train("whole", { ...more, gradient_accumulation_steps: 9 })));
    await succeeds(ranks(3, train("three", { ...more, gradient_accumulation_steps: 3 })));
    expectClose("three", "whole");
  });

  test("PiSSA: rank 0's factors of the base are everyone's", async () => {
    const more = { max_steps: 4, init_lora_weights: "pissa", lora_dropout: 0, eval_steps: 2 };
    await succeeds(lowrank(train("pissa", { ...more, gradient_accumulation_steps: 4 })));
    await succeeds(ranks(2, train("pissa-two", { ...more, gradient_accumulation_steps: 2 })));
    expectClose("pissa-two", "pissa");
  });

  test("ranks with other options, in one message", async () => {
    const own = (rank: number) => [`--lora_alpha=${16 + rank}`];
    const { code, stderr } = await ranks(2, train("options"), { own });
    expect(code).not.toBe(0);
    const message = "differs from rank 0 on";
    expect(stderr.split(message), stderr).toHaveLength(2);
    expect(stderr).toMatch(
      /^rank 0 of 2 on .*: error E_RANKS: Rank 1 on .*: --lora_alpha is 17, on rank 0 16\. Start all/m,
    );
  });

  test("a rank of another version, in one message", async () => {
    const other = work.path("other");
    mkdirSync(other);
    cpSync(join(root, "dist"), join(other, "dist"), { recursive: true });
    for (const name of ["node_modules", "build", "assets"]) symlinkSync(join(root, name), join(other, name));
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    writeFileSync(join(other, "package.json"), JSON.stringify({ ...manifest, version: "9.9.9" }));
    const program = (rank: number) => join(rank === 0 ? root : other, "dist/cli/main.js");
    const { code, stderr } = await ranks(2, train("versions"), { program });
    expect(code).not.toBe(0);
    expect(stderr.match(/it runs lowrank 9\.9\.9, rank 0 /g), stderr).toHaveLength(1);
  });

  test("a rank that cannot read its texts ends all, and is named", async () => {
    const own = (rank: number) =>
      rank === 1 ? [`--train_file=${work.path("none.jsonl")}`] : [`--train_file=${texts}`];
    const args = train("unread").filter((arg) => !arg.startsWith("--train_file"));
    const { code, stderr } = await ranks(2, args, { own });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^rank 1 of 2 on .*: error E_FILE_MISSING: .*none\.jsonl/m);
  });

  test("a rank whose memory does not suffice ends all, and is named", async () => {
    const own = (rank: number) => (rank === 1 ? ["--memory_limit=20MB"] : []);
    const { code, stderr } = await ranks(2, train("memory"), { own });
    expect(code).not.toBe(0);
    expect(stderr.match(/error E_[A-Z]+/g), stderr).toEqual(["error E_MEMORY"]);
    expect(stderr).toMatch(/^rank 1 of 2 on /m);
  });

  test.skipIf(noPreload !== null)(
    "a rank that runs out of memory in the middle of a run ends all, in one message",
    async () => {
      let refused = 0;
      const onOutput = (_: unknown, stderr: string) => {
        if (refused > 0 || !stderr.includes("step 3/")) return;
        refused = performance.now();
        writeFileSync(work.path("refuse"), "");
      };
      const args = train("full", { max_steps: 1_000_000, eval_strategy: "no" });
      const env = { LD_PRELOAD: work.path("no-memory.so"), NO_MEMORY: work.path("refuse") };
      const { code, stderr } = await ranks(2, args, { onOutput, env });
      expect(performance.now() - refused).toBeLessThan(5000);
      expect(code).not.toBe(0);
      expect(stderr.match(/error E_[A-Z]+/g), stderr).toEqual(["error E_MEMORY"]);
      expect(stderr).toMatch(/^rank 1 of 2 on \S+: error E_MEMORY: The system has no memory left/m);
    },
  );

  test("in fp16 steps that overflow are skipped by all ranks: the bits of one process", async () => {
    // A micro-batch a rank: the gradients of both are added in one order either way.
    const more = { precision: "fp16", loss_scale: 2 ** 24, loss_scale_window: 3, max_steps: 8, eval_strategy: "no" };
    await succeeds(lowrank(train("half", { ...more, gradient_accumulation_steps: 2 })));
    await succeeds(ranks(2, train("half-two", { ...more, gradient_accumulation_steps: 1 })));
    const read = (output: string) =>
      metrics(output).map(({ step, loss, grad_norm, loss_scale, skipped_steps }) => [
        step,
        loss,
        grad_norm,
        loss_scale,
        skipped_steps,
      ]);
    expect(read("half-two")).toEqual(read("half"));
    const skipped = metrics("half").map(({ skipped_steps }) => skipped_steps ?? 0);
    expect(Math.max(...skipped)).toBeGreaterThan(0);
    expect(Math.max(...skipped)).toBeLessThan(8);
    expect(adapter("half-two").equals(adapter("half"))).toBe(true);
  });

  test("a rank that hangs is named by the one that waits, and all end", async () => {
    let stopped: number | undefined;
    const onOutput = (_: unknown, stderr: string) => {
      if (stopped !== undefined || !stderr.includes("step 3/")) return;
      stopped = ranksOf(work.path("hangs"))[1];
      process.kill(stopped!, "SIGSTOP");
    };
    const args = train("hangs", { max_steps: 1_000_000, eval_strategy: "no", ddp_timeout: 8 });
    const { code, stderr } = await ranks(2, args, { onOutput });
    expect(code).not.toBe(0);
    expect(stderr.match(/error E_[A-Z]+/g), stderr).toEqual(["error E_TIMEOUT"]);
    expect(stderr).toMatch(
      /rank 0 on \S+ has waited for .* for longer than --ddp_timeout, and there is no answer from rank 1 on /,
    );
    expect(ranksOf(work.path("hangs")).filter(Boolean)).toEqual([]);
  });

  test("a rank that fails in the middle of a run ends all within five seconds", async () => {
    const copy = work.path("base");
    cpSync(tinyBase, copy, { recursive: true });
    let changed = 0;
    const onOutput = (_: unknown, stderr: string) => {
      if (changed > 0 || !stderr.includes("step 3/")) return;
      changed = performance.now();
      utimesSync(join(copy, "model.safetensors"), new Date(), new Date());
    };
    const own = (rank: number) => [`--base_model=${rank === 1 ? copy : tinyBase}`];
    const args = train("lost", { max_steps: 1_000_000, eval_strategy: "no" });
    const { code, stderr } = await ranks(
      2,
      args.filter((arg) => !arg.startsWith("--base_model")),
      { own, onOutput },
    );
    expect(performance.now() - changed).toBeLessThan(5000);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^rank 1 of 2 on .*: error E_FILE_CHANGED: /m);
  });
});
