import { readAdapter } from "../checkpoint/index.js";
import type { GenerateOptions } from "../config/index.js";
import { readEosIds, Tokenizer } from "../data/index.js";
import { Engine, type EngineOptions } from "../engine.js";
import { openBase } from "../setup/base.js";
import { planInference } from "../setup/inference-memory.js";
import { choosePrecision, stopIds, threadCount } from "../setup/inputs.js";
import { readPrompt } from "../setup/prompt.js";
import { Progress, showsBar } from "../tracking/index.js";
import { generate } from "../trainer/index.js";
import { loading, STDERR } from "./loading.js";
import { warn } from "./warn.js";

async function given(prompt: string): Promise<string> {
  if (prompt !== "-") return prompt;
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

/** `lowrank generate`: the continuation goes to standard output as it comes, everything else to standard error. */
export async function run(o: GenerateOptions): Promise<void> {
  const opening = Tokenizer.open(o.tokenizer_name ?? o.base_model, warn);
  opening.catch(() => {});
  const model = openBase(o, warn);
  const adapter = o.adapter === undefined ? null : readAdapter(o.adapter, model);
  const tokenizer = await opening;
  const text = await given(o.prompt);
  const context = model.config.maxPositions;
  const limit = `max_position_embeddings of ${o.base_model}`;
  const { ids: prompt, maxNewTokens } = await readPrompt(text, o.max_new_tokens, tokenizer, context, limit);
  if (maxNewTokens < o.max_new_tokens) {
    process.stderr.write(
      `warning: the model's context of ${context} tokens leaves room for ${maxNewTokens} new tokens, not ${o.max_new_tokens}\n`,
    );
  }
  const reader = new AbortController();
  process.stdout.once("error", () => reader.abort());
  const spec = adapter?.spec ?? null;
  const options: EngineOptions = {
    precision: choosePrecision(o.precision, model),
    threads: threadCount(o.threads, warn),
    maxTokens: prompt.length,
    maxSequence: prompt.length + maxNewTokens,
    training: false,
  };
  const advice = "Use a smaller --max_new_tokens or a shorter prompt.";
  planInference({ model, adapter: spec, engine: options }, { what: "Generating", advice });
  const progress = await Progress.open(showsBar());
  const creating = Engine.create(model, spec, options, loading(progress, STDERR));
  await using engine = await creating.finally(() => progress.stop());
  if (adapter) await engine.setAdapter(adapter.tensors);
  const pieces = generate(engine, tokenizer, prompt, {
    temperature: o.temperature,
    topK: o.top_k,
    topP: o.top_p,
    seed: o.seed,
    maxNewTokens,
    stopIds: stopIds(readEosIds(o.base_model), tokenizer),
    signal: reader.signal,
  });
  for await (const piece of pieces) process.stdout.write(piece);
  // The text itself may end in the middle of a line; a terminal's prompt should not.
  if (process.stdout.isTTY) process.stdout.write("\n");
}
