// The description of a model that crosses the addon; native/model/spec.h is its mirror. Sizes count elements.

/** RMSNorm over the hidden size. */
export interface NormSpec {
  /** Tensor (hidden size), of the block or of the model. */
  weight: string;
  eps: number;
}

/** Tensors `<module>.weight` (out, in) and, with a bias, `<module>.bias` (out). */
export interface LinearSpec {
  /** Within the block, as self_attn.q_proj. */
  module: string;
  out: number;
  in: number;
  bias?: boolean;
}

/**
 * Where heads lie in a linear's output: head j of group g begins at column `offset + g * groupStride + j * headStride`. A group
 * is the query heads of one key/value head; of keys and values it has one head.
 */
export interface HeadView {
  /** Index into the attention's `inputs`. */
  linear: number;
  offset: number;
  groupStride: number;
  headStride: number;
}

export interface RopeScaling {
  type: "linear" | "dynamic" | "llama3";
  factor: number;
  /** llama3 only. */
  lowFreqFactor?: number;
  /** llama3 only. */
  highFreqFactor?: number;
  /** llama3, dynamic: the context length the model was trained with. */
  originalMaxPositions?: number;
}

export interface RopeSpec {
  theta: number;
  scaling: RopeScaling | null;
}

/** out(attention(rope(q), rope(k), v)) of the norm's output, causal. */
export interface AttentionSpec {
  norm: NormSpec;
  /** One to three linears of the norm's output: q, k and v, or one that is all of them. Each column of an output belongs to one head. */
  inputs: LinearSpec[];
  q: HeadView;
  k: HeadView;
  v: HeadView;
  out: LinearSpec;
  heads: number;
  kvHeads: number;
  headDim: number;
  rope: RopeSpec;
}

/** down(silu(gate(h)) * up(h)) of the norm's output h. */
export interface MlpSpec {
  norm: NormSpec;
  gate: LinearSpec;
  up: LinearSpec;
  down: LinearSpec;
}

/** x += attention(x); x += mlp(x) */
export interface BlockSpec {
  attention: AttentionSpec;
  mlp: MlpSpec;
}

/** Losses of labels, as transformers names them in config.json. */
export const PROBLEM_TYPES = ["single_label_classification", "regression", "multi_label_classification"] as const;
export type ProblemType = (typeof PROBLEM_TYPES)[number];

/** function(linear(dropout(x))); the module's name is whole. */
export interface DenseSpec {
  linear: LinearSpec;
  function: "none" | "tanh" | "relu";
  /** Of its input while training. */
  dropout: number;
  /** Whether each adapter has it whole, and trains it. */
  trains: boolean;
}

/** The state of one token of each text through dense layers; it takes the head's place. */
export interface ClassifierSpec {
  /** Whether the last token is read, else the first. */
  lastToken: boolean;
  /** Tokens of this id at a text's end are not its last token. */
  padId?: number | undefined;
  loss: ProblemType;
  /** Standard deviation of weights that the files do not have. */
  initStd: number;
  /** The last one's outputs are the logits. */
  layers: DenseSpec[];
}

export interface ModelSpec {
  vocab: number;
  dim: number;
  /** Tensor (vocab, dim). */
  embedding: string;
  /** Tensor (vocab, dim); with `tiedHead` the embedding takes its place. */
  head: string;
  tiedHead: boolean;
  finalNorm: NormSpec;
  /** Names of a block's tensors follow this, the layer's number and a dot. */
  layerPrefix: string;
  layers: number;
  block: BlockSpec;
  /** Of a classifier; `head` and `tiedHead` do not count then. */
  classifier?: ClassifierSpec;
}
