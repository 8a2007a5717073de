import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { type MergedParts, readAdapter, writeMerged } from "../checkpoint/index.js";
import type { CommandOptions } from "../config/index.js";
import { adapterTemplates, type StoredTemplates, type Tokenizer } from "../data/index.js";
import { checkMergedModel, type MergedDifference } from "../export/index.js";
import { Engine } from "../native/index.js";
import { threadCount } from "../setup/adapter.js";
import { openBase } from "../setup/base.js";
import type { NamedSources } from "../setup/hub.js";
import { openTokenizerFor } from "../setup/inference.js";
import { checkOutput } from "../setup/run/output.js";
import { Log, Progress, showsBar } from "../tracking/index.js";
import { locatedShown } from "./downloading.js";
import { warn } from "./warn.js";

/** A question to a person; null where the terminal's line was closed, as by Ctrl-C and Ctrl-D. */
export type Ask = (question: string) => Promise<string | null>;

/** Asks until the answer is yes or no, or nothing, which is no. */
export async function isYes(question: string, ask: Ask): Promise<boolean> {
  for (let again = ""; ; again = "Please answer y or n. ") {
    const answer = (await ask(`${again}${question} [y/N] `))?.trim() ?? "";
    if (/^(n|no|)$/i.test(answer)) return false;
    if (/^y(es)?$/i.test(answer)) return true;
  }
}

/** A word of a shell's command line. */
const word = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** The command that merges a run's adapter later. */
export function mergeCommand(o: MergeQuestion, folder: string): string {
  const revision = o.revision === undefined ? "" : ` --revision ${word(o.revision)}`;
  const tokenizer = o.tokenizer_name === undefined ? "" : ` --tokenizer_name ${word(o.tokenizer_name)}`;
  return `lowrank merge --base_model ${word(o.base_model)}${revision}${tokenizer} --adapter ${word(o.output_dir)} --output_dir ${word(folder)}`;
}

export interface MergeQuestion {
  merge: boolean | undefined;
  base_model: string;
  revision?: string | undefined;
  tokenizer_name: string | undefined;
  output_dir: string;
}

/** Whether to merge after training: as told, else as a person at the terminal answers, else not. */
export async function wantsMerge(o: MergeQuestion, folder: string): Promise<boolean> {
  if (o.merge !== undefined) return o.merge;
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const closed = once(terminal, "close").then(() => null);
    const ask: Ask = (question) => Promise.race([terminal.question(question), closed]);
    const wanted = await isYes(`Write the merged model to ${folder}?`, ask);
    if (!wanted) process.stderr.write(`Later: ${mergeCommand(o, folder)}\n`);
    return wanted;
  } finally {
    terminal.close();
  }
}

export interface MergeWork extends MergedParts {
  engine: Engine;
  tokenizer: Tokenizer;
  /** Chat templates in the place of the tokenizer's. */
  templates: StoredTemplates | undefined;
  /** Replaces a merged model that stands there. */
  overwrite: boolean;
  progress: Progress;
  log: Log;
}

export async function mergeInto(folder: string, work: MergeWork): Promise<void> {
  const { progress, log, ...merge } = work;
  progress.start("merging", merge.model.tensors.length);
  await writeMerged({ ...merge, output: folder, onProgress: (done) => progress.update(done) });
  progress.stop();
  log.info(`saved the merged model in ${folder}`);
}

function tellDifference({ moved, off, stored }: MergedDifference, onto: "stored" | "trained", log: Log): void {
  const shown = (value: number) => value.toPrecision(3);
  log.info(`the adapter moves logits by up to ${shown(moved)}, the merged model is off by up to ${shown(off)}`);
  if (off > moved)
    log.warn("the merged model is off by more than the adapter moves: its numbers are too coarse for this adapter");
  if (stored === null) return;
  const way = `onto the base as it is stored, logits differ by up to ${shown(stored)} from base and adapter as they were trained`;
  log.info(onto === "stored" ? `${way}: --merge_onto trained keeps them` : way);
}

/** `lowrank merge`. */
export async function run(named: CommandOptions<"merge">): Promise<void> {
  const check = ({ base_model, tokenizer_name, adapter }: NamedSources) => {
    const inputs = [base_model, tokenizer_name, adapter];
    checkOutput(named.output_dir, named.overwrite_output_dir ? "results" : "nothing", inputs);
  };
  // Before a download, and with the base that an adapter names.
  check(named);
  const o = await locatedShown(named);
  check(o);
  const model = openBase(o, warn);
  const { spec, tensors } = readAdapter(o.adapter, model);
  const tokenizer = await openTokenizerFor(o, warn);
  const progress = await Progress.open(showsBar());
  const log = new Log({ level: "info", beforeLine: () => progress.clearLine() });
  try {
    const threads = threadCount(o.threads, warn);
    {
      const shape = { precision: "fp32", threads, maxTokens: 1, maxSequence: 1, training: false } as const;
      await using engine = await Engine.create(model, spec, shape);
      await engine.setAdapter(tensors);
      await mergeInto(o.output_dir, {
        engine,
        model,
        modules: [...spec.targets, ...(spec.whole ?? [])],
        tokens: spec.tokens,
        biases: spec.bias,
        decodes: o.merge_onto === "trained",
        tokenizer,
        templates: o.tokenizer_name === undefined ? adapterTemplates(o.adapter, tokenizer) : undefined,
        overwrite: o.overwrite_output_dir,
        progress,
        log,
      });
    }
    const checked = { model, adapter: o.adapter, threads };
    tellDifference(await checkMergedModel(o.output_dir, o.merge_onto, checked), o.merge_onto, log);
  } finally {
    progress.stop();
    await log.close();
  }
}
