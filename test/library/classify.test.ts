// Classifiers trained by the library: rows in memory and files, their refusals, and the classes that they give.
import { writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { Model, type RunEvent, Trainer, type TrainerOptions } from "../../src/index.js";
import { errorOf } from "../support/folders.js";
import { tinyBase, workFolder } from "../support/tiny.js";

const work = workFolder("library-classify");
afterAll(() => work.remove());

const rows = Array.from({ length: 24 }, (_, i) => ({
  text: `${i} is ${i % 2 ? "good" : "bad"}`,
  label: i % 2 ? "yes" : "no",
}));
const file = work.path("rows.jsonl");
writeFileSync(file, rows.map((row) => JSON.stringify(row)).join("\n"));

const SMALL: TrainerOptions = {
  task: "seq-cls",
  learning_rate: 3e-3,
  num_train_epochs: 6,
  per_device_train_batch_size: 8,
  gradient_accumulation_steps: 1,
  max_seq_length: 32,
};
const open = () => Model.open(tinyBase, { precision: "fp32", threads: 1 });

async function trained(trainer: Trainer): Promise<Extract<RunEvent, { type: "end" }>> {
  let last: RunEvent | undefined;
  for await (const event of trainer.run()) last = event;
  if (last?.type !== "end") throw new Error("the run has no end");
  return last;
}

describe("a classifier", () => {
  test("of rows in memory learns two words apart, and is the same by its files", async () => {
    await using model = await open();
    await using trainer = await Trainer.create(model, { ...SMALL, train: rows, validation: rows.slice(0, 8) });
    expect((await trained(trainer)).aborted).toBe(false);
    expect((await trainer.evaluate()).eval_accuracy).toBe(1);
    const texts = ["7 is good", "8 is bad"];
    const found = await trainer.classify(texts);
    expect(found.map(({ label }) => label)).toEqual(["yes", "no"]);
    const folder = work.path("saved");
    await trainer.save(folder);
    await using saved = await Model.open(folder, { task: "seq-cls", precision: "fp32", threads: 1 });
    const again = await saved.classify(texts, { max_seq_length: 32 });
    expect(again.map(({ label }) => label)).toEqual(["yes", "no"]);
    expect(again[0]!.score).toBeCloseTo(found[0]!.score!, 6);
  });

  test("of a file has the bits of rows in memory", async () => {
    await using model = await open();
    const options: TrainerOptions = { ...SMALL, max_steps: 2 };
    const run = async (from: TrainerOptions) => {
      await using trainer = await Trainer.create(model, { ...options, ...from });
      await trained(trainer);
      return (await trainer.adapter()).tensors;
    };
    expect(await run({ train_file: file })).toEqual(await run({ train: rows }));
  });

  test("of pairs and of numbers", async () => {
    await using model = await open();
    const pairs = rows.map(({ text }, i) => ({ premise: text, hypothesis: "it is good", label: (i % 2) + 0.5 }));
    await using trainer = await Trainer.create(model, { ...SMALL, max_steps: 1, train: pairs });
    await trained(trainer);
    expect((await trainer.evaluate()).eval_mse).toBeGreaterThan(0);
    const [found] = await trainer.classify([["8 is bad", "it is good"]]);
    expect(Object.keys(found!.scores)).toEqual(["LABEL_0"]);
  });
});

test("refusals", async () => {
  await using model = await open();
  const make = (more: TrainerOptions) => errorOf(() => Trainer.create(model, { ...SMALL, ...more }));
  expect((await make({ train: rows.map(({ text }) => ({ text, label: "no" })) })).message).toMatch(
    /train, column "label": every row has the label "no"/,
  );
  expect((await make({ train: rows, validation: [{ text: "x", label: "perhaps" }] })).message).toMatch(
    /validation: row 1: label "perhaps" is not in the list of labels: no, yes/,
  );
  expect(
    (
      await make({
        train: [
          { text: "x", label: "a" },
          { text: " ", label: "b" },
        ],
      })
    ).message,
  ).toMatch(/row 2: column "text" is an empty text/);
  expect((await make({ train: ["x", "y"] })).message).toMatch(/train has no column label or labels/);
  expect((await make({ train: rows, samples: true })).message).toMatch(/a classifier writes no texts/);
  await using classifier = await Model.open(tinyBase, { task: "seq-cls", threads: 1 });
  expect((await errorOf(() => classifier.classify(["x"]))).message).toMatch(
    /no score\.weight: it is no trained classifier/,
  );
  expect((await errorOf(() => Trainer.create(classifier, { train: ["x", "y"] }))).message).toMatch(/give task seq-cls/);
  await using trainer = await Trainer.create(model, { train: ["one text", "two texts"], max_steps: 1 });
  expect((await errorOf(() => trainer.classify(["x"]))).code).toBe("E_STATE");
});
