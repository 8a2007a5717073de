// Classification from data files to classes: labels, metrics, texts and a run on the tiny base.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readAdapter, readLabels } from "../src/checkpoint/index.js";
import { Tokenizer } from "../src/data/index.js";
import { openModel } from "../src/model/index.js";
import type { ClassifierConfig, ProblemType } from "../src/native/index.js";
import { classifyTexts, openClassifier } from "../src/setup/classify.js";
import { evaluating, openForInference } from "../src/setup/inference.js";
import { type LabelOptions, numberLabels, readTrainingLabels } from "../src/setup/labels.js";
import { Predictions } from "../src/trainer/classification.js";
import { errorOf, temporaryFolders, tinyBase } from "./support/folders.js";
import { jsonLines, lowrank } from "./support/tiny.js";

const folder = temporaryFolders();

function rows(name: string, list: object[]): string {
  const file = join(folder(), name);
  writeFileSync(file, list.map((row) => JSON.stringify(row)).join("\n"));
  return file;
}

const labelsOf = (file: string, o: LabelOptions = {}, validation?: string) =>
  readTrainingLabels({
    train_file: [file],
    validation_file: validation === undefined ? undefined : [validation],
    ...o,
  });

const classifier = (labels: string[], problem: ProblemType = "single_label_classification"): ClassifierConfig => ({
  labels,
  problem,
  padId: undefined,
  initStd: 0.02,
});

describe("labels", () => {
  test("names are sorted, numbers by their size, and columns are known", async () => {
    const names = await labelsOf(
      rows("a.jsonl", [
        { text: "x", label: "no" },
        { text: "y", label: "maybe" },
      ]),
    );
    expect(names.asked).toEqual({ labels: ["maybe", "no"], problem: "single_label_classification" });
    const numbers = await labelsOf(
      rows(
        "b.jsonl",
        [10, 9, 2].map((labels) => ({ text: "x", labels })),
      ),
    );
    expect(numbers.asked.labels).toEqual(["2", "9", "10"]);
    const pairs = await labelsOf(
      rows(
        "c.jsonl",
        [0, 1].map((label) => ({ premise: "x", hypothesis: "y", label })),
      ),
    );
    expect(pairs.render).toMatchObject({ column: "premise", pairColumn: "hypothesis" });
    const csv = join(folder(), "d.csv");
    writeFileSync(csv, "text,label\na,0.5\nb,1\n");
    expect((await labelsOf(csv)).asked).toEqual({ labels: ["LABEL_0"], problem: "regression" });
    const many = await labelsOf(
      rows(
        "e.jsonl",
        [["b", "a"], [], ["c"]].map((labels) => ({ text: "x", labels })),
      ),
    );
    expect(many.asked).toEqual({ labels: ["a", "b", "c"], problem: "multi_label_classification" });
    const { training } = await numberLabels(many, classifier(["a", "b", "c"], "multi_label_classification"));
    expect([...training.labels]).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 1]);
  });

  test("numbers are the classes of a model that has names of its own", async () => {
    const found = await labelsOf(
      rows(
        "f.jsonl",
        [1, 0, 2].map((label) => ({ text: "x", label })),
      ),
    );
    const { training } = await numberLabels(found, classifier(["bad", "fair", "good"]));
    expect([...training.labels]).toEqual([1, 0, 2]);
  });

  test("one class, a label that is not in the list and no label are errors that say where", async () => {
    const one = rows("g.jsonl", [
      { text: "x", label: "a" },
      { text: "y", label: "a" },
    ]);
    expect((await errorOf(() => labelsOf(one))).message).toMatch(
      /every row has the label "a": there is one class only/,
    );
    const train = rows("h.jsonl", [
      { text: "x", label: "a" },
      { text: "y", label: "b" },
    ]);
    const held = rows("i.jsonl", [
      { text: "x", label: "a" },
      { text: "y", label: "c" },
    ]);
    const found = await labelsOf(train, {}, held);
    const error = await errorOf(() => numberLabels(found, classifier(["a", "b"])));
    expect(error.message).toMatch(/i\.jsonl, line 2: label "c" is not in the list of labels: a, b\./);
    const none = rows("j.jsonl", [{ text: "x", label: null }]);
    expect((await errorOf(() => labelsOf(none, { label_column: "label" }))).code).toBe("E_LABEL");
    expect((await errorOf(() => labelsOf(rows("k.jsonl", [{ text: "x" }])))).message).toMatch(/--label_column/);
  });
});

