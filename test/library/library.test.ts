// Model, Trainer and loadAdapter: their results, and their refusals by state.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { LowrankError, loadAdapter, Model, type RunEvent, Trainer, type TrainerOptions } from "../../src/index.js";
import { Engine } from "../../src/native/index.js";
import { errorOf } from "../support/folders.js";
import { lowrank, someTexts, steadyMetrics, tinyBase, workFolder } from "../support/tiny.js";

const work = workFolder("library");
afterAll(() => work.remove());

const file = someTexts(work.path("texts.jsonl"), 40);
const texts: string[] = readFileSync(file, "utf8")
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line).text);
const SMALL = {
  lora_r: 4,
  lora_alpha: 8,
  max_seq_length: 48,
  per_device_train_batch_size: 4,
  gradient_accumulation_steps: 2,
  max_steps: 3,
  learning_rate: 1e-2,
  logging_steps: 1,
  lora_dropout: 0.1,
} as const;

async function all(run: AsyncIterable<RunEvent>): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of run) events.push(event);
  return events;
}

const types = (events: RunEvent[]) => events.map(({ type }) => type);
const open = () => Model.open(tinyBase, { threads: 2 });
const make = (model: Model, more: TrainerOptions = {}) => Trainer.create(model, { train: texts, ...SMALL, ...more });
const bytesOf = async (trainer: Trainer) =>
  Buffer.concat([...(await trainer.adapter()).tensors.values()].map(({ data }) => Buffer.from(data.buffer)));

