// How ggml's types of tensors are stored.
import type { WeightDtype } from "../../native/index.js";

export interface TensorType {
  /** For people, and where it can be read the engine's name. */
  name: string;
  /** Elements stored together, and their bytes; undefined for types that cannot be read. */
  stored?: { dtype: WeightDtype; elements: number; bytes: number };
}

const readable = (dtype: WeightDtype, elements: number, bytes: number): TensorType => {
  return { name: dtype, stored: { dtype, elements, bytes } };
};

const TYPES = new Map<number, TensorType>([
  [0, readable("f32", 1, 4)],
  [1, readable("f16", 1, 2)],
  [2, readable("q4_0", 32, 18)],
  [3, readable("q4_1", 32, 20)],
  [6, readable("q5_0", 32, 22)],
  [7, { name: "q5_1" }],
  [8, readable("q8_0", 32, 34)],
  [9, { name: "q8_1" }],
  [10, { name: "q2_k" }],
  [11, { name: "q3_k" }],
  [12, readable("q4_k", 256, 144)],
  [13, readable("q5_k", 256, 176)],
  [14, readable("q6_k", 256, 210)],
  [15, { name: "q8_k" }],
  [16, { name: "iq2_xxs" }],
  [17, { name: "iq2_xs" }],
  [18, { name: "iq3_xxs" }],
  [19, { name: "iq1_s" }],
  [20, { name: "iq4_nl" }],
  [21, { name: "iq3_s" }],
  [22, { name: "iq2_s" }],
  [23, { name: "iq4_xs" }],
  [29, { name: "iq1_m" }],
  [30, readable("bf16", 1, 2)],
  [34, { name: "tq1_0" }],
  [35, { name: "tq2_0" }],
  [39, { name: "mxfp4" }],
]);

/** Names of the types that can be read. */
export const READABLE_TYPES: readonly string[] = [...TYPES.values()].flatMap(({ stored }) => stored?.dtype ?? []);

/** @param type ggml's number; an unknown number has a name that tells so */
export function tensorType(type: number): TensorType {
  return TYPES.get(type) ?? { name: `of the unknown type ${type}` };
}
