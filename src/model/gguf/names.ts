// llama.cpp's names of a model's tensors, and the order of their rows there. They follow from the model's description: each part of a block has one
// name in all families.
import { LowrankError } from "../../base/errors.js";
import type { AttentionSpec, BlockSpec, ModelConfig, ModelSpec, NormSpec, TensorEntry } from "../../native/index.js";
import { findFamily, type GgufNames } from "../families/index.js";
import { modelSpec } from "../spec.js";

/** The order of a stored tensor's rows, where it is not Hugging Face's. */
export type RowOrder = Pick<TensorEntry, "interleaved" | "rowBlocks">;

export interface GgufPlace {
  name: string;
  order: RowOrder;
  /** Added to the stored numbers. */
  offset: number;
}

/** @throws LowrankError E_ARCHITECTURE where llama.cpp's names of the family are not known here */
export function ggufNames({ modelType }: Pick<ModelConfig, "modelType">): GgufNames {
  const found = findFamily(modelType)?.gguf;
  if (found) return found;
  const message = `model_type "${modelType}" is not written as GGUF yet. Write the merged model with lowrank merge, and convert it with llama.cpp's convert_hf_to_gguf.py.`;
  throw new LowrankError("E_ARCHITECTURE", message, "model_type");
}

/** llama.cpp has all of q, then all of k, then all of v; undefined where the family has it so. */
function qkvBlocks({ q, k, v, heads, kvHeads, headDim }: AttentionSpec): number[] | undefined {
  const order: number[] = [];
  const group = heads / kvHeads;
  for (let head = 0; head < heads; head++) {
    const at = q.offset + Math.floor(head / group) * q.groupStride + (head % group) * q.headStride;
    order[at / headDim] = head;
  }
  for (const [part, view] of [k, v].entries()) {
    for (let head = 0; head < kvHeads; head++)
      order[(view.offset + head * view.groupStride) / headDim] = heads + part * kvHeads + head;
  }
  return order.every((stored, i) => stored === i) ? undefined : order;
}

type Part = [name: string, place: GgufPlace];

/** Names of a block's tensors to llama.cpp's, without blk.N. */
function blockParts(block: BlockSpec, gguf: GgufNames, config: ModelConfig): Part[] {
  const { attention, mlp } = block;
  const { attention: before = "attn_norm", mlp: between = "ffn_norm" } = gguf.norms?.(config) ?? {};
  const fused = attention.inputs.length === 1;
  const turned = gguf.interleaved ? { interleaved: attention.headDim } : {};
  const rowBlocks = fused ? qkvBlocks(attention) : undefined;
  const inputs: [string, RowOrder][] = fused
    ? [["attn_qkv", rowBlocks ? { rowBlocks } : {}]]
    : [
        ["attn_q", turned],
        ["attn_k", turned],
        ["attn_v", {}],
      ];
  const linears = [
    ...attention.inputs.map(({ module, bias }, i) => ({ module, bias, name: inputs[i]![0], order: inputs[i]![1] })),
    { ...attention.out, name: "attn_output", order: {} },
    ...mlp.inputs.map(({ module, bias }, i, { length }) => {
      return { module, bias, name: i < length - 1 ? "ffn_gate" : "ffn_up", order: {} };
    }),
    { ...mlp.down, name: "ffn_down", order: {} },
  ];
  const norms: [string, NormSpec | null | undefined][] = [
    [before, attention.norm],
    ["attn_q_norm", attention.qNorm],
    ["attn_k_norm", attention.kNorm],
    ["post_attention_norm", attention.residual?.norm],
    [between, mlp.norm],
    ["post_ffw_norm", mlp.residual?.norm],
  ];
  return [
    ...norms.flatMap(([name, norm]) => normParts(name, norm, gguf)),
    ...linears.flatMap(({ module, bias, name, order }) =>
      ["weight", ...(bias ? ["bias"] : [])].map((kind): Part => {
        return [`${module}.${kind}`, { name: `${name}.${kind}`, order, offset: 0 }];
      }),
    ),
  ];
}

