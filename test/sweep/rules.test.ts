// The parts of a sweep apart from training: its grid, its runs' names, turns and stopping rules.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { defaultsOf, perAdapter, readGrid, trainRows, variantsOf } from "../../src/config/index.js";
import { Judge, type Rule } from "../../src/setup/sweep/judge.js";
import { type Candidate, recommend } from "../../src/setup/sweep/recommend.js";
import { sweepRuns } from "../../src/setup/sweep/runs.js";
import { Turns } from "../../src/trainer/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";

const folder = temporaryFolders();

describe("grids", () => {
  test("are every combination of lists, or a list of adapters", () => {
    const file = join(folder(), "grid.yaml");
    writeFileSync(file, "r: [4, 8]\nlearning_rate: [0.001, 3e-4]\nuse_dora: true\n");
    expect(readGrid(file)).toEqual([
      { lora_r: 4, learning_rate: 0.001, use_dora: true },
      { lora_r: 4, learning_rate: 3e-4, use_dora: true },
      { lora_r: 8, learning_rate: 0.001, use_dora: true },
      { lora_r: 8, learning_rate: 3e-4, use_dora: true },
    ]);
    writeFileSync(file, "- target_modules: [q_proj, v_proj]\n- lora_r: 16\n  rank_pattern: {down_proj: 4}\n");
    expect(readGrid(file)).toEqual([
      { target_modules: "q_proj,v_proj" },
      { lora_r: 16, rank_pattern: { down_proj: 4 } },
    ]);
  });

  test.each<[string, unknown, string]>([
    ["of the base", { lora_r: [4], precision: ["fp32"] }, "precision: the adapters of a sweep share the base"],
    ["of the texts", { max_seq_length: [32, 64] }, "max_seq_length: the adapters of a sweep share the base"],
    ["unknown", { lora_rank_of: [1] }, "lora_rank_of: unknown option"],
    ["without a value in range", { lora_r: [4, 0] }, "lora_r: expected a whole number"],
    ["twice under two names", [{ r: 4, lora_r: 8 }], "given beside another name of lora_r"],
    ["without values", { lora_r: [] }, "expected a list of values"],
    ["of nothing", [{}], "expected at least one option"],
    ["of a text", "4,8", "expected lists of values by option"],
    ["with the same adapter twice", { lora_r: [4, 4] }, "two adapters have the same options"],
    ["too large", { seed: Array.from({ length: 300 }, (_, i) => i) }, "more than 256 adapters"],
  ])("%s are refused", async (_, grid, message) => {
    const error = await errorOf(() => variantsOf(grid, "grid"));
    expect(error.code).toBe("E_USAGE");
    expect(error.message).toContain(message);
  });

  test("every option that may differ is one of training", () => {
    expect(perAdapter).toContain("lora_r");
    for (const name of perAdapter) expect(trainRows).toHaveProperty(name);
    for (const name of ["task", "max_seq_length", "optim", "max_steps", "init_adapter"])
      expect(perAdapter).not.toContain(name);
  });
});

test("each run has a folder, and a name in trackers, of its own", () => {
  const o = { ...defaultsOf(trainRows), output_dir: "out", train_file: ["t"] };
  const long = "x".repeat(100);
  const variants = [
    { lora_r: 4, learning_rate: 1e-3 },
    { target_modules: `(a|b)/${long}` },
    { target_modules: `(a|b)/${long}y` },
  ];
  const runs = sweepRuns(o, new Set(["seed"]), variants);
  expect(runs.map(({ name }) => name)).toEqual([
    "r4_learning_rate-0.001",
    `target_modules-a-b-${"x".repeat(61)}`,
    `target_modules-a-b-${"x".repeat(61)}.2`,
  ]);
  expect(runs[0]).toMatchObject({
    options: {
      output_dir: "out/r4_learning_rate-0.001",
      run_name: "out-r4_learning_rate-0.001",
      lora_r: 4,
      num_samples: 0,
    },
  });
  expect([...runs[0]!.given]).toEqual(["seed", "lora_r", "learning_rate"]);
});

