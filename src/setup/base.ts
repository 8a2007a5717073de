// The base model as the options want it: as it is stored, or quantised while it is loaded.
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import {
  type Classification,
  listLinears,
  OUTLIER_THRESHOLD,
  openModel,
  PLAIN,
  readOutlierThreshold,
  type Warn,
} from "../model/index.js";
import type { ModelOrigin, ModelSource, QuantizeSpec, TensorEntry } from "../native/index.js";

export type QuantType = "nf4" | "fp4" | "int8" | "llm_int8";

/** The first type is the default. */
const TYPES = { use_4bit: ["nf4", "fp4"], use_8bit: ["int8", "llm_int8"] } as const satisfies Record<
  string,
  QuantType[]
>;

export interface BaseOptions {
  base_model: string;
  /** The repository of the hub that the base is of, if it is of one. */
  origin?: ModelOrigin | undefined;
  use_4bit: boolean;
  use_8bit: boolean;
  quant_type?: QuantType | undefined;
  double_quant: boolean;
  quantize_skip: string[] | undefined;
  quantize_head?: boolean | undefined;
  int8_backward?: "none" | "nearest" | "stochastic" | undefined;
}

type Options = Omit<BaseOptions, "base_model" | "origin">;

const usage = (option: string, what: string) => new LowrankError("E_USAGE", `${option} ${what}.`, option);

/** How the linears of the blocks are stored; undefined: as they are. */
function wantedSpec(o: Options, warn: Warn): QuantizeSpec | undefined {
  if (o.use_4bit && o.use_8bit) warn("--use_4bit and --use_8bit are both given: the base is quantised to 4 bits");
  if (!o.use_4bit && !o.use_8bit) return undefined;
  const width = o.use_4bit ? "use_4bit" : "use_8bit";
  const types: readonly QuantType[] = TYPES[width];
  const type = o.quant_type ?? types[0]!;
  if (!types.includes(type)) throw usage("quant_type", `is ${type}, with ${width} it is ${types.join(" or ")}`);
  if (type === "nf4" || type === "fp4") return { format: type, doubleQuant: o.double_quant };
  return { format: "i8", doubleQuant: false };
}

/**
 * Whether a module is one of the named ones, by its whole name or the last parts of it. The embedding is no linear of a block:
 * it is not quantised.
 */
function isNamed(module: string, names: string[]): boolean {
  return names.some((name) => module === name || module.endsWith(`.${name}`));
}

/** The model with rounded activations (LLM.int8) at these weights. */
function rounding(model: ModelSource, weights: ReadonlySet<string>, outlierThreshold: number): ModelSource {
  const tensors = model.tensors.map((tensor) => (weights.has(tensor.name) ? { ...tensor, outlierThreshold } : tensor));
  return { ...model, tensors };
}

/** A base that is not quantised here. Where its linears are stored in int8, activations may be rounded. */
function asStored(model: ModelSource, o: Options): ModelSource {
  const needs = "needs use_4bit or use_8bit";
  if (o.quantize_skip !== undefined && o.quantize_skip.length > 0) throw usage("quantize_skip", needs);
  if (o.quantize_head) throw usage("quantize_head", needs);
  if (o.quant_type === undefined) return model;
  const eight: readonly QuantType[] = TYPES.use_8bit;
  const linears = new Set(listLinears(model).map(({ name }) => `${name}.weight`));
  const stored = model.tensors.filter(({ name, dtype }) => linears.has(name) && dtype === "i8");
  if (!eight.includes(o.quant_type) || stored.length === 0) {
    throw usage(
      "quant_type",
      `${needs}; without them it may be ${eight.join(" or ")}, for a base that is stored in int8`,
    );
  }
  if (o.quant_type === "int8") return model;
  const threshold = readOutlierThreshold(join(model.folder, "config.json"));
  return rounding(model, new Set(stored.map(({ name }) => name)), threshold);
}

