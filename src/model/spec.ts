// The description of a model, from the numbers of its configuration: the engine's input, and the list of linears.
import { LowrankError } from "../base/errors.js";
import type {
  BlockSpec,
  ClassifierConfig,
  ClassifierSpec,
  Dropouts,
  LinearSpec,
  ModelConfig,
  ModelSource,
  ModelSpec,
  ResidualSpec,
  TensorEntry,
} from "../native/index.js";
import { type Family, findFamily, supportedModelTypes } from "./families/index.js";

/** Whether the family's folders hold linears as (in, out), as Conv1D of transformers has them. */
export const isStoredTransposed = (config: Pick<ModelConfig, "modelType">): boolean =>
  familyOf(config).transposed === true;

/** @throws LowrankError E_ARCHITECTURE */
export function familyOf({ modelType }: Pick<ModelConfig, "modelType">): Family {
  const family = findFamily(modelType);
  if (family) return family;
  const message = `model_type "${modelType}" is not supported. Supported architectures: ${supportedModelTypes().join(", ")}.`;
  throw new LowrankError("E_ARCHITECTURE", message, "model_type");
}

/** @throws LowrankError E_ARCHITECTURE */
export function modelSpec(config: ModelConfig): ModelSpec {
  const family = familyOf(config);
  const { names } = family;
  const { headBias, ...outside } = family.outside(config);
  return {
    vocab: config.vocabSize,
    dim: config.hiddenSize,
    embedding: names.embedding,
    head: names.head,
    tiedHead: config.tieWordEmbeddings,
    ...outside,
    ...(headBias && !config.classifier && { headBias }),
    layerPrefix: names.layers,
    layers: config.layers,
    block: withDropouts(family.block(config), config.dropouts),
    ...(config.dropouts && { embeddingDropout: config.dropouts.embedding }),
    ...(config.classifier && { classifier: classifierSpec(config, config.classifier) }),
  };
}

/** The description of a block with the dropouts of its configuration. */
function withDropouts({ attention, mlp, ...block }: BlockSpec, dropouts: Dropouts | undefined): BlockSpec {
  if (!dropouts) return { attention, mlp, ...block };
  const residual = (of: ResidualSpec | undefined, dropout: number) => (dropout > 0 ? { ...of, dropout } : of);
  const of = {
    attention: residual(attention.residual, dropouts.attentionOutput),
    mlp: residual(mlp.residual, dropouts.mlpOutput),
  };
  return {
    attention: { ...attention, dropout: dropouts.attention, ...(of.attention && { residual: of.attention }) },
    mlp: { ...mlp, ...(of.mlp && { residual: of.mlp }) },
    ...block,
  };
}

/** @throws LowrankError E_ARCHITECTURE */
function classifierSpec(config: ModelConfig, { labels, problem, padId, initStd }: ClassifierConfig): ClassifierSpec {
  const { classifier } = familyOf(config);
  if (!classifier) {
    const message = `model_type "${config.modelType}" has no sequence classification (--task seq-cls) here.`;
    throw new LowrankError("E_ARCHITECTURE", message, "model_type");
  }
  return { ...classifier(config, labels.length), loss: problem, padId, initStd };
}

/** A model with the description that follows from its configuration. @throws LowrankError E_ARCHITECTURE */
export function modelSource(folder: string, config: ModelConfig, tensors: TensorEntry[]): ModelSource {
  return { folder, config, spec: modelSpec(config), tensors };
}

/** A linear of the model that can carry an adapter, `name` as in Hugging Face: `model.layers.0.self_attn.q_proj`. */
export interface LinearModule {
  name: string;
  outFeatures: number;
  inFeatures: number;
}

/** A block's linears in order of use. */
export function linearsOf({ attention, mlp }: BlockSpec): LinearSpec[] {
  return [...attention.inputs, attention.out, ...mlp.inputs, mlp.down];
}

/** The linears outside of the blocks, in order of use. */
export function outsideLinears(spec: ModelSpec, ...places: ("embeddingLinear" | "finalLinear")[]): LinearSpec[] {
  return places.flatMap((place) => spec[place] ?? []);
}

/** Every linear of the model that can carry an adapter, in order of use. */
export function listLinears({ spec }: Pick<ModelSource, "spec">): LinearModule[] {
  const linears = linearsOf(spec.block);
  const layers = Array.from({ length: spec.layers }, (_, layer) =>
    linears.map((linear) => ({ ...linear, module: `${spec.layerPrefix}${layer}.${linear.module}` })),
  ).flat();
  return [...outsideLinears(spec, "embeddingLinear"), ...layers, ...outsideLinears(spec, "finalLinear")].map(
    ({ module, out, in: inFeatures }) => ({ name: module, outFeatures: out, inFeatures }),
  );
}
