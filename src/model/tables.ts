// The modules with a matrix that are no linears with adapters: embeddings, the head, and a classifier's layers.
import type { ModelSpec } from "../native/index.js";

/** The module of a tensor. */
export const moduleOf = (tensor: string) => tensor.slice(0, tensor.lastIndexOf("."));

export interface Table {
  module: string;
  /** For people. */
  what: string;
  /** Whether it may train whole (modules_to_save). */
  canTrain: boolean;
  /** Whether every adapter has it, and trains it whole. */
  trains: boolean;
}

export function tablesOf({ embedding, head, positions, tokenTypes, classifier }: ModelSpec): Table[] {
  const of = (tensor: string | undefined, what: string, canTrain: boolean, trains = false): Table[] =>
    tensor ? [{ module: moduleOf(tensor), what, canTrain, trains }] : [];
  return [
    ...of(embedding, "the embedding", true),
    ...of(positions?.weight, "the embedding of positions", false),
    ...of(tokenTypes?.weight, "the embedding of token types", false),
    ...(classifier?.layers ?? []).flatMap(({ linear }) =>
      of(`${linear.module}.weight`, "a layer of the classifier", false, true),
    ),
    ...(classifier ? [] : of(head, "the head", true)),
  ];
}