/** The head's weight, where it is to be quantised. */
function wantedHead(model: ModelSource, o: Options, skip: string[]): string[] {
  if (!o.quantize_head) return [];
  if (model.config.tieWordEmbeddings) {
    const what = `is given, but the head of ${model.folder} is its embedding (tie_word_embeddings), which stays as it is: leave quantize_head out`;
    throw usage("quantize_head", what);
  }
  if (skip.some((name) => HEADS.includes(name)))
    throw usage("quantize_head", "is given, but quantize_skip names the head");
  return [model.spec.head];
}

/** Names of the head in quantize_skip. */
const HEADS = ["lm_head", "head"];

/** The weights that are to be quantised. @throws LowrankError E_USAGE */
function wantedWeights(model: ModelSource, o: Options): { linears: Set<string>; head: string[] } {
  const skip = o.quantize_skip ?? [];
  const linears = listLinears(model).map(({ name }) => name);
  const unknown = skip.filter((name) => !HEADS.includes(name) && !linears.some((each) => isNamed(each, [name])));
  if (unknown.length > 0) {
    const known = [...new Set(linears.map((name) => name.slice(name.lastIndexOf(".") + 1)))].join(", ");
    const message = `quantize_skip: the model has no module ${unknown.join(", ")}. It has ${known}.`;
    throw new LowrankError("E_USAGE", message, "quantize_skip");
  }
  const kept = linears.filter((name) => !isNamed(name, skip)).map((name) => `${name}.weight`);
  return { linears: new Set(kept), head: wantedHead(model, o, skip) };
}

/** @throws LowrankError E_QUANTIZED, E_USAGE */
export function quantizedSource(model: ModelSource, o: Options, warn: Warn): ModelSource {
  return withGradientCodes(withWeights(model, o, warn), o.int8_backward);
}

/** The model with an 8-bit backward pass through its linears in int8. */
function withGradientCodes(model: ModelSource, codes: Options["int8_backward"]): ModelSource {
  if (codes === undefined || codes === "none") return model;
  const linears = new Set(listLinears(model).map(({ name }) => `${name}.weight`));
  const isInt8 = ({ name, dtype, quantize }: TensorEntry) => linears.has(name) && (quantize?.format ?? dtype) === "i8";
  if (!model.tensors.some(isInt8)) throw usage("int8_backward", "needs use_8bit, or a base that is stored in int8");
  const tensors = model.tensors.map((tensor) => (isInt8(tensor) ? { ...tensor, gradientCodes: codes } : tensor));
  return { ...model, tensors };
}

function withWeights(model: ModelSource, o: Options, warn: Warn): ModelSource {
  const spec = wantedSpec(o, warn);
  if (!spec) return asStored(model, o);
  const { linears, head } = wantedWeights(model, o);
  const weights = new Set([...linears, ...head]);
  const stored = model.tensors.filter(({ name }) => weights.has(name)).map(({ dtype }) => dtype);
  const other = stored.find((dtype) => !PLAIN.includes(dtype));
  const rounds = spec.format === "i8" && o.quant_type === "llm_int8";
  if (other !== undefined && stored.every((dtype) => dtype === spec.format)) {
    return rounds ? rounding(model, linears, readOutlierThreshold(join(model.folder, "config.json"))) : model;
  }
  if (other !== undefined) {
    const message = `${model.folder} is quantised already (${other}): leave ${o.use_4bit ? "--use_4bit" : "--use_8bit"} out, or name the folder with the f32, bf16 or f16 weights.`;
    throw new LowrankError("E_QUANTIZED", message, model.folder);
  }
  const quantize = (tensor: TensorEntry) => (weights.has(tensor.name) ? { ...tensor, quantize: spec } : tensor);
  const source = { ...model, tensors: model.tensors.map(quantize) };
  return rounds ? rounding(source, linears, OUTLIER_THRESHOLD) : source;
}

/** Reads the base model's folder. @param classification as `openModel`'s @throws LowrankError */
export function openBase(o: BaseOptions, warn: Warn, classification?: Classification): ModelSource {
  return quantizedSource({ ...openModel(o.base_model, warn, classification), origin: o.origin }, o, warn);
}
