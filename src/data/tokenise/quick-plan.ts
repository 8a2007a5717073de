// The plan of the quick encoder, from a tokenizer's files. Threads are sent it, and load none of this.
import { dirname } from "node:path";
import { readAddedTokens } from "../added-tokens.js";
import { planBpe } from "../bpe/index.js";
import { readTokenizerBytes } from "../made-files.js";
import { readTokenizerSettings } from "../special-tokens.js";
import type { QuickPlan } from "./quick-encoder.js";

/** How a tokenizer.json is done the quick way; null where it is for the package alone. */
export function quickPlan(file: string): QuickPlan | null {
  const bpe = planBpe(readTokenizerBytes(file), readAddedTokens(file).contents);
  return bpe && { bpe, file, side: readTokenizerSettings(dirname(file)).truncationSide };
}
