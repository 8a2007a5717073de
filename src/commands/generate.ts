import { LowrankError } from "../base/errors.js";
import type { CommandOptions } from "../config/index.js";
import { readChatTemplates, type Tokenizer } from "../data/index.js";
import { generating, openForInference, openTokenizerFor, openWithAdapter } from "../setup/inference.js";
import { readPrompt, samplingOf } from "../setup/prompt.js";
import { Progress, showsBar } from "../tracking/index.js";
import { type Ending, generate } from "../trainer/index.js";
import { continueTexts } from "./continue-texts.js";
import { locatedShown } from "./downloading.js";
import { loading, STDERR } from "./loading.js";
import { warn } from "./warn.js";

async function given(prompt: string): Promise<string> {
  if (prompt !== "-") return prompt;
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}

/** The reason why there is no text, and a remedy. */
export function nothingWritten(
  { tokens, stop }: Ending,
  tokenizer: Pick<Tokenizer, "decode">,
  {
    base_model,
    tokenizer_name,
    adapter,
  }: Pick<CommandOptions<"generate">, "tokenizer_name" | "adapter"> & { base_model: string },
): string {
  const name = (token: number) => JSON.stringify(tokenizer.decode(Int32Array.of(token), { skipSpecialTokens: false }));
  const first = tokens === 0 ? "at once" : `after ${tokens} ${tokens === 1 ? "token" : "tokens"} without text`;
  const why = stop === null ? `all ${tokens} tokens are without text` : `the model ended ${first}, with ${name(stop)}`;
  const template = templateOf(tokenizer_name ?? base_model);
  if (template !== undefined) {
    const example = template.includes("<|im_start|>")
      ? ", such as $'<|im_start|>user\\nHello<|im_end|>\\n<|im_start|>assistant\\n'"
      : "";
    return `nothing was written: ${why}. The model is made for prompts in its chat template, which the prompt must hold itself${example}.`;
  }
  const trained = adapter === undefined ? "" : ", or one in the form of the texts that the adapter was trained on";
  return `nothing was written: ${why}. It may expect another prompt: a longer one${trained}.`;
}

/** One that the model's folder has; undefined also where it cannot be read, which is no matter here. */
export function templateOf(folder: string): string | undefined {
  try {
    const [first] = readChatTemplates(folder).values();
    return first?.text;
  } catch {
    return undefined;
  }
}

/** `lowrank generate`: the continuation goes to standard output as it comes, everything else to standard error. */
export async function run(named: CommandOptions<"generate">): Promise<void> {
  const o = await locatedShown(named);
  if (o.input_file !== undefined) return continueTexts(o, o.input_file);
  if (o.prompt === undefined)
    throw new LowrankError("E_OPTIONS", "Nothing to go on from: give --prompt, or --input_file.", "prompt");
  const opening = openTokenizerFor(o, warn);
  opening.catch(() => {});
  const base = openWithAdapter(o, warn);
  const tokenizer = await opening;
  const text = await given(o.prompt);
  const context = base.model.config.maxPositions;
  const limit = `max_position_embeddings of ${o.origin?.name ?? o.base_model}`;
  const prompt = await readPrompt(text, o.max_new_tokens, tokenizer, context, limit);
  const { ids, maxNewTokens } = prompt;
  if (maxNewTokens < o.max_new_tokens) {
    process.stderr.write(
      `warning: the model's context of ${context} tokens leaves room for ${maxNewTokens} new tokens, not ${o.max_new_tokens}\n`,
    );
  }
  const reader = new AbortController();
  process.stdout.once("error", () => reader.abort());
  const progress = await Progress.open(showsBar());
  const creating = openForInference(base, generating([prompt]), loading(progress, STDERR));
  await using engine = await creating.finally(() => progress.stop());
  const pieces = generate(engine, tokenizer, ids, {
    ...samplingOf(o, tokenizer, o.base_model),
    maxNewTokens,
    signal: reader.signal,
  });
  let hasText = false;
  let next = await pieces.next();
  for (; !next.done; next = await pieces.next()) {
    hasText ||= next.value.trim() !== "";
    process.stdout.write(next.value);
  }
  if (!hasText && !reader.signal.aborted) process.stderr.write(`note: ${nothingWritten(next.value, tokenizer, o)}\n`);
  // The text itself may end in the middle of a line; a terminal's prompt should not.
  if (process.stdout.isTTY) process.stdout.write("\n");
}
