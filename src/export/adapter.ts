// A LoRA adapter as a GGUF file for llama.cpp.
import { LowrankError } from "../base/errors.js";
import { type Factors, readAdapter, readFactors } from "../checkpoint/index.js";
import { type EncodedDtype, encode, ggufNames, orderRows, TensorNames, writeGgufFile } from "../model/index.js";
import type { ModelSource } from "../native/index.js";

/** @throws LowrankError E_EXPORT for modules that llama.cpp takes no adapter of */
function placeOf(names: TensorNames, module: string) {
  const place = names.placeOf(`${module}.weight`);
  if (place?.name.startsWith("blk.")) return place;
  const message = `Module ${module}: llama.cpp takes adapters on the linears of blocks alone. Export the merged model (--format gguf).`;
  throw new LowrankError("E_EXPORT", message, module);
}

/**
 * llama.cpp multiplies each pair by one alpha of the file over the pair's own rank. Where all pairs have a scale of this form, alpha is the
 * adapter's and the factors are as they are. Else each B is multiplied by the rest of its scale.
 */
function alphaOf(factors: readonly Factors[]): number {
  const [first] = factors;
  const alpha = Math.fround(first!.scale * first!.rank);
  return factors.every(({ scale, rank }) => scale === alpha / rank) ? alpha : first!.rank;
}

/** @param alpha of the file */
function scaledB({ b, scale, rank }: Factors, alpha: number): Float32Array {
  const rest = (scale * rank) / alpha;
  return rest === 1 ? b : b.map((value) => value * rest);
}

/**
 * Writes an adapter's factors under llama.cpp's names.
 * @param model the base
 * @throws LowrankError E_ADAPTER where the adapter is not plain LoRA, or of another base; E_ARCHITECTURE, E_EXPORT, E_WRITE
 */
export async function exportAdapter(
  folder: string,
  model: ModelSource,
  file: string,
  dtype: EncodedDtype,
): Promise<void> {
  const { architecture } = ggufNames(model.config);
  const { spec } = readAdapter(folder, model);
  const others = [
    ["magnitudes (DoRA)", spec.useDora],
    ["biases", spec.bias],
    ["whole layers (modules_to_save)", spec.whole?.length],
    ["rows of tokens (trainable_token_indices)", spec.tokens?.length],
  ] as const;
  const what = others.find(([, has]) => has)?.[0];
  if (what !== undefined) {
    const message = `${folder}: llama.cpp's adapters have no ${what}. Export the merged model (--format gguf).`;
    throw new LowrankError("E_EXPORT", message, folder);
  }
  const factors = readFactors(folder);
  const alpha = alphaOf(factors);
  const names = new TensorNames(model.config, model.spec);
  const tensors = factors.flatMap((pair) => {
    const { name, order } = placeOf(names, pair.module);
    const { a, inputs, out, rank } = pair;
    const b = () => encode(dtype, orderRows(scaledB(pair, alpha), rank, order));
    return [
      { name: `${name}.lora_a`, shape: [rank, inputs], dtype, data: () => encode(dtype, a) },
      { name: `${name}.lora_b`, shape: [out, rank], dtype, data: b },
    ];
  });
  const metadata = {
    "general.architecture": architecture,
    "general.type": "adapter",
    "general.name": "LoRA adapter",
    "adapter.type": "lora",
    "adapter.lora.alpha": { f32: alpha },
  };
  await writeGgufFile(file, metadata, tensors);
}
