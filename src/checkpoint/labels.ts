// classifier_config.json: the labels of a trained classifier, for which PEFT's files have no place. Its keys are config.json's.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { LowrankError } from "../base/errors.js";
import { readJsonObject } from "../base/json.js";
import { type Classification, readSafetensorsHeader } from "../model/index.js";
import { type ClassifierConfig, PROBLEM_TYPES } from "../native/index.js";
import { sortedJson, writeTextFile } from "./files.js";

export const LABELS = "classifier_config.json";
/** The last layer of a classifier's head, by its name in an adapter. */
const LAST_LAYER = /(^|\.)(score|classifier|classifier\.out_proj)\.weight$/;

const schema = z.object({ id2label: z.record(z.string(), z.string()), problem_type: z.enum(PROBLEM_TYPES) });

/** @throws LowrankError E_WRITE */
export async function writeLabels(folder: string, { labels, problem }: ClassifierConfig): Promise<void> {
  const id2label = Object.fromEntries(labels.map((name, i) => [i, name]));
  const label2id = Object.fromEntries(labels.map((name, i) => [name, i]));
  await writeTextFile(join(folder, LABELS), sortedJson({ id2label, label2id, problem_type: problem }));
}

/**
 * The classifier that an adapter is of: by classifier_config.json or, of an adapter of PEFT's, by the rows of its head.
 * @throws LowrankError E_FILE, E_CONFIG_VALUE
 */
export function readLabels(folder: string): Classification {
  const file = join(folder, LABELS);
  if (existsSync(file)) {
    const parsed = schema.safeParse(readJsonObject(file, "Labels"));
    const [first] = parsed.error?.issues ?? [];
    if (first) throw new LowrankError("E_CONFIG_VALUE", `${file}: ${first.path.join(".")}: ${first.message}.`, file);
    const { id2label, problem_type: problem } = parsed.data!;
    return { labels: Object.keys(id2label).map((_, i) => id2label[i] ?? `LABEL_${i}`), problem };
  }
  const { tensors } = readSafetensorsHeader(join(folder, "adapter_model.safetensors"));
  return { count: tensors.find(({ name }) => LAST_LAYER.test(name))?.shape[0] };
}
