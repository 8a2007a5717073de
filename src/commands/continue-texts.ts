import type { CommandOptions } from "../config/index.js";
import { type Column, type DataFile, dataFiles, firstRow, readRows } from "../data/index.js";
import { generating, openForInference, openTokenizerFor, openWithAdapter } from "../setup/inference.js";
import { readPrompts, samplingOf } from "../setup/prompt.js";
import { readOptions } from "../setup/texts.js";
import { Progress, showsBar } from "../tracking/index.js";
import { generateTogether } from "../trainer/index.js";
import { loading, STDERR } from "./loading.js";
import { warn } from "./warn.js";

type Options = CommandOptions<"generate">;

/** The column of the prompts, by the first row. */
async function columnOf(files: DataFile[], o: Options): Promise<"prompt" | "text"> {
  const names = ["prompt", "text"] as const;
  const columns = names.map((name): Column => ({ name, holds: "values", isOptional: true }));
  const row = await firstRow(files, columns, readOptions(o));
  return names.find((_, i) => (row?.[i] ?? null) !== null) ?? "prompt";
}

async function promptsOf(o: Options, files: NonNullable<Options["input_file"]>): Promise<string[]> {
  const prompts: string[] = [];
  const { files: given } = dataFiles(files);
  const columns = [{ name: o.text_column ?? (await columnOf(given, o)), holds: "texts" as const }];
  for await (const { rows } of readRows(given, columns, readOptions(o), warn)) {
    for (const { values } of rows) prompts.push(values[0] as string);
  }
  return prompts;
}

/** `lowrank generate --input_file`: a line of JSON for each prompt, in their order. @param o with names of the hub resolved */
export async function continueTexts(
  o: Options & { base_model: string },
  files: NonNullable<Options["input_file"]>,
): Promise<void> {
  const given = await promptsOf(o, files);
  const tokenizer = await openTokenizerFor(o, warn);
  const base = openWithAdapter(o, warn);
  const context = base.model.config.maxPositions;
  const limit = `max_position_embeddings of ${o.base_model}`;
  const prompts = await readPrompts(given, o.max_new_tokens, tokenizer, context, limit);
  const texts = Math.min(o.per_device_eval_batch_size, prompts.length);
  const reader = new AbortController();
  process.stdout.once("error", () => reader.abort());
  const progress = await Progress.open(showsBar());
  try {
    await using engine = await openForInference(base, generating(prompts, texts), loading(progress, STDERR));
    progress.stop();
    progress.start("generating, texts", prompts.length);
    let done = 0;
    for await (const { text, tokens, stop } of generateTogether(engine, tokenizer, {
      prompts,
      texts,
      ...samplingOf(o, tokenizer, o.base_model),
      signal: reader.signal,
    })) {
      const ended = stop === null ? "length" : "stop";
      progress.clearLine();
      process.stdout.write(`${JSON.stringify({ prompt: given[done], text, tokens, finish_reason: ended })}\n`);
      progress.update(++done);
    }
  } finally {
    progress.stop();
  }
}
