import { existsSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { writeError } from "../base/system-errors.js";
import { readAdapter } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import { adapterTemplates } from "../data/index.js";
import {
  checkExportedAdapter,
  checkExportedModel,
  type Difference,
  exportAdapter,
  exportModel,
} from "../export/index.js";
import { type EncodedDtype, modelDtype, openModel } from "../model/index.js";
import { Engine, type ModelSource } from "../native/index.js";
import { threadCount } from "../setup/adapter.js";
import { openTokenizerFor } from "../setup/inference.js";
import { isInside } from "../setup/run/output.js";
import { Progress, showsBar } from "../tracking/index.js";
import { locatedShown } from "./downloading.js";
import { warn } from "./warn.js";

type Located = Omit<CommandOptions<"export">, "base_model"> & { base_model: string };

/** @throws LowrankError E_OUTPUT_EXISTS for a file that is there and is read, or is not to be replaced */
function checkOutputFile(file: string, inputs: string[], replaces: boolean): void {
  if (!existsSync(file)) return;
  if (!replaces) {
    const message = `${file} is there already. Choose another --output_file, or replace it with --overwrite_output_dir.`;
    throw new LowrankError("E_OUTPUT_EXISTS", message, file);
  }
  const read = inputs.find((path) => existsSync(path) && isInside(file, path));
  if (read !== undefined) {
    const message = `--output_file ${file} is or belongs to ${read}, which is read. Choose another --output_file.`;
    throw new LowrankError("E_OUTPUT_EXISTS", message, file);
  }
}

/** `lowrank export`. */
export async function run(named: CommandOptions<"export">): Promise<void> {
  const { output_file: file } = named;
  checkOutputFile(file, [named.adapter], named.overwrite_output_dir);
  const o = await locatedShown(named);
  checkOutputFile(file, [o.base_model], named.overwrite_output_dir);
  const model = openModel(o.base_model, warn);
  // Half a file is no file, and what was there before stays until the new one is whole and checked.
  const temporary = join(dirname(file), `.tmp.${basename(file)}`);
  let found: Difference;
  try {
    found = await (o.format === "gguf" ? writeModel : writeAdapter)({ ...o, output_file: temporary }, model);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    const isWriting = error instanceof LowrankError && error.code === "E_WRITE";
    throw writeError(isWriting ? error.cause : error, file);
  }
  const { moved, off } = found;
  if (o.json) process.stdout.write(`${JSON.stringify({ output_file: file, logits_moved: moved, logits_off: off })}\n`);
  else {
    const logits = `the adapter moves logits by up to ${moved.toPrecision(3)}, the file is off by up to ${off.toPrecision(3)}`;
    process.stdout.write(`wrote ${file}: ${logits}\n`);
  }
  if (o.format === "gguf" && off > moved) {
    warn(
      "rounding to this type changes logits more than the adapter does: use a type with more bits, or the base as it is with --format gguf-adapter",
    );
  }
}

async function writeAdapter(o: Located, model: ModelSource): Promise<Difference> {
  const dtype = o.outtype ?? "f32";
  if (dtype !== "f32" && dtype !== "f16") {
    throw new LowrankError(
      "E_USAGE",
      `outtype ${dtype} is for models; an adapter is written as f32 or f16.`,
      "outtype",
    );
  }
  await exportAdapter(o.adapter, model, o.output_file, dtype);
  return checkExportedAdapter(o.output_file, { model, adapter: o.adapter, threads: threadCount(o.threads, warn) });
}

async function writeModel(o: Located, model: ModelSource): Promise<Difference> {
  const { spec, tensors } = readAdapter(o.adapter, model);
  const tokenizer = await openTokenizerFor(o, warn);
  const threads = threadCount(o.threads, warn);
  const progress = await Progress.open(showsBar());
  const shape = { precision: "fp32", threads, maxTokens: 1, maxSequence: 1, training: false } as const;
  try {
    await using engine = await Engine.create(model, spec, shape);
    await engine.setAdapter(tensors);
    const dtype = o.outtype ?? (modelDtype(model) as EncodedDtype);
    progress.start("encoding", model.tensors.length);
    const onProgress = (done: number) => progress.update(done);
    const { others } = await exportModel({
      engine,
      model,
      modules: [...spec.targets, ...(spec.whole ?? [])],
      tokens: spec.tokens,
      tokenizer,
      templates: o.tokenizer_name === undefined ? adapterTemplates(o.adapter, tokenizer) : undefined,
      file: o.output_file,
      dtype,
      onProgress,
    });
    if (others > 0)
      warn(`${others} matrices are stored in another type, as their rows are no whole blocks of ${dtype}`);
  } finally {
    progress.stop();
  }
  return checkExportedModel(o.output_file, { model, adapter: o.adapter, threads });
}
