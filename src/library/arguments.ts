// Checks of the public methods' arguments, by the schema of the options and some rows for arguments that only
// programs can give.

import { LowrankError } from "../base/errors.js";
import {
  type Command,
  custom,
  modelRows,
  type OptionsOf,
  optional,
  optionsFrom,
  type Rows,
  rows,
  shownValue,
  without,
} from "../config/index.js";
import type { TextOrPair } from "../setup/classify.js";
import type { Adapter } from "./adapter.js";
import type { Download } from "./download.js";

/** Texts in memory, or as they come. */
export type Texts = Iterable<string | { text: string }> | AsyncIterable<string | { text: string }>;

/** The same, or rows: `{ prompt, completion }`, `{ messages }` and the other forms of rows of files (docs/data.md). */
export type Items = Iterable<string | object> | AsyncIterable<string | object>;

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** Whether its items are texts is checked when they are read; bytes and numbers never are. */
export function isTexts(value: unknown): value is Texts {
  if (!isObject(value) || ArrayBuffer.isView(value)) return false;
  const { [Symbol.iterator]: one, [Symbol.asyncIterator]: other } = value as Partial<
    Iterable<string> & AsyncIterable<string>
  >;
  return typeof one === "function" || typeof other === "function";
}

const isCount = (value: unknown) => Number.isInteger(value) && (value as number) > 0;

function isTensor(value: unknown): boolean {
  const { shape, data } = value as Partial<{ shape: unknown; data: unknown }>;
  return Array.isArray(shape) && shape.length > 0 && shape.every(isCount) && data instanceof Float32Array;
}

function isAdapter(value: unknown): value is Adapter {
  if (!isObject(value)) return false;
  const { folder, spec, tensors, targets } = value as Partial<Adapter>;
  if (typeof folder !== "string" || !isObject(spec) || !isObject(targets) || !(tensors instanceof Map)) return false;
  const { rank, alpha, dropout, useRslora, seed, targets: modules } = spec;
  return (
    isCount(rank) &&
    [alpha, dropout, seed].every((number) => typeof number === "number") &&
    typeof useRslora === "boolean" &&
    Array.isArray(modules) &&
    modules.every((name) => typeof name === "string") &&
    [...tensors].every(([name, tensor]) => typeof name === "string" && isTensor(tensor))
  );
}

const isSignal = (value: unknown): value is AbortSignal => value instanceof AbortSignal;

/** Rows of arguments that only programs can give. */
export const signal = custom("an AbortSignal", isSignal, "ends the work in progress").optional();
export const adapter = custom("what loadAdapter or trainer.adapter() gives", isAdapter, "the adapter").optional();
/** @param instead other types that may be given, in words */
export const texts = (instead = "") =>
  custom(`an iterable of strings or of { text: string }${instead}`, isTexts, "the texts").optional();

/** @param instead likewise */
export const items = (instead: string) =>
  custom(
    `an iterable of strings, of { text: string } or of rows${instead}`,
    (value): value is Items => isTexts(value),
    "the texts",
  ).optional();

export const yesOrNo = custom(
  "true or false",
  (value): value is boolean => typeof value === "boolean",
  "true or false",
);

/** The options of a method. @throws LowrankError E_ARGUMENT, E_USAGE */
export function methodOptions<R extends Rows>(method: string, methodRows: R): (given: unknown) => OptionsOf<R> {
  const command: Command<R> = { name: method, summary: "", example: "", rows: methodRows };
  return (given) => optionsFrom(command, given).options;
}

const isFunction = (value: unknown): value is (download: Download) => void => typeof value === "function";
export const on_download = custom("a function", isFunction, "is told how far a download is").optional();

type OnUpload = (upload: { done: number; total: number }) => void;
const isUploadFunction = (value: unknown): value is OnUpload => typeof value === "function";
const { hub_private_repo, hub_token, revision } = rows;
export const pushOptions = methodOptions("pushToHub", {
  ...{ hub_private_repo, hub_token, revision, base_model: optional(rows.base_model), signal },
  on_upload: custom("a function", isUploadFunction, "is told how far an upload is").optional(),
});

// The base is the first argument.
export const openOptions = methodOptions("Model.open", {
  ...without(modelRows, "base_model"),
  task: rows.task,
  signal,
  on_download,
});
export const modelClassifyOptions = methodOptions("model.classify", {
  max_seq_length: rows.max_seq_length,
  truncation_side: rows.truncation_side,
  batch_size: rows.per_device_eval_batch_size,
});
export const loadAdapterOptions = methodOptions("loadAdapter", { signal, on_download });

const { max_new_tokens, temperature, top_k, top_p, seed } = rows;
const sampling = { max_new_tokens, temperature, top_k, top_p, seed, signal };
export const modelGenerateOptions = methodOptions("model.generate", { ...sampling, adapter });
export const modelGenerateTextsOptions = methodOptions("model.generateTexts", {
  ...sampling,
  adapter,
  batch_size: rows.per_device_eval_batch_size,
});
export const trainerGenerateOptions = methodOptions("trainer.generate", { ...sampling, wait: yesOrNo.or(false) });
export type TextRequestOptions = Omit<ReturnType<typeof trainerGenerateOptions>, "wait">;

const { add_eos, cache_dir, cache_limit_gb, long_text, max_seq_length, per_device_eval_batch_size } = rows;
export const modelEvaluateOptions = methodOptions("model.evaluate", {
  adapter,
  batch_size: per_device_eval_batch_size,
  max_seq_length,
  long_text,
  add_eos,
  cache_dir,
  cache_limit_gb,
  signal,
});
export const runOptions = methodOptions("trainer.run", { signal });
export const trainerEvaluateOptions = methodOptions("trainer.evaluate", { signal });
export const trainerClassifyOptions = methodOptions("trainer.classify", { truncation_side: rows.truncation_side });

/** @throws LowrankError E_ARGUMENT where a path is none */
export function checkPath(value: unknown, method: string, name: string): asserts value is string {
  if (typeof value === "string" && value !== "" && !value.includes("\0")) return;
  throw new LowrankError("E_ARGUMENT", `${method}: expected the path of ${name}, found ${shownValue(value)}.`, name);
}

/** @param name of the argument. @throws LowrankError E_ARGUMENT */
function check(
  value: unknown,
  method: string,
  name: string,
  expected: string,
  holds: (value: unknown) => boolean,
): void {
  let found = false;
  try {
    found = holds(value);
  } catch {
    // Code of the value itself, as of a proxy: then it is none.
  }
  if (found) return;
  throw new LowrankError("E_ARGUMENT", `${method}: expected ${expected}, found ${shownValue(value)}.`, name);
}

const isText = (value: unknown) => typeof value === "string";
const isList = (value: unknown, isOne: (one: unknown) => boolean) =>
  Array.isArray(value) && value.length > 0 && value.every(isOne);

/** @throws LowrankError E_ARGUMENT */
export function checkTexts(value: unknown, method: string): asserts value is Texts {
  check(value, method, "texts", texts().expects, isTexts);
}

/** @throws LowrankError E_ARGUMENT */
export function checkPrompts(value: unknown, method: string): asserts value is readonly string[] {
  check(value, method, "prompts", "a list of texts", (list) => isList(list, isText));
}

/** @throws LowrankError E_ARGUMENT */
export function checkTextsOrPairs(value: unknown, method: string): asserts value is readonly TextOrPair[] {
  const isOne = (one: unknown) => isText(one) || (isList(one, isText) && (one as unknown[]).length === 2);
  check(value, method, "texts", "a list of texts, or of pairs of texts", (list) => isList(list, isOne));
}
