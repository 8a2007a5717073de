// Metrics of a classifier, by sklearn's definitions: a share without a case is 0.
import type { ClassifierConfig, ProblemType } from "../native/index.js";

/** Metrics of classes; f1, precision and recall are means over the labels (macro). */
export interface ClassificationMetrics {
  /** Share of the texts that are right; of several labels, of the texts whose labels are all right. */
  eval_accuracy?: number | undefined;
  eval_f1?: number | undefined;
  eval_precision?: number | undefined;
  eval_recall?: number | undefined;
  /** Of two labels: the second label's. */
  eval_f1_binary?: number | undefined;
  eval_precision_binary?: number | undefined;
  eval_recall_binary?: number | undefined;
  /** Of one label a text: row true label, column predicted label. */
  eval_confusion_matrix?: number[][] | undefined;
  /** Of regression. */
  eval_mse?: number | undefined;
  eval_mae?: number | undefined;
}

interface Counts {
  hit: number;
  predicted: number;
  actual: number;
}

const share = (part: number, of: number) => (of === 0 ? 0 : part / of);
const precision = ({ hit, predicted }: Counts) => share(hit, predicted);
const recall = ({ hit, actual }: Counts) => share(hit, actual);
const f1 = ({ hit, predicted, actual }: Counts) => share(2 * hit, predicted + actual);
const mean = (counts: Counts[], of: (counts: Counts) => number) =>
  counts.reduce((sum, each) => sum + of(each), 0) / counts.length;

function ofCounts(counts: Counts[], accuracy: number): ClassificationMetrics {
  return {
    eval_accuracy: accuracy,
    eval_f1: mean(counts, f1),
    eval_precision: mean(counts, precision),
    eval_recall: mean(counts, recall),
  };
}

function ofSecond(counts: Counts): ClassificationMetrics {
  return { eval_f1_binary: f1(counts), eval_precision_binary: precision(counts), eval_recall_binary: recall(counts) };
}

/** The number of the largest of some numbers, the first of equals. */
export function largest(numbers: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i]! > numbers[best]!) best = i;
  return best;
}

/** What is said of each label by its logit: from 0.5 on it holds. */
export const holds = (logit: number) => logit >= 0;

/** Probabilities of the labels; a regression's numbers themselves. */
export function scores(logits: ArrayLike<number>, problem: ProblemType): number[] {
  const values = Array.from(logits);
  if (problem === "regression") return values;
  if (problem === "multi_label_classification") return values.map((logit) => 1 / (1 + Math.exp(-logit)));
  const top = Math.max(...values);
  const powers = values.map((logit) => Math.exp(logit - top));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Collects predictions, batch by batch. */
export class Predictions {
  readonly #problem: ProblemType;
  readonly #labels: number;
  readonly #matrix: number[][];
  readonly #counts: Counts[];
  #texts = 0;
  #right = 0;
  #squares = 0;
  #distances = 0;

  constructor({ problem, labels }: ClassifierConfig) {
    this.#problem = problem;
    this.#labels = labels.length;
    this.#matrix = labels.map(() => labels.map(() => 0));
    this.#counts = labels.map(() => ({ hit: 0, predicted: 0, actual: 0 }));
  }

  /** @param labels as `Sequence.labels` */
  add(logits: Float32Array, labels: Float32Array): void {
    this.#texts++;
    if (this.#problem === "single_label_classification") {
      const [found, actual] = [largest(logits), labels[0]!];
      this.#matrix[actual]![found]!++;
      this.#right += Number(found === actual);
      this.#note(found, true, found === actual);
      if (found !== actual) this.#note(actual, false, true);
      return;
    }
    if (this.#problem === "regression") {
      for (const [i, logit] of logits.entries()) {
        this.#squares += (logit - labels[i]!) ** 2;
        this.#distances += Math.abs(logit - labels[i]!);
      }
      return;
    }
    let isRight = true;
    for (const [i, logit] of logits.entries()) {
      const actual = labels[i]! >= 0.5;
      this.#note(i, holds(logit), actual);
      isRight &&= holds(logit) === actual;
    }
    this.#right += Number(isRight);
  }

  #note(label: number, predicted: boolean, actual: boolean): void {
    const counts = this.#counts[label]!;
    counts.hit += Number(predicted && actual);
    counts.predicted += Number(predicted);
    counts.actual += Number(actual);
  }

  metrics(): ClassificationMetrics {
    const accuracy = this.#right / this.#texts;
    if (this.#problem === "regression") {
      const numbers = this.#texts * this.#labels;
      return { eval_mse: this.#squares / numbers, eval_mae: this.#distances / numbers };
    }
    if (this.#problem === "multi_label_classification") return ofCounts(this.#counts, accuracy);
    // A label that is neither there nor predicted is no part of the means.
    const isThere = this.#counts.filter(({ predicted, actual }) => predicted + actual > 0);
    return {
      ...ofCounts(isThere, accuracy),
      ...(this.#labels === 2 ? ofSecond(this.#counts[1]!) : {}),
      eval_confusion_matrix: this.#matrix,
    };
  }
}
