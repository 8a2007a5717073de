// The goldens of classifiers, as scripts/goldens/classify.py writes them.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readAdapter, readLabels } from "../../src/checkpoint/index.js";
import { openModel } from "../../src/model/index.js";
import { type Batch, Engine, type EngineOptions, type ModelSource } from "../../src/native/index.js";

export interface GoldenTexts {
  texts: number[][];
  second: number[];
  labels: number[] | number[][];
}

export interface ClassifierReference {
  problem: "single_label_classification" | "regression" | "multi_label_classification";
  batch: GoldenTexts;
  loss: number;
  /** Largest difference of PyTorch's own logits in bf16, as a share of the largest. */
  bf16_logits: number;
  trainable: number;
  all: number;
  training: {
    learning_rate: number;
    weight_decay: number;
    max_grad_norm: number;
    batches: GoldenTexts[];
    trace: { loss: number; grad_norm: number }[];
  };
  final_logits: number[][];
}

export const classifierGoldens = new URL("../goldens-classify/", import.meta.url).pathname;

export const classifierNames = () =>
  readdirSync(classifierGoldens).filter((name) => existsSync(join(classifierGoldens, name, "reference.json")));

export const readClassifierReference = (name: string): ClassifierReference =>
  JSON.parse(readFileSync(join(classifierGoldens, name, "reference.json"), "utf8"));

export function labelledBatch({ texts, second, labels }: GoldenTexts): Batch {
  return {
    sequences: texts.map((text, i) => ({
      inputIds: Int32Array.from(text),
      tokenTypes: Uint8Array.from(text, (_, at) => Number(at >= second[i]!)),
      labels: Float32Array.from([labels[i]!].flat()),
    })),
  };
}

/** Numbers that the loss is the mean of. */
export const terms = ({ labels }: GoldenTexts) => labels.flat().length;

/** An engine that trains a golden's classifier. @param prepare the base, before it is opened */
export async function openClassifierGolden(
  name: string,
  which: "initial" | "final",
  options: Partial<EngineOptions> = {},
  prepare: (model: ModelSource) => ModelSource = (model) => model,
): Promise<{ engine: Engine; model: ModelSource; adapter: ReturnType<typeof readAdapter> }> {
  const folder = join(classifierGoldens, name);
  const model = prepare(openModel(folder, undefined, readLabels(join(folder, which))));
  const adapter = readAdapter(join(folder, which), model);
  const engine = await Engine.create(model, adapter.spec, {
    precision: "fp32",
    threads: 2,
    maxTokens: 24,
    maxSequence: 40,
    cacheTokens: 0,
    training: true,
    ...options,
  });
  await engine.setAdapter(adapter.tensors);
  return { engine, model, adapter };
}

/** The reference's steps; loss and norm of each. */
export async function trainClassifier(engine: Engine, { training }: ClassifierReference, lossScale = 1) {
  const { batches, learning_rate: learningRate, weight_decay: weightDecay, max_grad_norm: maxGradNorm } = training;
  const rows: { loss: number; gradNorm: number }[] = [];
  for (const [i, texts] of batches.entries()) {
    const n = terms(texts);
    await engine.forwardBackward(labelledBatch(texts), lossScale / n, i);
    await engine.optimizerStep({ learningRate, weightDecay, maxGradNorm, lossScale, tokens: n });
    const { loss, gradNorm } = await engine.readings();
    rows.push({ loss, gradNorm });
  }
  return rows;
}