describe("a run", () => {
  test("events in order, and an adapter that has learned", async () => {
    await using model = await open();
    await using trainer = await make(model);
    const before = await trainer.evaluate();
    const first = await bytesOf(trainer);
    const events = await all(trainer.run());
    expect(types(events).filter((type) => type !== "evaluating")).toEqual([
      ...["start", "step", "step", "step", "eval", "best", "end"],
    ]);
    expect(events.at(-1)).toMatchObject({ type: "end", steps: 3, aborted: false });
    expect((await trainer.evaluate()).eval_loss).toBeLessThan(before.eval_loss);
    expect((await bytesOf(trainer)).equals(first)).toBe(false);
    expect(trainer.state).toBe("idle");
  });

  test("is the command's: same options, same bytes, same files", async () => {
    const flags = Object.entries(SMALL).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const output = work.path("by-command");
    const args = ["--base_model", tinyBase, "--train_file", file, "--output_dir", output, "--no-merge"];
    const { code, stderr } = await lowrank(["train", ...args, ...flags, "--save_steps", "2", "--threads", "2"]);
    expect(code, stderr).toBe(0);
    await using model = await open();
    const own = work.path("by-library");
    await using trainer = await Trainer.create(model, { train_file: [file], ...SMALL, save_steps: 2, output_dir: own });
    const events = await all(trainer.run());
    expect(types(events).filter((type) => type === "checkpoint")).toHaveLength(2);
    for (const name of ["adapter_model.safetensors", "adapter_config.json", "checkpoint-2/optimizer.safetensors"]) {
      expect(readFileSync(`${own}/${name}`).equals(readFileSync(`${output}/${name}`)), name).toBe(true);
    }
    expect(steadyMetrics(own)).toEqual(steadyMetrics(output));
    const files = (folder: string) => readdirSync(folder).filter((name) => name !== "train.log");
    expect(files(own).sort()).toEqual(files(output).sort());
    // Texts in memory are the same texts.
    await using other = await make(model);
    await all(other.run());
    expect((await bytesOf(other)).equals(await bytesOf(trainer))).toBe(true);
  });

  test.each([undefined, Number.MAX_SAFE_INTEGER])(
    "samples at its end, where they are asked for; seed %s",
    async (seed) => {
      await using model = await open();
      await using trainer = await make(model, { samples: true, seed });
      const events = await all(trainer.run());
      expect(
        types(events)
          .filter((type) => type !== "sampling")
          .slice(-4),
      ).toEqual(["sample", "sample", "sample", "end"]);
      for (const event of events) if (event.type === "sample") expect(event.sample.prompt.length).toBeGreaterThan(0);
    },
  );

  test("writes nothing without output_dir", async () => {
    const before = readdirSync(process.cwd());
    await using model = await open();
    await using trainer = await make(model);
    await all(trainer.run());
    expect(readdirSync(process.cwd())).toEqual(before);
    await trainer.save(work.path("saved"));
    const adapter = await loadAdapter(model, work.path("saved"));
    const own = await trainer.adapter();
    expect(adapter.spec).toMatchObject({ rank: 4, alpha: 8 });
    for (const [name, { data }] of own.tensors) expect(adapter.tensors.get(name)!.data, name).toEqual(data);
  });

  test("as many samples as are asked for, of so many tokens, with their progress", async () => {
    await using model = await open();
    const short = { samples: true, max_steps: 1, sample_max_new_tokens: 5 };
    await using trainer = await make(model, { ...short, num_samples: 2 });
    const events = await all(trainer.run());
    expect(types(events).filter((type) => type === "sample")).toHaveLength(2);
    const progress = events.flatMap((event) => (event.type === "sampling" ? [event] : []));
    expect(progress.length).toBeGreaterThan(2);
    expect(progress.every(({ done, total }, i) => total === 10 && done > (progress[i - 1]?.done ?? 0))).toBe(true);
    await using silent = await make(model, { ...short, num_samples: 0 });
    expect(types(await all(silent.run()))).not.toContain("sample");
  });

  test("resumes where another ended, bit for bit", async () => {
    await using model = await open();
    const whole = await make(model, { max_steps: 4, save_steps: 2, output_dir: work.path("whole") });
    await all(whole.run());
    const output = work.path("halves");
    const half = await make(model, { max_steps: 4, save_steps: 2, output_dir: output, resume: "auto" });
    for await (const event of half.run()) if (event.type === "step" && event.step === 2) half.stop();
    await half.close();
    const rest = await make(model, { max_steps: 4, save_steps: 2, output_dir: output, resume: "auto" });
    const events = await all(rest.run());
    expect(events.flatMap((event) => (event.type === "step" ? [event.step] : []))).toEqual([3, 4]);
    const same = readFileSync(work.path("halves/adapter_model.safetensors"));
    expect(same.equals(readFileSync(work.path("whole/adapter_model.safetensors")))).toBe(true);
    await Promise.all([whole.close(), rest.close()]);
  });

  test("warns of what the command warns of, and holds the checkpoint it will go on from", async () => {
    await using model = await open();
    const output = work.path("prepared");
    const first = await make(model, { max_steps: 4, save_steps: 2, output_dir: output });
    for await (const event of first.run()) if (event.type === "step" && event.step === 2) first.stop();
    const written = await bytesOf(first);
    await first.close();
    const max_seq_length = 2 * model.config.maxPositions;
    await using long = await make(model, { max_seq_length, per_device_train_batch_size: 1 });
    const warnings: string[] = [];
    for await (const event of long.run()) {
      if (event.type === "warning") warnings.push(event.message);
      if (event.type === "step") break;
    }
    expect(warnings).toContain(
      `max_seq_length ${max_seq_length} is more than the ${model.config.maxPositions} tokens that the base model was made for`,
    );
    // Texts that come while another run is asked for: from the first one on, the folder is this run's.
    let other: Promise<LowrankError> | undefined;
    const again = { max_steps: 4, save_steps: 2, output_dir: output, resume: "latest" };
    async function* slowly() {
      for (const text of texts) {
        other ??= errorOf(() => make(model, again));
        await other;
        yield text;
      }
    }
    await using second = await make(model, { ...again, train: slowly() });
    expect((await other!).code).toBe("E_OUTPUT_LOCKED");
    // Before its run it has the checkpoint's state.
    expect((await bytesOf(second)).equals(written)).toBe(true);
    expect(types(await all(second.run())).filter((type) => type === "step")).toHaveLength(2);
  });

  test("the model writes between steps, with the adapter as it is", async () => {
    await using model = await open();
    await using trainer = await make(model, { learning_rate: 0.05 });
    const written: string[] = [];
    const write = async () => {
      let text = "";
      for await (const piece of trainer.generate("Take a pound of", { temperature: 0, max_new_tokens: 12 }))
        text += piece;
      return text;
    };
    let losses = 0;
    for await (const event of trainer.run()) {
      if (event.type !== "step") continue;
      expect(trainer.state).toBe("paused");
      written.push(await write());
      losses += Number((await trainer.evaluate()).eval_loss > 0);
    }
    expect([written.length, losses]).toEqual([3, 3]);
    expect(new Set(written).size).toBeGreaterThan(1);
    // A run that is looked at is the run that nobody looks at.
    await using unseen = await make(model, { learning_rate: 0.05 });
    await all(unseen.run());
    expect((await bytesOf(unseen)).equals(await bytesOf(trainer))).toBe(true);
  });

  test("texts that wait are written between steps, and change nothing", async () => {
    await using model = await open();
    await using trainer = await make(model, { max_steps: 6 });
    const log: string[] = [];
    const write = async (name: string, signal?: AbortSignal) => {
      let text = "";
      const options = { temperature: 0, max_new_tokens: 4, wait: true, signal };
      for await (const piece of trainer.generate("Take", options)) {
        log.push(name);
        expect(trainer.state).toBe("working");
        text += piece;
      }
      return text;
    };
    const run = trainer.run();
    await run.next();
    const second = run.next();
    expect(trainer.state).toBe("running");
    const none = new AbortController();
    const texts = [write("a"), write("b"), write("nobody", none.signal)];
    none.abort();
    // The reader asks for more at once: the run goes on when the first text is written, and lets in the other one later.
    await second;
    for await (const event of run) if (event.type === "step") log.push("step");
    const [a, b, nothing] = await Promise.all(texts);
    expect([a!.length > 0, b!.length > 0, nothing]).toEqual([true, true, ""]);
    expect(log.filter((name) => name === "step").length).toBeGreaterThan(4);
    // Neither text is interrupted by a step.
    for (const name of ["a", "b"]) {
      expect(log.slice(log.indexOf(name), log.lastIndexOf(name) + 1)).not.toContain("step");
    }
    await using unseen = await make(model, { max_steps: 6 });
    await all(unseen.run());
    expect((await bytesOf(unseen)).equals(await bytesOf(trainer))).toBe(true);
    expect(await write("after")).not.toBe("");
  });

  test("texts that wait are refused where a run fails or the trainer is closed, and outlast a reader who leaves", async () => {
    await using model = await open();
    const waiting = async (trainer: Trainer) => {
      for await (const _ of trainer.generate("Take", { max_new_tokens: 2, wait: true }));
    };
    const started = async (more: TrainerOptions) => {
      const trainer = await make(model, more);
      const run = trainer.run();
      await run.next();
      const next = run.next();
      next.catch(() => {});
      return { trainer, run, next, text: waiting(trainer) };
    };
    const closed = await started({ max_steps: 100_000, gradient_accumulation_steps: 64 });
    const refused = errorOf(() => closed.text);
    await closed.trainer.close();
    expect((await refused).code).toBe("E_CLOSED");
    const broken = await started({ learning_rate: 1e30, max_steps: 20, max_grad_norm: 0 });
    await broken.text;
    await broken.next;
    const last = all(broken.run).then(
      () => undefined,
      (error) => error.code,
    );
    const late: string[] = [];
    while (late.at(-1) !== "E_BROKEN") {
      late.push(
        await waiting(broken.trainer).then(
          () => "ok",
          (error) => error.code,
        ),
      );
    }
    expect([await last, new Set(late).size]).toEqual(["E_NAN", 2]);
    await broken.trainer.close();
    const left = await started({ max_steps: 100_000 });
    await left.next;
    const again = waiting(left.trainer);
    await left.run.return();
    await Promise.all([left.text, again]);
    expect(left.trainer.state).toBe("idle");
  });

  test("two at once give the bits of one after the other", async () => {
    await using model = await open();
    const seeds = [1, 2];
    const alone: Buffer[] = [];
    for (const seed of seeds) {
      await using trainer = await make(model, { seed });
      await all(trainer.run());
      alone.push(await bytesOf(trainer));
    }
    const both = await Promise.all(seeds.map((seed) => make(model, { seed })));
    await Promise.all(both.map((trainer) => all(trainer.run())));
    for (const [i, trainer] of both.entries()) expect((await bytesOf(trainer)).equals(alone[i]!)).toBe(true);
    expect(alone[0]!.equals(alone[1]!)).toBe(false);
  });
});

