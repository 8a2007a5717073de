// How large a checkpoint and an adapter are on disk, before they are written.
import { statSync } from "node:fs";
import { madeFile, type Tokenizer } from "../data/index.js";
import { type AdapterSpec, adapterTensors, type ModelSource, type Optimizer } from "../native/index.js";
import { PREFIX } from "./adapter.js";

/** Bytes of a tensor's entry in a safetensors header, beside its name: dtype, shape, offsets. */
const ENTRY_BYTES = 70;
/** adapter_config.json and the model card. */
const ABOUT_BYTES = 3 * 2 ** 10;
/** trainer_state.json, lowrank_state.json and manifest.json with a short history. */
const STATE_BYTES = 6 * 2 ** 10;
/** bitsandbytes' limit, which 8-bit AdamW follows: smaller tensors keep f32; the others have an f32 for each block. */
const LEAST_8BIT_ELEMENTS = 4096;
const BLOCK_8BIT = 256;

export interface SavedSizes {
  /** Bytes of the final adapter's files, and of a whole checkpoint. */
  adapter: number;
  checkpoint: number;
}

function momentBytes(elements: number, optimizer: Optimizer): number {
  if (optimizer === "adamw" || elements < LEAST_8BIT_ELEMENTS) return 4 * elements;
  return elements + 4 * Math.ceil(elements / BLOCK_8BIT);
}

/** Bytes of the files, without the file system's own. */
export function savedSizes(
  model: ModelSource,
  spec: AdapterSpec,
  optimizer: Optimizer,
  tokenizer: Pick<Tokenizer, "files">,
): SavedSizes {
  let weights = 0;
  let moments = 0;
  for (const [name, { shape }] of adapterTensors(model, spec)) {
    const elements = shape.reduce((product, n) => product * n, 1);
    const entry = PREFIX.length + name.length + ENTRY_BYTES;
    weights += 4 * elements + entry;
    moments += 2 * (momentBytes(elements, optimizer) + entry);
  }
  const sizeOf = (file: string) => {
    const text = madeFile(file);
    return text === undefined ? (statSync(file, { throwIfNoEntry: false })?.size ?? 0) : Buffer.byteLength(text);
  };
  const adapter = weights + ABOUT_BYTES + tokenizer.files.reduce((sum, file) => sum + sizeOf(file), 0);
  return { adapter, checkpoint: adapter + moments + STATE_BYTES };
}
