// sweep() of the library: the adapters of trainers, events by run, refusals, and an end at any time.
import { existsSync, readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { Model, type SweepEvent, type SweepOptions, sweep, Trainer } from "../../src/index.js";
import { errorOf } from "../support/folders.js";
import { tinyBase, workFolder } from "../support/tiny.js";

const work = workFolder("library-sweep");
afterAll(() => work.remove());

const texts = Array.from(
  { length: 24 },
  (_, i) => `The ${i} people of the United States, ${i * i} in number, are ${i % 3} times free.`,
);
const SMALL = {
  train: texts,
  max_seq_length: 24,
  per_device_train_batch_size: 2,
  max_steps: 4,
  eval_steps: 2,
  learning_rate: 1e-2,
};

async function all(events: AsyncIterable<SweepEvent>): Promise<SweepEvent[]> {
  const found: SweepEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}

test("gives the adapters of trainers, bit for bit, and tells the result", async () => {
  await using model = await Model.open(tinyBase, { threads: 1 });
  const output_dir = work.path("sweep");
  const grid = [{ lora_r: 2 }, { lora_r: 4, use_rslora: true }];
  const events = await all(sweep(model, { ...SMALL, grid, output_dir }));
  const names = ["r2", "r4_use_rslora-true"];
  for (const [i, name] of names.entries()) {
    const alone = work.path(`alone-${i}`);
    await using trainer = await Trainer.create(model, { ...SMALL, ...grid[i], output_dir: alone });
    for await (const { type } of trainer.run()) expect(type).not.toBe("sample");
    const weights = (folder: string) => readFileSync(`${folder}/adapter_model.safetensors`);
    expect(weights(`${output_dir}/${name}`).equals(weights(alone))).toBe(true);
  }
  const end = events.at(-1)!;
  expect(end).toMatchObject({
    type: "end",
    run: null,
    runs: [{ run: names[0] }, { run: names[1], status: "finished" }],
  });
  expect(names).toContain(end.type === "end" && "best" in end ? end.best : null);
  expect(JSON.parse(readFileSync(`${output_dir}/sweep.json`, "utf8")).best).toBe("best" in end && end.best);
  expect(new Set(events.map(({ run }) => run))).toEqual(new Set([...names, null]));
});

test("ends where its reader leaves, where it is told to stop, and where its signal is raised", async () => {
  await using model = await Model.open(tinyBase, { threads: 1 });
  const options = (name: string) => ({ ...SMALL, ranks: [2, 4], output_dir: work.path(name) });
  for await (const { type } of sweep(model, options("left"))) if (type === "step") break;
  expect(existsSync(work.path("left/sweep.json"))).toBe(false);

  const stop = new AbortController();
  const events: SweepEvent[] = [];
  for await (const event of sweep(model, { ...options("stopped"), stop: stop.signal })) {
    events.push(event);
    if (event.type === "step") stop.abort();
  }
  expect(events.at(-1)).toMatchObject({
    type: "end",
    best: null,
    runs: [{ status: "interrupted" }, { status: "interrupted" }],
  });

  const abort = new AbortController();
  const reason = new Error("enough");
  const run = async () => {
    for await (const { type } of sweep(model, { ...options("aborted"), signal: abort.signal }))
      if (type === "step") abort.abort(reason);
  };
  await expect(run()).rejects.toBe(reason);
});

test.each<[Partial<SweepOptions>, string]>([
  [{ ranks: [2], output_dir: undefined as never }, "output_dir: missing"],
  [{}, "Expected one of ranks and grid"],
  [{ grid: { precision: ["fp32"] } }, "precision: the adapters of a sweep share the base"],
  [{ ranks: [0] }, "ranks: expected whole numbers"],
  [{ ranks: [2], resume: "elsewhere" }, "a sweep goes on in its own folder"],
])("refuses %o", async (more, message) => {
  await using model = await Model.open(tinyBase, { threads: 1 });
  const error = await errorOf(() => all(sweep(model, { ...SMALL, output_dir: work.path("refused"), ...more })));
  expect(error.code).toBe("E_USAGE");
  expect(error.message).toContain(message);
});