describe("the recommended adapter", () => {
  const by = (...values: [rank: number | null, value: number][]): Candidate[] =>
    values.map(([rank, value], i) => {
      const size = rank ?? i + 1;
      return { run: `r${size}`, rank, value, parameters: size * 1000, bytes: size * 4000 };
    });

  test("is the smallest within 0.5 % of the best, with the reason in words", () => {
    expect(recommend(by([64, 2], [2, 2.1], [8, 2.009], [16, 2.001]), "eval_loss")).toEqual({
      run: "r8",
      reason:
        "it is the smallest within 0.5 % of the best: eval_loss 2.0090 with 31.3 KiB, r64 has eval_loss 2.0000 with 250.0 KiB",
      next_ranks: [],
    });
    expect(recommend(by([8, 2], [4, 2.02], [16, 2.1]), "eval_loss")).toEqual({
      run: "r8",
      reason: "it is the best (eval_loss 2.0000), and no smaller one is within 0.5 % of the best",
      next_ranks: [],
    });
    expect(recommend(by([null, 0.89], [null, 0.897], [null, 0.9]), "eval_accuracy")).toMatchObject({ run: "r2" });
    expect(recommend([], "eval_loss")).toBeNull();
  });

  test("is held against the limit of larger ranks, where the largest is the best", () => {
    // 2 + 0.04 / 2^n: 8 is within 0.5 % of 16, but not of the limit.
    expect(recommend(by([4, 2.04], [8, 2.02], [16, 2.01]), "eval_loss")).toEqual({
      run: "r16",
      reason:
        "it is the best (eval_loss 2.0100), and no smaller one is within 0.5 % of eval_loss 2.0000, to which larger ranks tend",
      next_ranks: [],
    });
    expect(recommend(by([4, 2.004], [8, 2.002], [16, 2.001]), "eval_loss")).toMatchObject({
      run: "r4",
      next_ranks: [],
    });
  });

  test("comes with larger ranks to try, where the gain has not ended", () => {
    const further = { run: "r16", next_ranks: [32, 64] };
    expect(recommend(by([4, 2.4], [8, 2.2], [16, 2.1]), "eval_loss")).toMatchObject({
      ...further,
      reason: expect.stringContaining("larger ranks tend to eval_loss 2.0000"),
    });
    const unknown = { ...further, reason: expect.stringContaining("no larger rank was tried") };
    expect(recommend(by([4, 2.4], [8, 2.3], [16, 2.1]), "eval_loss"), "a growing gain").toMatchObject(unknown);
    expect(recommend(by([8, 2.3], [16, 2.1]), "eval_loss"), "two ranks").toMatchObject(unknown);
    expect(recommend(by([8, 2.001], [16, 2]), "eval_loss"), "two ranks alike").toMatchObject({
      run: "r8",
      next_ranks: [],
    });
    expect(recommend(by([8, 0.5], [16, 0.6]), "eval_accuracy"), "larger is better").toMatchObject(unknown);
  });
});

describe("turns", () => {
  test("go round, and a run that waits for something else is left out", async () => {
    const turns = new Turns();
    const seen: string[] = [];
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const run = async (name: string) => {
      const turn = turns.join();
      await turn.take();
      for (let step = 1; step <= 3; step++) {
        seen.push(name + step);
        if (name === "b" && step === 1) await turn.during(() => gate);
        else await turn.pass();
        if (name === "c" && step === 2) open();
      }
      turn.give();
    };
    await Promise.all(["a", "b", "c"].map(run));
    expect(seen).toEqual(["a1", "b1", "c1", "a2", "c2", "a3", "c3", "b2", "b3"]);
  });

  test("a run's clock stands still while others have the turn", async () => {
    const turns = new Turns();
    const [mine, other] = [turns.join(), turns.join()];
    await mine.take();
    const before = mine.now();
    const others = other.take().then(async () => {
      const end = performance.now() + 50;
      while (performance.now() < end) await Promise.resolve();
      other.give();
    });
    await mine.pass();
    await others;
    expect(mine.now() - before).toBeLessThan(40);
  });
});

