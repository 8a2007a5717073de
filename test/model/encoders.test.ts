// Encoders besides their goldens: refusals, defaults, checkpointed blocks, and the example's configuration from files to classes.
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readAdapter, readLabels } from "../../src/checkpoint/index.js";
import { openModel, resolveTargets, writeSafetensors } from "../../src/model/index.js";
import { type Batch, Engine } from "../../src/native/index.js";
import { editJson, errorOf, temporaryFolders } from "../support/folders.js";
import { readTensors } from "../support/golden.js";
import { jsonLines, lowrank, root } from "../support/tiny.js";

const goldens = join(root, "test/goldens-classify");
const folder = temporaryFolders();

/** A golden with other keys in its config.json, and with tensors of other names or without some. */
async function changed(
  name: string,
  keys: Record<string, unknown>,
  rename?: (name: string) => string | null,
): Promise<string> {
  const to = join(folder(), "model");
  cpSync(join(goldens, name), to, { recursive: true });
  editJson(join(to, "config.json"), keys);
  if (!rename) return to;
  const weights = join(to, "model.safetensors");
  const tensors = [...readTensors(weights)].flatMap(([tensor, { shape, data }]) => {
    const other = rename(tensor);
    return other === null
      ? []
      : [{ name: other, dtype: "F32", shape, bytes: data.byteLength, data: new Uint8Array(data.buffer) }];
  });
  await writeSafetensors(weights, tensors, { format: "pt" });
  return to;
}

const classification = { labels: ["a", "b", "c"] };

test.each([
  ["bert-pairs", ["query", "value"]],
  ["roberta-single", ["query", "value"]],
  ["distilbert-q", ["q_lin", "v_lin"]],
])("%s: default targets", (name, targets) => {
  expect(resolveTargets(openModel(join(goldens, name), undefined, {}), null).peft).toEqual(targets);
});

test.each<[string, string, Record<string, unknown>, RegExp]>([
  ["relative positions", "bert-pairs", { position_embedding_type: "relative_key" }, /position_embedding_type/],
  ["a decoder", "bert-pairs", { is_decoder: true }, /is_decoder/],
  ["another activation", "distilbert-q", { activation: "mish" }, /activation/],
  ["a dropout of one", "distilbert-q", { seq_classif_dropout: 1 }, /seq_classif_dropout/],
  [
    "DeBERTa",
    "bert-pairs",
    { model_type: "deberta-v2" },
    /"deberta-v2" is not supported\. Supported architectures: .*bert/,
  ],
])("%s is refused by name", async (_, name, keys, message) => {
  const model = await changed(name, keys);
  expect((await errorOf(() => openModel(model, undefined, classification))).message).toMatch(message);
});

test("an encoder is no language model, and BERT needs its pooler", async () => {
  const plain = await errorOf(() => openModel(join(goldens, "bert-pairs")));
  expect([plain.code, plain.message]).toEqual([
    "E_ARCHITECTURE",
    expect.stringMatching(/"bert" is an encoder: .*--task seq-cls/),
  ]);
  const headless = await changed("bert-pairs", {}, (name) => (name.includes("pooler") ? null : name));
  expect((await errorOf(() => openModel(headless, undefined, classification))).message).toMatch(
    /bert\.pooler\.dense\.weight/,
  );
});

test("dropouts of the encoder and of its head", async () => {
  const keys = { hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0.2 };
  const model = openModel(await changed("bert-pairs", keys), undefined, classification);
  expect(model.config.dropouts).toEqual({ embedding: 0.1, attention: 0.2, attentionOutput: 0.1, mlpOutput: 0.1 });
  expect(model.spec.classifier!.layers.map(({ dropout }) => dropout)).toEqual([0.1]);
});

