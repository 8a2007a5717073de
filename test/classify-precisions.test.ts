// Encoders in bf16 and fp16, and on quantised bases: against their goldens in fp32 (scripts/goldens/classify.py), and against the same weights decoded.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readLabels } from "../src/checkpoint/index.js";
import { listLinears, openModel } from "../src/model/index.js";
import { type AdapterTensors, Engine, type EngineOptions, kernelsOf, type ModelSource } from "../src/native/index.js";
import { quantizedSource } from "../src/setup/base.js";
import {
  classifierGoldens,
  labelledBatch,
  openClassifierGolden,
  readClassifierReference,
  terms,
  trainClassifier,
} from "./support/classifier.js";
import { rewriteTensors, temporaryFolders } from "./support/folders.js";
import { cosine, largestDifference, readTensors } from "./support/golden.js";

const folder = temporaryFolders();
const ENCODERS = ["bert-pairs", "bert-all-linear", "distilbert-q", "roberta-single"];
const AS_STORED = { use_4bit: false, use_8bit: false, quant_type: undefined, double_quant: true };
const quantising = (own: object) => (model: ModelSource) =>
  quantizedSource(model, { ...AS_STORED, quantize_skip: undefined, ...own }, () => {});

interface Kind {
  name: string;
  options: Partial<EngineOptions>;
  prepare?: (model: ModelSource) => ModelSource;
  lossScale?: number;
  /**
   * Largest differences from fp32 on the stored weights: of logits as a share of the largest (in bf16 twice PyTorch's own), of the loss of each of ten steps as a share of it, and the
   * least cosine of a gradient. The weights are random and tiny: codes are off by far more than in a trained model, and of 4 bits the gradients are other
   * ones. That they are right for these weights shows the test with the decoded weights.
   */
  logits?: number;
  loss?: number;
  /** In its place the mean of the ten losses. */
  meanLoss?: number;
  cosine?: number;
}

const KINDS: Kind[] = [
  { name: "bf16", options: { precision: "bf16" }, loss: 3e-2, cosine: 0.99 },
  { name: "fp16", options: { precision: "fp16" }, lossScale: 1024, logits: 4e-3, loss: 5e-3, cosine: 0.9995 },
  { name: "int8", options: {}, prepare: quantising({ use_8bit: true }), logits: 4e-2, loss: 5e-2, cosine: 0.93 },
  { name: "nf4", options: {}, prepare: quantising({ use_4bit: true }), logits: 0.5, meanLoss: 0.3 },
];

