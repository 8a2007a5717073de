// Labels of a classifier: of its configuration, of the data, and of the head that the files hold.
import { LowrankError } from "../base/errors.js";
import { isObject } from "../base/json.js";
import { type ClassifierConfig, PROBLEM_TYPES, type ProblemType } from "../native/index.js";
import type { ConfigKeys } from "./keys.js";

/** A classifier that is asked for. */
export interface Classification {
  /** The data's labels in order; undefined takes the model's own. */
  labels?: string[] | undefined;
  /** Number of labels of an adapter that does not name them. */
  count?: number | undefined;
  problem?: ProblemType | undefined;
}

/** The numbers of a classifier in config.json. */
export interface ClassifierKeys {
  labels: string[];
  problem: ProblemType | undefined;
  padId: number | undefined;
  initStd: number;
}

const DEFAULT_LABELS = 2;
const defaultName = (i: number) => `LABEL_${i}`;
const isDefault = (labels: string[]) => labels.every((name, i) => name === defaultName(i));
/** Labels that are their own numbers. */
const areNumbers = (labels: string[], below: number) =>
  labels.every((name) => /^\d+$/.test(name) && Number(name) < below);

/** @throws LowrankError E_CONFIG_VALUE */
export function readClassifierKeys(keys: ConfigKeys): ClassifierKeys {
  const { id2label, num_labels: number } = keys.json;
  const named = isObject(id2label) ? Object.entries(id2label).sort(([a], [b]) => Number(a) - Number(b)) : [];
  const count =
    keys.given("num_labels") && typeof number === "number" ? keys.count("num_labels", 1 << 20) : DEFAULT_LABELS;
  const labels =
    named.length > 0 ? named.map(([, name]) => String(name)) : Array.from({ length: count }, (_, i) => defaultName(i));
  const pad = keys.json.pad_token_id;
  return {
    labels,
    problem: keys.given("problem_type") ? keys.only("problem_type", PROBLEM_TYPES) : undefined,
    padId: typeof pad === "number" ? pad : undefined,
    initStd: keys.number("initializer_range", { above: 0, atMost: 10 }, 0.02),
  };
}

/**
 * The classifier's labels. A configuration that names its labels decides; else the data does, as far as the stored head goes.
 * @param stored rows of the head in the files, if it is there
 * @param file of the configuration, for errors
 * @throws LowrankError E_LABEL
 */
export function resolveClassifier(
  asked: Classification,
  own: ClassifierKeys,
  stored: number | undefined,
  file: string,
): ClassifierConfig {
  const { padId, initStd } = own;
  const labels = resolveLabels(asked, own.labels, stored, file);
  const problem = asked.problem ?? own.problem ?? (labels.length === 1 ? "regression" : "single_label_classification");
  return { labels, problem, padId, initStd };
}

function resolveLabels(
  { labels: wanted, problem, count }: Classification,
  own: string[],
  stored: number | undefined,
  file: string,
): string[] {
  const rows = count ?? stored ?? own.length;
  if (wanted === undefined) return own.length === rows ? own : Array.from({ length: rows }, (_, i) => defaultName(i));
  const isNamed = !isDefault(own) && (stored === undefined || stored === own.length);
  if (isNamed && problem !== "regression") {
    if (areNumbers(wanted, own.length)) return own;
    const stranger = wanted.find((label) => !own.includes(label));
    if (stranger === undefined) return own;
    const message = `Label ${JSON.stringify(stranger)} is not in the list of ${file} (id2label): ${own.join(", ")}. Correct the label, or the list.`;
    throw new LowrankError("E_LABEL", message, stranger);
  }
  if (stored === undefined) return wanted;
  if (wanted.length > stored) {
    const message = `The data has ${wanted.length} labels (${wanted.slice(0, 5).join(", ")}${wanted.length > 5 ? ", ..." : ""}), but the head in the files of ${file} has ${stored}. Use a base without a head, or fewer labels.`;
    throw new LowrankError("E_LABEL", message, file);
  }
  if (areNumbers(wanted, stored)) return Array.from({ length: stored }, (_, i) => String(i));
  return Array.from({ length: stored }, (_, i) => wanted[i] ?? defaultName(i));
}
