import { existsSync, rmSync } from "node:fs";
import { LowrankError } from "../base/errors.js";
import { readAdapter } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import { Tokenizer } from "../data/index.js";
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
import { Progress, showsBar } from "../tracking/index.js";
import { locatedShown } from "./downloading.js";
import { warn } from "./warn.js";

type Located = Omit<CommandOptions<"export">, "base_model"> & { base_model: string };

/** `lowrank export`. */
export async function run(named: CommandOptions<"export">): Promise<void> {
  const { output_file: file } = named;
  if (existsSync(file) && !named.overwrite_output_dir) {
    const message = `${file} is there already. Choose another --output_file, or replace it with --overwrite_output_dir.`;
    throw new LowrankError("E_OUTPUT_EXISTS", message, file);
  }
  const o = await locatedShown(named);
  const model = openModel(o.base_model, warn);
  let found: Difference;
  try {
    found = await (o.format === "gguf" ? writeModel : writeAdapter)(o, model);
  } catch (error) {
    // Half a file is no file; one that was there before is overwritten by then.
    rmSync(file, { force: true });
    throw error;
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
  const tokenizer = await Tokenizer.open(o.tokenizer_name ?? o.base_model, warn);
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