describe.each(ENCODERS)("%s", (name) => {
  const reference = readClassifierReference(name);
  const tensors = readTensors(join(classifierGoldens, name, "reference.safetensors"));
  const batch = labelledBatch(reference.batch);
  const scale = 1 / terms(reference.batch);

  const limitOf = ({ logits }: Kind) => logits ?? 2 * reference.bf16_logits;

  test.each(KINDS)("$name: near the fp32 reference", async (kind) => {
    const { engine } = await openClassifierGolden(name, "initial", kind.options, kind.prepare);
    const { logits } = await engine.classify(batch);
    const off = largestDifference(logits, tensors.get("logits")!.data);
    expect(off.difference / off.scale).toBeLessThan(limitOf(kind));
    await engine.forwardBackward(batch, scale * (kind.lossScale ?? 1), 0);
    for (const [key, { data }] of kind.cosine ? await engine.gradients() : [])
      expect(cosine(data, tensors.get(key)!.data), key).toBeGreaterThan(kind.cosine!);
    await engine.close();
    const { engine: other } = await openClassifierGolden(name, "initial", kind.options, kind.prepare);
    const { trace } = reference.training;
    const losses = (await trainClassifier(other, reference, kind.lossScale)).map(({ loss }) => loss);
    for (const [i, loss] of (kind.loss ? losses : []).entries())
      expect(Math.abs(loss / trace[i]!.loss - 1), `loss of step ${i + 1}`).toBeLessThan(kind.loss!);
    const sum = (all: number[]) => all.reduce((a, b) => a + b, 0);
    const mean = sum(losses) / sum(trace.map(({ loss }) => loss));
    expect(Math.abs(mean - 1)).toBeLessThan(kind.meanLoss ?? kind.loss!);
    await other.close();
  });

  test.each(KINDS)("$name: the same bits for 1, 2 and 3 threads, and with blocks computed again", async (kind) => {
    const trained: AdapterTensors[] = [];
    for (const own of [{ threads: 1 }, { threads: 2 }, { threads: 3 }, { threads: 2, checkpointedBlocks: 2 }]) {
      const { engine } = await openClassifierGolden(name, "initial", { ...kind.options, ...own }, kind.prepare);
      await trainClassifier(engine, reference, kind.lossScale);
      trained.push(await engine.adapter());
      await engine.close();
    }
    for (const adapter of trained) expect(adapter).toEqual(trained[0]);
  });

  test.each(KINDS)("$name: a text's logits do not depend on the texts beside it", async (kind) => {
    const { engine } = await openClassifierGolden(name, "final", kind.options, kind.prepare);
    const together = (await engine.classify(batch)).logits;
    const alone = [];
    for (const sequence of batch.sequences) alone.push(...(await engine.classify({ sequences: [sequence] })).logits);
    const { difference, scale: size } = largestDifference(Float32Array.from(alone), together);
    // The text of one token goes in f32 sums alone, and with the others in chains of f16 where a processor has them.
    const share = kernelsOf() === "avx512fp16" ? 1 : 1 / 4;
    expect(difference / size).toBeLessThan(kind.options.precision ? limitOf(kind) * share : 1e-5);
    const inPanels = reference.batch.texts.flatMap((text, i) => (text.length > 4 ? [i] : []));
    const classes = together.length / batch.sequences.length;
    const of = (logits: ArrayLike<number>) =>
      inPanels.flatMap((i) => Array.from(logits).slice(i * classes, (i + 1) * classes));
    const longer = largestDifference(Float32Array.from(of(alone)), Float32Array.from(of(together)));
    expect(longer.difference / longer.scale).toBeLessThan(kind.options.precision ? limitOf(kind) / 4 : 1e-5);
    await engine.close();
  });

  test.each(KINDS.filter(({ prepare }) => prepare))("$name: as the base of the decoded weights", async (kind) => {
    const { engine, model, adapter } = await openClassifierGolden(name, "initial", kind.options, kind.prepare);
    const { logits } = await engine.classify(batch);
    await engine.forwardBackward(batch, scale, 0);
    const gradients = await engine.gradients();
    const weights = new Map<string, Uint8Array>();
    // Without its factors an adapter adds nothing.
    const zero = [...adapter.tensors].map(
      ([key, tensor]) => [key, { ...tensor, data: tensor.data.map(() => 0) }] as const,
    );
    await engine.setAdapter(new Map(zero));
    for (const { name: module } of listLinears(model))
      weights.set(`${module}.weight`, new Uint8Array(await engine.mergedWeight(module, 0, "f32")));
    await engine.close();

    const copy = join(folder(), "decoded");
    cpSync(join(classifierGoldens, name), copy, { recursive: true });
    await rewriteTensors(copy, (tensor) => ({ ...tensor, data: weights.get(tensor.name) ?? tensor.data }));
    const decoded = openModel(copy, undefined, readLabels(join(copy, "initial")));
    const shape = { threads: 2, maxTokens: 24, maxSequence: 40, cacheTokens: 0, training: true } as const;
    await using plain = await Engine.create(decoded, adapter.spec, { precision: "fp32", ...shape });
    await plain.setAdapter(adapter.tensors);
    const off = largestDifference((await plain.classify(batch)).logits, logits);
    expect(off.difference / off.scale).toBeLessThan(1e-5);
    await plain.forwardBackward(batch, scale, 0);
    for (const [key, { data }] of await plain.gradients()) {
      const one = largestDifference(gradients.get(key)!.data, data);
      expect(one.difference / one.scale, key).toBeLessThan(5e-5);
    }
  });
});
