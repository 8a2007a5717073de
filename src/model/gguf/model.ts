// A GGUF file as a model: its configuration from the metadata, its tensors under Hugging Face's names.

import { LowrankError } from "../../base/errors.js";
import type { ModelSource, TensorEntry } from "../../native/index.js";
import { modelSource } from "../spec.js";
import { readGgufConfig } from "./config.js";
import { type GgufHeader, type GgufTensor, readGgufHeader } from "./header.js";
import { Metadata, shown } from "./metadata.js";
import { type RowOrder, TensorNames } from "./names.js";
import { storedFactors } from "./rope-factors.js";
import { READABLE_TYPES, tensorType } from "./types.js";

/** Tensors that a model of ours would compute with, if it had them; rotary factors of a block follow from the numbers. */
const COUNTS = /^(blk\.\d+\.(?!attn_rot_embd|rope_freqs)|output|token_embd|position_embd).*\.(weight|bias)$/;

function entryOf(file: string, tensor: GgufTensor, name: string, order: RowOrder): TensorEntry {
  const { shape, offset, bytes } = tensor;
  const { name: type, stored } = tensorType(tensor.type);
  if (stored === undefined || bytes === undefined) {
    const message = `${file}: tensor ${tensor.name} is stored as ${type}, expected ${READABLE_TYPES.join(", ")}. Use a file with one of these.`;
    throw new LowrankError("E_TENSOR_DTYPE", message, tensor.name);
  }
  return { name, dtype: stored.dtype, shape, file, offset, bytes, ...order };
}

const ADVICE = "Use another file, or the Hugging Face folder of the model.";

function checkWhole({ file }: GgufHeader, metadata: Metadata): void {
  const parts = metadata.get("split.count") ?? 1;
  if (parts === 0 || parts === 1) return;
  const message = `${file} is one part of a split model: split.count is ${shown(parts)}, expected 1. Join the parts first (llama-gguf-split --merge).`;
  throw new LowrankError("E_GGUF", message, "split.count");
}

/**
 * Every tensor of every block, so that a wrong number of blocks ends here.
 * @throws LowrankError E_TENSOR_MISSING
 */
function checkComplete({ file, tensors }: GgufHeader, names: TensorNames, architecture: string, layers: number): void {
  const found = new Set(tensors.map(({ name }) => name));
  for (const name of names.required) {
    if (found.has(name)) continue;
    const message = `${file}: tensor ${name} (${names.tensorOf(name)}) is missing: the file is incomplete, or ${architecture}.block_count (${layers}) is wrong. Download the file again.`;
    throw new LowrankError("E_TENSOR_MISSING", message, name);
  }
}

/**
 * A GGUF file as a base model; the weights stay where they are, as they are.
 * @throws LowrankError E_GGUF, E_ARCHITECTURE, E_TENSOR_DTYPE, E_TENSOR_MISSING, E_CONFIG_VALUE naming file, key or tensor
 */
export function openGguf(file: string): ModelSource {
  const header = readGgufHeader(file);
  const metadata = new Metadata(header, "E_CONFIG_VALUE", ADVICE);
  checkWhole(header, metadata);
  const tensors = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  const { config, family } = readGgufConfig({
    file,
    metadata,
    vocabSize: tensors.get("token_embd.weight")?.shape[0],
    has: (name) => tensors.has(name),
    factors: (name, length) => storedFactors(header, name, length),
  });
  const model = modelSource(file, config, []);
  const names = new TensorNames(config, model.spec);
  const { architecture } = family.gguf;
  checkComplete(header, names, architecture, model.spec.layers);
  for (const tensor of header.tensors) {
    const name = names.tensorOf(tensor.name);
    if (name !== undefined) model.tensors.push(entryOf(file, tensor, name, names.placeOf(name)!.order));
    else if (COUNTS.test(tensor.name)) {
      const kind = tensor.name.endsWith(".bias") ? "bias" : "tensor";
      const message = `${file}: tensor ${tensor.name}: this ${kind} is not supported in GGUF files of ${architecture}. Use the Hugging Face folder of the model.`;
      throw new LowrankError("E_GGUF", message, tensor.name);
    }
  }
  return model;
}
