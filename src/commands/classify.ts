import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isAdapterFolder } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import { dataFiles, readRows } from "../data/index.js";
import { classifyTexts, openClassifier, requireTrained, type TextOrPair } from "../setup/classify.js";
import { evaluating, openForInference, openTokenizerFor } from "../setup/inference.js";
import { columnsOfTexts } from "../setup/labels.js";
import { readOptions } from "../setup/texts.js";
import { Progress, showsBar } from "../tracking/index.js";
import { locatedShown } from "./downloading.js";
import { loading, STDERR } from "./loading.js";
import { warn } from "./warn.js";

type Options = CommandOptions<"classify">;

/** The texts of the option, of files, or of the lines of standard input. */
async function* textsOf(o: Options): AsyncGenerator<TextOrPair> {
  if (o.text !== undefined) {
    yield o.text_pair === undefined ? o.text : [o.text, o.text_pair];
  } else if (o.input_file !== undefined) {
    const { files } = dataFiles(o.input_file);
    const names = (await columnsOfTexts(files, o, readOptions(o))).filter((name) => name !== undefined);
    const columns = names.map((name) => ({ name, holds: "texts" as const }));
    for await (const { rows } of readRows(files, columns, readOptions(o), warn)) {
      for (const { values } of rows) yield values.length === 1 ? (values[0] as string) : (values as [string, string]);
    }
  } else {
    for await (const line of createInterface({ input: process.stdin })) if (line.trim() !== "") yield line;
  }
}

/** A folder of a whole model may stand in the place of an adapter. */
function withModel<O extends Pick<Options, "adapter" | "base_model">>(o: O): O {
  const { adapter } = o;
  const isModel = adapter !== undefined && existsSync(join(adapter, "config.json")) && !isAdapterFolder(adapter);
  return isModel ? { ...o, adapter: undefined, base_model: o.base_model ?? adapter } : o;
}

/** `lowrank classify`: a line of JSON for each text on standard output. */
export async function run(named: Options): Promise<void> {
  const o = await locatedShown(withModel(named));
  const base = openClassifier(o, warn);
  requireTrained(base);
  const { classifier, maxPositions } = base.model.config;
  const maxLength = Math.min(o.max_seq_length, maxPositions);
  const batchSize = o.per_device_eval_batch_size;
  const tokenizer = await openTokenizerFor(o, warn);
  const progress = await Progress.open(showsBar());
  const creating = openForInference(base, evaluating(batchSize, maxLength, true), loading(progress, STDERR));
  await using engine = await creating.finally(() => progress.stop());
  let before = 0;
  const write = async (texts: TextOrPair[]) => {
    const options = { maxLength, side: o.truncation_side, before };
    const found = await classifyTexts(engine, tokenizer, classifier!, texts, options);
    before += texts.length;
    process.stdout.write(found.map((one) => `${JSON.stringify(one)}\n`).join(""));
  };
  let batch: TextOrPair[] = [];
  for await (const text of textsOf(o)) {
    batch.push(text);
    if (batch.length < batchSize) continue;
    await write(batch);
    batch = [];
  }
  if (batch.length > 0) await write(batch);
}