describe("an engine", () => {
  const name = "bert-all-multi";
  const batch: Batch = {
    sequences: [9, 14, 3].map((length, i) => ({
      inputIds: Int32Array.from({ length }, (_, at) => 2 + ((7 * at + i) % 80)),
      tokenTypes: Uint8Array.from({ length }, (_, at) => Number(at > 4)),
      labels: Float32Array.of(1, 0, Number(i > 0), 0),
    })),
  };

  async function open(path: string, options: { checkpointedBlocks?: number; threads?: number }) {
    const adapterFolder = join(goldens, name, "initial");
    const model = openModel(path, undefined, readLabels(adapterFolder));
    const { spec, tensors } = readAdapter(adapterFolder, model);
    const engine = await Engine.create(model, spec, {
      ...{ precision: "fp32", threads: 1, maxTokens: 32, maxSequence: 32, cacheTokens: 0, training: true },
      ...options,
    });
    await engine.setAdapter(tensors);
    return engine;
  }

  async function gradients(path: string, options: { checkpointedBlocks?: number; threads?: number } = {}) {
    await using engine = await open(path, options);
    await engine.forwardBackward(batch, 1, 0);
    return engine.gradients();
  }

  test("has the same bits with checkpointed blocks, with threads and with TensorFlow's names of norms", async () => {
    const path = join(goldens, name);
    const expected = await gradients(path);
    for (const checkpointedBlocks of [1, 2]) expect(await gradients(path, { checkpointedBlocks })).toEqual(expected);
    for (const threads of [2, 3]) expect(await gradients(path, { threads })).toEqual(expected);
    const old = await changed(name, { layer_norm_eps: 1e-5 }, (tensor) =>
      tensor.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta"),
    );
    expect(await gradients(old)).toEqual(expected);
  });

  test("reads token types, and refuses those that the model does not have", async () => {
    await using engine = await open(join(goldens, name), {});
    const [first] = batch.sequences;
    const one = async (tokenTypes?: Uint8Array) =>
      (await engine.classify({ sequences: [{ inputIds: first!.inputIds, ...(tokenTypes && { tokenTypes }) }] })).logits;
    expect(await one(new Uint8Array(9))).toEqual(await one());
    expect(await one(first!.tokenTypes)).not.toEqual(await one());
    expect((await errorOf(() => one(new Uint8Array(9).fill(2)))).message).toMatch(
      /type 2, but the model has types up to 1/,
    );
  });
});

test("the example's configuration trains DistilBERT from a vocabulary, and its classes are those of its files", async () => {
  const base = join(folder(), "distilbert");
  cpSync(join(goldens, "distilbert-q"), base, { recursive: true });
  editJson(join(base, "config.json"), { id2label: undefined, label2id: undefined });
  const words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "it", "is", "good", "bad", "very"];
  const others = Array.from({ length: 90 - words.length }, (_, i) => `w${i}`);
  writeFileSync(join(base, "vocab.txt"), [...words, ...others].join("\n"));
  const rows = Array.from(
    { length: 32 },
    (_, i) => `w${i} it is ${i % 3 ? "very " : ""}${i % 2 ? "good" : "bad"},${i % 2}`,
  );
  const [train, held] = ["train.csv", "valid.csv"].map((name) => join(base, name)) as [string, string];
  writeFileSync(train, ["text,label", ...rows].join("\n"));
  writeFileSync(held, ["text,label", ...rows.slice(0, 8)].join("\n"));
  const output = join(base, "out");
  const done = await lowrank([
    ...["train", "--config", join(root, "examples/distilbert.yaml"), "--base_model", base, "--train_file", train],
    ...[
      "--validation_file",
      held,
      "--output_dir",
      output,
      "--max_seq_length",
      "16",
      "--cache_dir",
      join(base, "cache"),
    ],
  ]);
  expect([done.code, done.stderr]).toEqual([0, expect.anything()]);
  const accuracies = jsonLines<{ eval_accuracy?: number }>(join(output, "metrics.jsonl")).flatMap(
    ({ eval_accuracy }) => eval_accuracy ?? [],
  );
  expect(accuracies).toHaveLength(10);
  expect(Math.max(...accuracies)).toBe(1);
  const config = JSON.parse(readFileSync(join(output, "adapter_config.json"), "utf8"));
  expect(config).toMatchObject({
    r: 4,
    lora_alpha: 32,
    lora_dropout: 0.01,
    target_modules: ["q_lin"],
    task_type: "SEQ_CLS",
  });
  const found = await lowrank(["classify", output, "--text", "w7 it is very good", "--precision", "fp32"]);
  expect(JSON.parse(found.stdout).label).toBe("1");
}, 60_000);
