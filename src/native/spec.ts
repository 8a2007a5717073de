// The description of a model that crosses the addon; native/model/spec.h is its mirror. Sizes count elements.

/** RMSNorm, or centred LayerNorm, with the factors `factor * (offset + weight)` and the bias `factor * bias`. */
export interface NormSpec {
  /** Tensors of the block or of the model, as long as the rows. */
  weight: string;
  bias?: string;
  centred?: boolean;
  eps: number;
  /** Default 0. */
  offset?: number;
  /** Default 1. */
  factor?: number;
}

/** silu(x) = x / (1 + e^-x); gelu: with the error function; gelu_tanh: its approximation by tanh. */
export type Activation = "silu" | "gelu" | "gelu_tanh" | "relu";

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
  type: "linear" | "dynamic" | "llama3" | "yarn" | "longrope";
  /** All but longrope. */
  factor?: number;
  /** llama3 only. */
  lowFreqFactor?: number;
  /** llama3 only. */
  highFreqFactor?: number;
  /** All but linear: the context length the model was trained with. */
  originalMaxPositions?: number;
  /** yarn, longrope: cos and sin are multiplied by it. */
  attentionFactor?: number;
  /** yarn: rotations within the trained context where the ramp between kept and stretched wavelengths ends and begins. */
  betaFast?: number;
  betaSlow?: number;
  /** yarn: whether the ramp's ends are whole numbers. */
  truncate?: boolean;
  /** longrope: a divisor for the frequency of each pair, for texts up to the trained length and for longer ones. */
  shortFactors?: number[];
  longFactors?: number[];
}

export interface RopeSpec {
  theta: number;
  scaling: RopeScaling | null;
}

/** The settings of attention that layers may have of their own. */
export interface AttentionKind {
  /** A query sees this number of keys at most, its own and those before it; 0: all before it. */
  window: number;
  /** Null: q and k are not rotated. */
  rope: RopeSpec | null;
}

/** x += scale * output, or x += norm(output), or in training x += dropout(output); then x = after(x). */
export interface ResidualSpec {
  norm?: NormSpec;
  scale?: number;
  after?: NormSpec;
  /** With neither norm nor scale; default 0. */
  dropout?: number;
}

/** out(attention(rope(qNorm(q)), rope(kNorm(k)), v)) of the norm's output. */
export interface AttentionSpec {
  /** Null: the linears read the stream as it is. */
  norm: NormSpec | null;
  /** One to three linears of the norm's output: q, k and v, or one that is all of them. Each column of an output belongs to one head. */
  inputs: LinearSpec[];
  q: HeadView;
  k: HeadView;
  v: HeadView;
  out: LinearSpec;
  heads: number;
  kvHeads: number;
  headDim: number;
  /**
   * Norms of each head of q and k, with tensors (head dim). With `normEach` each head has weights of its own: a row of tensors (heads, head dim),
   * or a tensor where its number stands for * in the name. With `normWhole` the norms are of all heads together.
   */
  qNorm?: NormSpec;
  kNorm?: NormSpec;
  normWhole?: boolean;
  normEach?: boolean;
  /** The first columns of each head, which rotate; default all. */
  rotaryDim?: number;
  /** Rotary pairs are neighbouring columns; default: column i and column i + rotaryDim / 2. */
  interleaved?: boolean;
  /** Of q k^T; default 1 / sqrt(headDim). */
  scale?: number;
  /** Scores become cap * tanh(score / cap); default 0: they stay. */
  softCap?: number;
  /** Every token sees all tokens of its text; of classifiers, without a window. Default: itself and the tokens before it. */
  bidirectional?: boolean;
  /**
   * ALiBi: scale * slopes[head] * position is added to the scores of a key, with `rounded` of the slope, the position and their product rounded to
   * bf16. Scores with a cap have none.
   */
  keyBias?: { slopes: number[]; scale: number; rounded: boolean };
  /** Of the probabilities, in training; default 0. */
  dropout?: number;
  /** At least one. */
  kinds: AttentionKind[];
  /** The number of each layer's kind; by default all layers have the first. */
  layerKinds?: number[];
  residual?: ResidualSpec;
}

/** down(f(gate(h)) * up(h)), or without a gate down(f(up(h))), of the norm's output h. */
export interface MlpSpec {
  /** Null: h is the stream as it is, in a parallel block attention's input. */
  norm: NormSpec | null;
  /** Gate and up, or one linear of both: the gate's columns come first; or up alone, as wide as down's input. */
  inputs: LinearSpec[];
  down: LinearSpec;
  activation: Activation;
  residual?: ResidualSpec;
}

/** x += attention(x); x += mlp(x), or parallel x += attention(x) + mlp(x) */
export interface BlockSpec {
  attention: AttentionSpec;
  mlp: MlpSpec;
  parallel?: boolean;
  /** The dropouts of both parts' outputs have one mask: they are one dropout of the sum. */
  sharesMask?: boolean;
}

/** Losses of labels, as transformers names them in config.json. */
export const PROBLEM_TYPES = ["single_label_classification", "regression", "multi_label_classification"] as const;
export type ProblemType = (typeof PROBLEM_TYPES)[number];

/** linear(dropout(function(x))), which each adapter has whole, and trains; the module's name is whole. */
export interface DenseSpec {
  linear: LinearSpec;
  function: "none" | "tanh" | "relu";
  /** While training. */
  dropout: number;
}

/** What is read of one token of each text, through dense layers; it takes the head's place. */
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
  /** Tensor (vocab, dim), or (vocab, in of the embedding's linear). */
  embedding: string;
  /** Likewise; with `tiedHead` the embedding takes its place. */
  head: string;
  tiedHead: boolean;
  /** Linears outside of the blocks, by whole names: of the embedding's rows, before positions; and of the final norm's output, before head or classifier. */
  embeddingLinear?: LinearSpec;
  finalLinear?: LinearSpec;
  /** Tensor (vocab). */
  headBias?: string;
  /** Learned positions, tensor (rows, dim): a token's row is its position and the offset. */
  positions?: { weight: string; rows: number; offset: number };
  /** Learned types of tokens, tensor (rows, dim); of one row all tokens have it. */
  tokenTypes?: { weight: string; rows: number };
  /** Of the embeddings. */
  embeddingNorm?: NormSpec;
  /** Before the head; null: none. */
  finalNorm: NormSpec | null;
  /** Of the embeddings, after their norm, in training; default 0. */
  embeddingDropout?: number;
  /** Factor of the embedding's rows; default 1. */
  embeddingScale?: number;
  /** Logits become cap * tanh(logit / cap); default 0: they stay. */
  logitCap?: number;
  /** Names of a block's tensors follow this, the layer's number and a dot. */
  layerPrefix: string;
  layers: number;
  block: BlockSpec;
  /** Of a classifier; `head` and `tiedHead` do not count then. */
  classifier?: ClassifierSpec;
}