describe("stopping rules", () => {
  const halving: Rule = { kind: "successive_halving", factor: 2, grace: 1 };

  /** Evaluations in turn, of the runs that go on. @returns the number that each run has had */
  async function played(judge: Judge, losses: number[][], had: readonly number[] = []): Promise<number[]> {
    const counts = losses.map((_, run) => had[run] ?? 0);
    const play = async (run: number) => {
      for (let goesOn = await judge.goesOn(run); goesOn && counts[run]! < losses[run]!.length; ) {
        goesOn = await judge.note(run, losses[run]![counts[run]!++]!);
      }
      judge.leave(run);
    };
    await Promise.all(losses.map((_, run) => play(run)));
    return counts;
  }

  const LOSSES = [
    [5, 4, 3, 2, 1],
    [4, 4, 4, 4, 4],
    [6, 5, 4, 3, 2],
    [3, 3.5, 3.4, 3.3, 3.2],
    [9, 1, 1, 1, 1],
  ];

  test("successive halving keeps the best half, rounded up, after 1, 2, 4 evaluations", async () => {
    // Three of five after one evaluation (3, 4, 5), two of three after two (3, 4 before another 4), one of two after four.
    expect(
      await played(
        new Judge(
          halving,
          "eval_loss",
          LOSSES.map(() => []),
        ),
        LOSSES,
      ),
    ).toEqual([5, 2, 1, 4, 1]);
  });

  test("a third, after the grace of two evaluations; where larger is better the largest", async () => {
    const rule: Rule = { kind: "successive_halving", factor: 3, grace: 2 };
    const empty = LOSSES.map(() => []);
    expect(await played(new Judge(rule, "eval_loss", empty), LOSSES)).toEqual([2, 2, 2, 5, 5]);
    expect(await played(new Judge(rule, "eval_accuracy", empty), LOSSES)).toEqual([2, 2, 5, 2, 5]);
  });

  test("median stops a run whose best is worse than the median of the others' means", async () => {
    const losses = [
      [5, 4, 3],
      [5, 4, 3],
      [9, 8, 7],
      [9, 2, 2],
    ];
    const rule: Rule = { kind: "median", factor: 2, grace: 2 };
    // After two: 8 is above 4.5, the median of 4.5, 4.5 and 5.5.
    expect(
      await played(
        new Judge(
          rule,
          "eval_loss",
          losses.map(() => []),
        ),
        losses,
      ),
    ).toEqual([3, 3, 2, 3]);
    expect(
      await played(
        new Judge(
          { ...rule, kind: "none" },
          "eval_loss",
          losses.map(() => []),
        ),
        losses,
      ),
    ).toEqual([3, 3, 3, 3]);
  });

  test("runs that go on are judged as if they had not been interrupted, wherever each of them was", async () => {
    for (const had of [
      [1, 1, 1, 1, 1],
      [0, 1, 1, 1, 0],
      [2, 2, 1, 3, 1],
      [3, 2, 1, 4, 1],
    ]) {
      const begun = had.map((count, run) => LOSSES[run]!.slice(0, count));
      expect(await played(new Judge(halving, "eval_loss", begun), LOSSES, had)).toEqual([5, 2, 1, 4, 1]);
    }
  });

  test("nobody waits for a run that failed, or after the end", async () => {
    const judge = new Judge(halving, "eval_loss", [[], [], []]);
    const waiting = judge.note(0, 1);
    judge.leave(1);
    const last = judge.note(2, 2);
    expect(await Promise.all([waiting, last])).toEqual([true, false]);
    const other = new Judge(halving, "eval_loss", [[], []]);
    const alone = other.note(0, 1);
    other.end();
    expect(await alone).toBe(true);
  });
});
