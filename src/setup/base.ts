// The base model as the options want it: as it is stored, or quantised while it is loaded.
import { listLinears, type ModelSource, type QuantizeSpec } from "../engine.js";
import { LowrankError } from "../errors.js";
import { openModel, PLAIN } from "../model/index.js";

export interface BaseOptions {
  base_model: string;
  use_4bit: boolean;
  use_8bit: boolean;
  double_quant: boolean;
  quantize_skip: string[] | undefined;
}

export type Warn = (message: string) => void;

/** How the linears of the blocks are stored; undefined: as they are. */
function wantedSpec(o: Omit<BaseOptions, "base_model">, warn: Warn): QuantizeSpec | undefined {
  if (o.use_4bit && o.use_8bit) warn("--use_4bit and --use_8bit are both given: the base is quantised to 4 bits");
  if (o.use_4bit) return { format: "nf4", doubleQuant: o.double_quant };
  return o.use_8bit ? { format: "i8", doubleQuant: false } : undefined;
}

/**
 * Whether a module is one of those named, by its whole name or the last parts of it. The head and the embedding are no
 * linears of a block: they stay as they are.
 */
function isNamed(module: string, names: string[]): boolean {
  return names.some((name) => module === name || module.endsWith(`.${name}`));
}

/** @throws LowrankError E_QUANTIZED, E_USAGE */
export function quantizedSource(model: ModelSource, o: Omit<BaseOptions, "base_model">, warn: Warn): ModelSource {
  const spec = wantedSpec(o, warn);
  const skip = o.quantize_skip ?? [];
  if (!spec) {
    if (skip.length > 0)
      throw new LowrankError("E_USAGE", "quantize_skip needs use_4bit or use_8bit.", "quantize_skip");
    return model;
  }
  const linears = listLinears(model).map(({ name }) => name);
  const unknown = skip.filter(
    (name) => !["lm_head", "head"].includes(name) && !linears.some((each) => isNamed(each, [name])),
  );
  if (unknown.length > 0) {
    const known = [...new Set(linears.map((name) => name.slice(name.lastIndexOf(".") + 1)))].join(", ");
    const message = `quantize_skip: the model has no module ${unknown.join(", ")}. It has ${known}.`;
    throw new LowrankError("E_USAGE", message, "quantize_skip");
  }
  const weights = new Set(linears.filter((name) => !isNamed(name, skip)).map((name) => `${name}.weight`));
  const stored = model.tensors.filter(({ name }) => weights.has(name)).map(({ dtype }) => dtype);
  const other = stored.find((dtype) => !PLAIN.includes(dtype));
  if (other !== undefined && stored.every((dtype) => dtype === spec.format)) return model;
  if (other !== undefined) {
    const message = `${model.folder} is quantised already (${other}): leave ${o.use_4bit ? "--use_4bit" : "--use_8bit"} out, or name the folder with the f32, bf16 or f16 weights.`;
    throw new LowrankError("E_QUANTIZED", message, model.folder);
  }
  const tensors = model.tensors.map((tensor) => (weights.has(tensor.name) ? { ...tensor, quantize: spec } : tensor));
  return { ...model, tensors };
}

/** Reads the base model's folder. @throws LowrankError */
export function openBase(o: BaseOptions, warn: Warn): ModelSource {
  return quantizedSource(openModel(o.base_model), o, warn);
}
