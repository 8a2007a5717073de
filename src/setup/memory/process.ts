// Memory of a process besides its engine, as items of a memory plan.
import { existsSync, realpathSync, statSync } from "node:fs";
import { findMainFile, madeFile } from "../../data/index.js";
import { copiedBytes, type MemoryItem, type ModelSource } from "../../native/index.js";
import { heldBesides } from "./limits.js";

/**
 * Growth of the program from the plan to the peak: compiled code and the JavaScript heap. Measured over the table of
 * docs/memory.md.
 */
const GROWTH_BYTES = { training: 34 * 2 ** 20, inference: 4 * 2 ** 20 };

/** Memory of a tokenizer, in sizes of its tokenizer.json; measured for vocabularies of 2,000 to 49,000 tokens. */
const TOKENIZER_SIZES = 18;

const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Size of a tokenizer's file. Its faults are told when it is opened. */
function tokenizerBytes(path: string): number {
  try {
    const file = findMainFile(path);
    return madeFile(file)?.length ?? sizeOf(file);
  } catch {
    return 0;
  }
}

/** The process's present memory, without the weights: they are an item of their own. */
function heldNow(model: ModelSource): number {
  const files = [...new Set(model.tensors.map(({ file }) => file))];
  const copied = files.reduce((sum, file) => sum + copiedBytes(file), 0);
  return heldBesides(new Set(files.map((file) => (existsSync(file) ? realpathSync(file) : file)))) - copied;
}

/** @param tokenizer folder or file of the tokenizer that is still to be loaded; null where it has been */
export function processItems(
  work: keyof typeof GROWTH_BYTES,
  model: ModelSource,
  tokenizer: string | null,
): MemoryItem[] {
  return [
    { name: "tokenizer", bytes: tokenizer === null ? 0 : TOKENIZER_SIZES * tokenizerBytes(tokenizer), place: "host" },
    { name: "program", bytes: GROWTH_BYTES[work], place: "host" },
    { name: "process so far", bytes: heldNow(model), place: "host" },
  ];
}

/** An upper bound of `processItems`, without the look at every mapping: pages of the weights count twice. */
export function processAtMost(work: keyof typeof GROWTH_BYTES): MemoryItem[] {
  return [{ name: "program", bytes: GROWTH_BYTES[work] + process.memoryUsage.rss(), place: "host" }];
}