test("a head with fewer labels than the data, and labels of the configuration", async () => {
  const golden = new URL("goldens-classify/qwen2-single", import.meta.url).pathname;
  const error = await errorOf(() => openModel(golden, undefined, { labels: ["a", "b", "c"] }));
  expect(error.message).toMatch(/3 labels \(a, b, c\), but the head .* has 2/);
  expect(openModel(golden, undefined, { labels: ["a", "b"] }).config.classifier!.labels).toEqual(["a", "b"]);
  expect(openModel(golden, undefined, { labels: ["0", "1"] }).config.classifier!.labels).toEqual(["0", "1"]);
});

// The numbers are sklearn's for these labels and predictions.
test("metrics of classes", () => {
  const found = new Predictions(classifier(["a", "b", "c"]));
  const actual = [0, 0, 1, 1, 2, 2, 2];
  const predicted = [0, 1, 1, 1, 2, 0, 2];
  for (const [i, label] of actual.entries()) {
    found.add(
      Float32Array.from([0, 1, 2], (k) => Number(k === predicted[i])),
      Float32Array.of(label),
    );
  }
  const metrics = found.metrics();
  expect(metrics.eval_confusion_matrix).toEqual([
    [1, 1, 0],
    [0, 2, 0],
    [1, 0, 2],
  ]);
  expect(metrics.eval_accuracy).toBeCloseTo(5 / 7, 12);
  expect(metrics.eval_precision).toBeCloseTo((1 / 2 + 2 / 3 + 1) / 3, 12);
  expect(metrics.eval_recall).toBeCloseTo((1 / 2 + 1 + 2 / 3) / 3, 12);
  expect(metrics.eval_f1).toBeCloseTo((0.5 + 0.8 + 0.8) / 3, 12);
  const two = new Predictions(classifier(["no", "yes"]));
  for (const [label, yes] of [
    [1, 1],
    [1, 0],
    [0, 0],
    [0, 1],
    [1, 1],
  ] as const)
    two.add(Float32Array.of(0, yes ? 1 : -1), Float32Array.of(label));
  expect(two.metrics()).toMatchObject({
    eval_accuracy: 3 / 5,
    eval_precision_binary: 2 / 3,
    eval_recall_binary: 2 / 3,
    eval_f1_binary: 2 / 3,
  });
  const several = new Predictions(classifier(["a", "b"], "multi_label_classification"));
  several.add(Float32Array.of(1, -1), Float32Array.of(1, 0));
  several.add(Float32Array.of(1, 1), Float32Array.of(1, 0));
  expect(several.metrics()).toMatchObject({ eval_accuracy: 0.5, eval_precision: 0.5, eval_recall: 0.5 });
  const numbers = new Predictions(classifier(["LABEL_0"], "regression"));
  numbers.add(Float32Array.of(1), Float32Array.of(3));
  expect(numbers.metrics()).toEqual({ eval_mse: 4, eval_mae: 2 });
});

test("texts are cut at the side that is asked for", async () => {
  const tokenizer = await Tokenizer.open(tinyBase);
  const text = "one two three four five six seven eight";
  const [whole] = await tokenizer.encodeTyped([{ text }], { maxLength: 100, side: undefined });
  const [left] = await tokenizer.encodeTyped([{ text }], { maxLength: 4, side: "left" });
  const [right] = await tokenizer.encodeTyped([{ text }], { maxLength: 4, side: "right" });
  const [again] = await tokenizer.encodeTyped([{ text }], { maxLength: 100, side: "right" });
  expect(whole!.ids.length).toBeGreaterThan(4);
  // The beginning of text stays.
  expect([...left!.ids]).toEqual([whole!.ids[0], ...whole!.ids.slice(-3)]);
  expect([...right!.ids]).toEqual([...whole!.ids.slice(0, 4)]);
  expect(again).toEqual(whole);
});