describe("ending a run", () => {
  test("a signal: its reason, no step more, and the trainer stays usable", async () => {
    await using model = await open();
    await using trainer = await make(model, { max_steps: 1000, output_dir: work.path("aborted") });
    const controller = new AbortController();
    const steps: number[] = [];
    const run = async () => {
      for await (const event of trainer.run({ signal: controller.signal })) {
        if (event.type === "step") steps.push(event.step);
        if (steps.length === 2) controller.abort(new Error("enough"));
      }
    };
    await expect(run()).rejects.toThrow("enough");
    expect(steps).toEqual([1, 2]);
    expect(trainer.state).toBe("idle");
    expect((await trainer.evaluate()).eval_loss).toBeGreaterThan(0);
    expect(existsSync(work.path("aborted/adapter_model.safetensors"))).toBe(false);
    const early = new AbortController();
    early.abort(new Error("before"));
    await using other = await make(model);
    await expect(all(other.run({ signal: early.signal }))).rejects.toThrow("before");
  });

  test("a signal within a step of eight micro-batches: the fifth ends, and no other begins", async () => {
    await using model = await open();
    await using trainer = await make(model, { gradient_accumulation_steps: 8 });
    const controller = new AbortController();
    const { forwardBackward } = Engine.prototype;
    const begun = vi.spyOn(Engine.prototype, "forwardBackward").mockImplementation(function (this: Engine, ...batch) {
      const result = forwardBackward.apply(this, batch);
      if (begun.mock.calls.length === 5) controller.abort(new Error("now"));
      return result;
    });
    onTestFinished(() => begun.mockRestore());
    await expect(all(trainer.run({ signal: controller.signal }))).rejects.toThrow("now");
    expect(begun).toHaveBeenCalledTimes(5);
    expect(trainer.state).toBe("idle");
  });

  test("stop finishes the step, saves and says so", async () => {
    await using model = await open();
    const output = work.path("stopped");
    await using trainer = await make(model, { max_steps: 1000, output_dir: output });
    const events: RunEvent[] = [];
    for await (const event of trainer.run()) {
      events.push(event);
      if (event.type === "step" && event.step === 2) trainer.stop();
    }
    expect(events.at(-1)).toMatchObject({ type: "end", steps: 2, aborted: true });
    expect(readdirSync(output)).toContain("checkpoint-2");
    expect(readdirSync(output).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("leaving the loop ends it, and frees the output folder", async () => {
    await using model = await open();
    const output = work.path("left");
    await using trainer = await make(model, { max_steps: 1000, output_dir: output });
    for await (const event of trainer.run()) if (event.type === "step") break;
    expect(trainer.state).toBe("idle");
    await using second = await make(model, { output_dir: output, overwrite_output_dir: true });
    expect(types(await all(second.run()))).toContain("end");
  });

  test("a run that diverges breaks the trainer, which can be closed", async () => {
    await using model = await open();
    await using trainer = await make(model, { learning_rate: 1e30, max_steps: 20, max_grad_norm: 0 });
    const error = await errorOf(() => all(trainer.run()));
    expect([error.code, trainer.state]).toEqual(["E_NAN", "broken"]);
    expect((await errorOf(() => trainer.evaluate())).code).toBe("E_BROKEN");
  });

  test("an exception of the reader ends the run and reaches the caller", async () => {
    await using model = await open();
    await using trainer = await make(model, { max_steps: 1000 });
    const run = async () => {
      for await (const event of trainer.run()) if (event.type === "step") throw new Error("mine");
    };
    await expect(run()).rejects.toThrow("mine");
    expect(trainer.state).toBe("idle");
  });
});

describe("state by method", () => {
  const METHODS: Record<string, (trainer: Trainer) => Promise<unknown>> = {
    run: (trainer) => all(trainer.run()),
    generate: async (trainer) => {
      for await (const _ of trainer.generate("Take", { max_new_tokens: 2 }));
    },
    evaluate: (trainer) => trainer.evaluate(),
    adapter: (trainer) => trainer.adapter(),
    save: (trainer) => trainer.save(work.path("matrix")),
    close: (trainer) => trainer.close(),
  };

  /** Puts a trainer into a state, calls `then` in it, and lets everything end. */
  const STATES: Record<string, (model: Model, then: (trainer: Trainer) => Promise<void>) => Promise<void>> = {
    idle: async (model, then) => {
      await then(await make(model));
    },
    "idle, after its run": async (model, then) => {
      const trainer = await make(model);
      await all(trainer.run());
      await then(trainer);
    },
    running: async (model, then) => {
      const trainer = await make(model, { max_steps: 100_000 });
      const run = trainer.run();
      await run.next();
      const next = run.next();
      next.catch(() => {});
      expect(trainer.state).toBe("running");
      await then(trainer);
      await trainer.close();
      await run.return();
    },
    paused: async (model, then) => {
      const trainer = await make(model);
      const run = trainer.run();
      await run.next();
      expect(trainer.state).toBe("paused");
      await then(trainer);
      await run.return();
    },
    working: async (model, then) => {
      const trainer = await make(model);
      const other = trainer.evaluate();
      other.catch(() => {});
      expect(trainer.state).toBe("working");
      await then(trainer);
    },
    broken: async (model, then) => {
      const trainer = await make(model, { learning_rate: 1e30, max_steps: 20, max_grad_norm: 0 });
      await all(trainer.run()).catch(() => {});
      expect(trainer.state).toBe("broken");
      await then(trainer);
    },
    closed: async (model, then) => {
      const trainer = await make(model);
      await trainer.close();
      await then(trainer);
    },
  };

  /** The error's code, or ok. */
  const EXPECTED: Record<string, Record<string, string>> = {
    idle: { run: "ok", generate: "ok", evaluate: "ok", adapter: "ok", save: "ok", close: "ok" },
    "idle, after its run": { run: "E_STATE", generate: "ok", evaluate: "ok", adapter: "ok", save: "ok", close: "ok" },
    running: { run: "E_BUSY", generate: "E_BUSY", evaluate: "E_BUSY", adapter: "E_BUSY", save: "E_BUSY", close: "ok" },
    paused: { run: "E_BUSY", generate: "ok", evaluate: "ok", adapter: "ok", save: "ok", close: "ok" },
    working: { run: "E_BUSY", generate: "E_BUSY", evaluate: "E_BUSY", adapter: "E_BUSY", save: "E_BUSY", close: "ok" },
    broken: {
      run: "E_BROKEN",
      generate: "E_BROKEN",
      evaluate: "E_BROKEN",
      adapter: "E_BROKEN",
      save: "E_BROKEN",
      close: "ok",
    },
    closed: {
      run: "E_CLOSED",
      generate: "E_CLOSED",
      evaluate: "E_CLOSED",
      adapter: "E_CLOSED",
      save: "E_CLOSED",
      close: "ok",
    },
  };

  // One for all cells: none changes it.
  let model: Model;
  beforeAll(async () => {
    model = await open();
  });
  afterAll(() => model.close());

  const cells = Object.keys(STATES).flatMap((state) => Object.keys(METHODS).map((method) => [state, method] as const));
  test.each(cells)("%s: %s", async (state, method) => {
    await STATES[state]!(model, async (trainer) => {
      const found = await METHODS[method]!(trainer).then(
        () => "ok",
        (error) => (error instanceof LowrankError ? error.code : String(error)),
      );
      expect(found).toBe(EXPECTED[state]![method]);
      await trainer.close();
      expect(trainer.state).toBe("closed");
    });
  });
});

describe("misuse", () => {
  test("options: everything that is wrong in one message", async () => {
    await using model = await open();
    const wrong = { train: texts, lora_rnk: 4, learning_rate: -1, lora_rank: 1.5 } as unknown as TrainerOptions;
    const { code, message } = await errorOf(() => Trainer.create(model, wrong));
    expect(code).toBe("E_USAGE");
    expect(message).toContain("3 problems");
    expect(message).toContain("lora_rnk: unknown option (did you mean lora_r?)");
    expect(message).toContain("learning_rate: expected a number of at least 0, found -1");
    expect(message).toContain("lora_rank: expected a whole number");
    expect(message).not.toContain("--");
    for (const [given, part] of [
      [{}, "train: missing"],
      [{ train: texts, train_file: [file] }, "both given"],
      [{ train: file }, "or files in train_file, found"],
      [{ train: texts, resume: "latest" }, "resume: expected output_dir"],
      [{ train: [...texts, 3] }, "text 41 is 3"],
      [{ train: texts, base_model: "x" }, "base_model"],
    ] as [TrainerOptions, string][]) {
      expect((await errorOf(() => Trainer.create(model, given))).message, part).toContain(part);
    }
  });

  test("a model that is not there, and one that is closed", async () => {
    expect((await errorOf(() => Model.open("/nowhere"))).message).toContain("/nowhere");
    expect((await errorOf(() => Model.open(tinyBase, { threads: 0 }))).message).toContain(
      "threads: expected a whole number from 1 to 1024, found 0",
    );
    const model = await open();
    const trainer = await make(model);
    await model.close();
    await model.close();
    expect(trainer.state).toBe("closed");
    // Before anything is read.
    const unread = { train: undefined, train_file: ["/nowhere.jsonl"] };
    for (const more of [{}, unread]) expect((await errorOf(() => make(model, more))).code).toBe("E_CLOSED");
    expect((await errorOf(() => loadAdapter(model, "/nowhere"))).code).toBe("E_CLOSED");
    expect((await errorOf(() => model.evaluate(texts))).code).toBe("E_CLOSED");
  });

  test("two trainers on one output folder", async () => {
    await using model = await open();
    const output = work.path("shared");
    await using first = await make(model, { output_dir: output });
    await using second = await make(model, { output_dir: output });
    const run = first.run();
    for await (const event of run) {
      if (event.type !== "step") continue;
      expect((await errorOf(() => all(second.run()))).code).toBe("E_OUTPUT_LOCKED");
      break;
    }
  });

  test("prompts that cannot be", async () => {
    await using model = await open();
    const write = async (prompt: unknown, options = {}) => {
      for await (const _ of model.generate(prompt as string, options));
    };
    expect((await errorOf(() => write(3))).code).toBe("E_PROMPT");
    expect((await errorOf(() => write("word ".repeat(5000)))).code).toBe("E_CONTEXT");
    expect((await errorOf(() => write("a", { top_p: 0 }))).message).toContain(
      "top_p: expected a number of at most 1 and above 0, found 0",
    );
    expect((await errorOf(() => write("a", { temperature: -1 }))).message).toContain(
      "temperature: expected a number of at least 0, found -1",
    );
  });
});

describe("a model", () => {
  test("writes and evaluates with an adapter and without", async () => {
    await using model = await open();
    await using trainer = await make(model, { learning_rate: 0.05 });
    await all(trainer.run());
    await trainer.save(work.path("adapted"));
    const adapter = await loadAdapter(model, work.path("adapted"));
    const plain = await model.evaluate(texts, { max_seq_length: 48 });
    const adapted = await model.evaluate(texts, { max_seq_length: 48, adapter });
    expect(adapted.eval_loss).toBeLessThan(plain.eval_loss);
    const write = async (options = {}) => {
      let text = "";
      for await (const piece of model.generate("Take a", { temperature: 0, max_new_tokens: 10, ...options }))
        text += piece;
      return text;
    };
    const [one, again, other] = await Promise.all([write(), write(), write({ adapter })]);
    expect(one).toBe(again);
    expect(one.length).toBeGreaterThan(0);
    expect(other).not.toBe(one);
    // Prompts together, two at a time: each as alone, with the seed of its place.
    const prompts = ["Take a", "Boil", "Take a pound of butter and", "Cut"];
    const wanted = { temperature: 0.9, max_new_tokens: 9, adapter };
    const together = [];
    for await (const found of model.generateTexts(prompts, { ...wanted, seed: 3, batch_size: 2 })) together.push(found);
    const alone = [];
    for (const [i, prompt] of prompts.entries()) {
      let text = "";
      for await (const piece of model.generate(prompt, { ...wanted, seed: 3 + i })) text += piece;
      alone.push(text);
    }
    expect(together.map(({ text }) => text)).toEqual(alone);
  });
});
