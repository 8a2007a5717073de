// Classifiers at work: a base with an adapter's head, or a model with its own.
import { LowrankError } from "../base/errors.js";
import { isClassifierAdapter, readAdapter, readLabels } from "../checkpoint/index.js";
import type { Tokenizer } from "../data/index.js";
import type { ClassifierConfig, Engine } from "../native/index.js";
import { holds, largest, scores } from "../trainer/index.js";
import { chooseDevice, choosePrecision, threadCount } from "./adapter.js";
import { openBase } from "./base.js";
import type { OpenedBase, OpeningOptions } from "./inference.js";

/** A text, or a pair of texts. */
export type TextOrPair = string | readonly [string, string];

/** The class of a text. */
export interface Classified {
  /** The likeliest label; of one label a text. */
  label?: string;
  /** The labels that hold; of several labels a text. */
  labels?: string[];
  /** The label's probability, or the number of a regression with one. */
  score?: number;
  /** Probabilities by label, or the numbers of a regression. */
  scores: Record<string, number>;
}

/** @throws LowrankError E_ADAPTER where the adapter is no classifier's */
export function openClassifier(o: OpeningOptions, warn: (message: string) => void): OpenedBase {
  if (o.adapter !== undefined && !isClassifierAdapter(o.adapter)) {
    throw new LowrankError(
      "E_ADAPTER",
      `${o.adapter}: the adapter is of a language model, not a classifier's (task_type SEQ_CLS).`,
      o.adapter,
    );
  }
  const model = openBase(o, warn, o.adapter === undefined ? {} : readLabels(o.adapter));
  const adapter = o.adapter === undefined ? null : readAdapter(o.adapter, model);
  const machine = { threads: threadCount(o.threads, warn), device: chooseDevice(o.device) };
  return { model, precision: choosePrecision(o.precision, model), ...machine, adapter };
}

/** @throws LowrankError E_TENSOR_MISSING where there is no trained head */
export function requireTrained({ model, adapter }: OpenedBase): void {
  const stored = new Set(model.tensors.map(({ name }) => name));
  const { layers } = model.spec.classifier!;
  const missing = adapter ? undefined : layers.find(({ linear }) => !stored.has(`${linear.module}.weight`));
  if (!missing) return;
  const message = `${model.folder} has no ${missing.linear.module}.weight: it is no trained classifier. Name an adapter that was trained with task seq-cls.`;
  throw new LowrankError("E_TENSOR_MISSING", message, model.folder);
}

function classified(logits: Float32Array, { labels, problem }: ClassifierConfig): Classified {
  const found = scores(logits, problem);
  const named = Object.fromEntries(labels.map((name, i) => [name, found[i]!]));
  if (problem === "regression") return found.length === 1 ? { score: found[0]!, scores: named } : { scores: named };
  if (problem === "multi_label_classification")
    return { labels: labels.filter((_, i) => holds(logits[i]!)), scores: named };
  const best = largest(logits);
  return { label: labels[best]!, score: found[best]!, scores: named };
}

export interface ClassifyOptions {
  maxLength: number;
  side?: "left" | "right" | undefined;
  /** Number of texts before these, for errors. */
  before?: number;
}

/** The classes of some texts, which are one batch. @throws LowrankError E_PROMPT where one is empty */
export async function classifyTexts(
  engine: Engine,
  tokenizer: Tokenizer,
  classifier: ClassifierConfig,
  texts: readonly TextOrPair[],
  { maxLength, side, before = 0 }: ClassifyOptions,
): Promise<Classified[]> {
  const rows = texts.map((text) => (typeof text === "string" ? { text } : { text: text[0], pair: text[1] }));
  const empty = rows.findIndex(({ text }) => !/\S/.test(text));
  if (empty >= 0) throw new LowrankError("E_PROMPT", `Text ${before + empty + 1} is empty: it has no class.`, "text");
  const tokens = await tokenizer.encodeTyped(rows, { maxLength, side });
  const { logits } = await engine.classify({
    sequences: tokens.map(({ ids, types }) => ({ inputIds: ids, tokenTypes: types })),
  });
  const width = classifier.labels.length;
  return texts.map((_, i) => classified(logits.subarray(i * width, (i + 1) * width), classifier));
}

/** The same of any number of texts, some at a time. */
export async function classifyAll(
  engine: Engine,
  tokenizer: Tokenizer,
  classifier: ClassifierConfig,
  texts: readonly TextOrPair[],
  { batchSize, ...options }: ClassifyOptions & { batchSize: number },
): Promise<Classified[]> {
  const found: Classified[] = [];
  for (let i = 0; i < texts.length; i += batchSize) {
    found.push(
      ...(await classifyTexts(engine, tokenizer, classifier, texts.slice(i, i + batchSize), { ...options, before: i })),
    );
  }
  return found;
}