function normParts(name: string, norm: NormSpec | null | undefined, { wholeNorms }: GgufNames): Part[] {
  if (!norm?.weight) return [];
  const offset = wholeNorms ? (norm.offset ?? 0) : 0;
  const weight: Part = [norm.weight, { name: `${name}.weight`, order: {}, offset }];
  return norm.bias ? [weight, [norm.bias, { name: `${name}.bias`, order: {}, offset: 0 }]] : [weight];
}

/** Names of the tensors outside of the blocks. */
function outsideParts(spec: ModelSpec, gguf: GgufNames): Part[] {
  const plain: [string | undefined, string][] = [
    [spec.embedding, "token_embd.weight"],
    [spec.positions?.weight, "position_embd.weight"],
    [spec.head, "output.weight"],
    [spec.headBias, "output.bias"],
  ];
  return [
    ...plain.flatMap(([tensor, name]): Part[] => (tensor ? [[tensor, { name, order: {}, offset: 0 }]] : [])),
    ...normParts("token_embd_norm", spec.embeddingNorm, gguf),
    ...normParts("output_norm", spec.finalNorm, gguf),
  ];
}

/** Names of a model's tensors, both ways. */
export class TensorNames {
  readonly #layers: string;
  readonly #places: Map<string, GgufPlace>;
  readonly #tensors: Map<string, string>;
  readonly #blocks: Map<string, GgufPlace>;
  /** llama.cpp's names of all tensors but the head's, which may be the embedding. */
  readonly required: string[];

  /** @throws LowrankError E_ARCHITECTURE */
  constructor(config: ModelConfig, spec: ModelSpec = modelSpec(config)) {
    const gguf = ggufNames(config);
    this.#layers = spec.layerPrefix;
    const outside = outsideParts(spec, gguf);
    this.#places = new Map(outside);
    this.#blocks = new Map(blockParts(spec.block, gguf, config));
    this.#tensors = new Map([...outside, ...this.#blocks].map(([tensor, { name }]) => [name, tensor]));
    const blocks = Array.from({ length: spec.layers }, (_, layer) =>
      [...this.#blocks.values()].map(({ name }) => `blk.${layer}.${name}`),
    );
    this.required = [
      ...outside.map(([, { name }]) => name).filter((name) => name !== "output.weight"),
      ...blocks.flat(),
    ];
  }

  /** Of a tensor of Hugging Face's; undefined for one that llama.cpp has no name for. */
  placeOf(tensor: string): GgufPlace | undefined {
    const outside = this.#places.get(tensor);
    if (outside || !tensor.startsWith(this.#layers)) return outside;
    const [, layer, part] = /^(\d+)\.(.+)$/.exec(tensor.slice(this.#layers.length)) ?? [];
    const place = this.#blocks.get(part ?? "");
    return place && { ...place, name: `blk.${layer}.${place.name}` };
  }

  /** Hugging Face's name of a tensor; undefined where the model does not use it. */
  tensorOf(name: string): string | undefined {
    const [, layer, part] = /^blk\.(\d+)\.(.+)$/.exec(name) ?? [];
    if (layer === undefined) return this.#tensors.get(name);
    const tensor = this.#tensors.get(part!);
    return tensor && `${this.#layers}${layer}.${tensor}`;
  }
}

/** The stored row of each of Hugging Face's. */
function storedRow({ interleaved, rowBlocks }: RowOrder, rows: number): (row: number) => number {
  if (rowBlocks) {
    const size = rows / rowBlocks.length;
    return (row) => rowBlocks[Math.floor(row / size)]! * size + (row % size);
  }
  if (interleaved === undefined) return (row) => row;
  const half = interleaved / 2;
  return (row) => {
    const within = row % interleaved;
    return row - within + 2 * (within % half) + Math.floor(within / half);
  };
}

/**
 * Hugging Face's rows in the order of the stored ones.
 * @param values row after row, of `columns` numbers each
 * @param back the other way round
 */
export function orderRows(values: Float32Array, columns: number, order: RowOrder, back = false): Float32Array {
  const rows = values.length / columns;
  const out = new Float32Array(values.length);
  const stored = storedRow(order, rows);
  for (let row = 0; row < rows; row++) {
    const [from, to] = back ? [stored(row), row] : [row, stored(row)];
    out.set(values.subarray(from * columns, (from + 1) * columns), to * columns);
  }
  return out;
}