test("a run learns two words apart, keeps the best by accuracy, and its classes are those of its files", async () => {
  const texts = Array.from({ length: 48 }, (_, i) => ({
    text: `${i} is ${i % 2 ? "good" : "bad"}`,
    label: i % 2 ? "yes" : "no",
  }));
  const output = join(folder(), "run");
  const done = await lowrank([
    ...["train", "--task", "seq-cls", "--base_model", tinyBase, "--train_file", rows("run.jsonl", texts)],
    ...[
      "--output_dir",
      output,
      "--cache_dir",
      join(folder(), "cache"),
      "--learning_rate",
      "3e-3",
      "--num_train_epochs",
      "4",
    ],
    ...[
      "--eval_strategy",
      "epoch",
      "--save_strategy",
      "epoch",
      "--metric_for_best_model",
      "accuracy",
      "--precision",
      "fp32",
    ],
  ]);
  expect(done.code).toBe(0);
  const evaluations = jsonLines<{ eval_accuracy?: number; eval_confusion_matrix?: number[][] }>(
    join(output, "metrics.jsonl"),
  ).filter(({ eval_accuracy }) => eval_accuracy !== undefined);
  expect(evaluations).toHaveLength(4);
  expect(evaluations.at(-1)!.eval_accuracy).toBe(1);
  const { best_metric } = JSON.parse(readFileSync(join(output, "checkpoint-24", "trainer_state.json"), "utf8"));
  expect(best_metric).toBe(1);
  expect(readLabels(output)).toEqual({ labels: ["no", "yes"], problem: "single_label_classification" });
  expect(() => readAdapter(output, openModel(tinyBase))).toThrow(/classifier's \(task_type SEQ_CLS\)/);

  const opening = {
    base_model: tinyBase,
    adapter: output,
    precision: "fp32",
    threads: 1,
    device: "cpu",
    use_4bit: false,
    use_8bit: false,
    double_quant: true,
    quantize_skip: undefined,
  } as const;
  const base = openClassifier(opening, () => {});
  await using engine = await openForInference(base, evaluating(4, 64, true));
  const tokenizer = await Tokenizer.open(tinyBase);
  const found = await classifyTexts(engine, tokenizer, base.model.config.classifier!, ["7 is good", "8 is bad"], {
    maxLength: 64,
  });
  expect(found.map(({ label }) => label)).toEqual(["yes", "no"]);
  expect(found[0]!.scores.yes).toBe(found[0]!.score);
  const command = await lowrank(["classify", output, "--text", "7 is good", "--precision", "fp32"]);
  const { label, score } = JSON.parse(command.stdout);
  expect(label).toBe("yes");
  // Other texts of a batch change the last bits.
  expect(score).toBeCloseTo(found[0]!.score!, 6);

  // Pairs are known by their columns, as in training.
  const pairs = rows("pairs.jsonl", [{ sentence1: "7 is", sentence2: "good" }]);
  const pair = await lowrank(["classify", output, "--text", "7 is", "--text_pair", "good", "--precision", "fp32"]);
  const ofFile = await lowrank(["classify", output, "--input_file", pairs, "--precision", "fp32"]);
  expect([ofFile.stderr, ofFile.stdout]).toEqual([pair.stderr, pair.stdout]);

  // A text is named by its number among all, whichever batch it is of.
  const blank = rows("blank.jsonl", [{ text: "7 is good" }, { text: "8 is bad" }, { text: " " }]);
  const few = ["--per_device_eval_batch_size", "2", "--precision", "fp32"];
  expect((await lowrank(["classify", output, "--input_file", blank, ...few])).stderr).toContain("Text 3 is empty");

  const small = openClassifier({ ...opening, use_8bit: true }, () => {});
  await using quantised = await openForInference(small, evaluating(1, 64, true));
  const [same] = await classifyTexts(quantised, tokenizer, base.model.config.classifier!, ["7 is good"], {
    maxLength: 64,
  });
  const eight = await lowrank(["classify", output, "--text", "7 is good", "--precision", "fp32", "--use_8bit"]);
  expect(JSON.parse(eight.stdout).score).toBeCloseTo(same!.score!, 6);
  expect(same!.score).not.toBe(found[0]!.score);
}, 60_000);

test("an empty text is an error that says where", async () => {
  const file = rows("empty.jsonl", [
    { text: "x", label: 0 },
    { text: " ", label: 1 },
  ]);
  const done = await lowrank([
    "train",
    "--task",
    "seq-cls",
    "--base_model",
    tinyBase,
    "--train_file",
    file,
    "--output_dir",
    join(folder(), "none"),
    "--cache_dir",
    join(folder(), "none-cache"),
  ]);
  expect(done.code).not.toBe(0);
  expect(done.stderr).toMatch(/empty\.jsonl, line 2: column "text" is an empty text/);
});
