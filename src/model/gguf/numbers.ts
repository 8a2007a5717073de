// The numbers of a GGUF file's metadata: what each key means, whatever the family calls it in config.json.
import type { ModelConfig } from "../../native/index.js";
import type { GgufNumber } from "../families/gguf.js";
import type { LlamaConfig } from "../families/llama.js";
import type { Metadata } from "./metadata.js";
import type { MetadataValue } from "./write.js";

/** The numbers of all families. */
type AnyConfig = ModelConfig & Partial<LlamaConfig> & { eps?: number; parallel?: boolean };

/** Numbers that a file without the key is read with; undefined: the family's default in config.json. */
type Otherwise = (read: (key: GgufNumber) => number) => number;

interface Row {
  /** @param key with the architecture */
  read(metadata: Metadata, key: string, otherwise: number | undefined): number | boolean | undefined;
  /** Undefined: nothing is written. */
  write(config: AnyConfig): MetadataValue | undefined;
  optional?: true;
  otherwise?: Otherwise;
}

const count = (write: Row["write"], most?: number): Row => ({
  read: (metadata, key, otherwise) =>
    metadata.count(key, { ...(otherwise !== undefined && { otherwise }), ...(most !== undefined && { most }) }),
  write,
});
/** Written as f32, where it is a number. */
const real = (of: (config: AnyConfig) => number | undefined): Row => ({
  read: (metadata, key, otherwise) => metadata.positive(key, otherwise),
  write: (config) => {
    const value = of(config);
    return value === undefined || value === 0 ? undefined : { f32: value };
  },
});
const optional = (row: Row): Row => ({ ...row, optional: true });

const window = ({ attentionKinds = [] }: AnyConfig) => Math.max(0, ...attentionKinds.map((kind) => kind.window));

const slidingTheta = ({ attentionKinds = [] }: AnyConfig) =>
  attentionKinds.find((kind) => kind.window > 0)?.rope?.theta;

const ROWS: Record<GgufNumber, Row> = {
  context_length: count((c) => c.maxPositions, 2 ** 31),
  embedding_length: count((c) => c.hiddenSize),
  block_count: count((c) => c.layers, 100_000),
  feed_forward_length: count((c) => c.intermediateSize),
  "attention.head_count": count((c) => c.heads),
  "attention.head_count_kv": { ...count((c) => c.kvHeads), otherwise: (read) => read("attention.head_count") },
  "attention.key_length": {
    ...count((c) => c.headDim),
    otherwise: (read) => read("embedding_length") / read("attention.head_count"),
  },
  "attention.layer_norm_rms_epsilon": real((c) => c.rmsNormEps),
  "attention.layer_norm_epsilon": real((c) => c.eps ?? c.rmsNormEps),
  "attention.sliding_window": {
    // 0 is none.
    read: (metadata, key) => (metadata.get(key) === 0 ? undefined : metadata.count(key, { most: 2 ** 31 })),
    write: window,
    optional: true,
  },
  "attention.scale": optional(real((c) => c.attentionScale)),
  "rope.freq_base": { ...real((c) => c.ropeTheta), otherwise: () => 10_000 },
  "rope.freq_base_swa": optional(real(slidingTheta)),
  "rope.dimension_count": optional(count((c) => c.rotaryDim ?? c.headDim)),
  attn_logit_softcapping: optional(real((c) => c.attentionCap)),
  final_logit_softcapping: optional(real((c) => c.logitCap)),
  embedding_scale: optional(real((c) => c.embeddingScale)),
  residual_scale: optional(real((c) => c.residualScale)),
  logit_scale: optional(real((c) => c.logitScale)),
  use_parallel_residual: {
    read: (metadata, key) => metadata.flag(key, true),
    write: (c) => c.parallel,
    optional: true,
  },
};

/** @returns undefined where an optional number is absent @throws LowrankError E_CONFIG_VALUE */
export function readNumber(metadata: Metadata, architecture: string, key: GgufNumber): number | boolean | undefined {
  const { read, optional, otherwise } = ROWS[key];
  const name = `${architecture}.${key}`;
  const given = metadata.get(name) !== undefined;
  if (!given && optional) return undefined;
  const other = !given && otherwise?.((of) => readNumber(metadata, architecture, of) as number);
  return read(metadata, name, other === false ? undefined : other);
}

export function writeNumber(key: GgufNumber, config: ModelConfig): MetadataValue | undefined {
  return ROWS[key].write(config);
}
