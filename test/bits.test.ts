// The bits of whole runs: a change that is none of the arithmetic leaves this table as it is.
// After a change that is, `npx vitest run test/bits.test.ts --update` writes it anew, and the commit says why.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cpuInfo } from "../src/native/index.js";
import { temporaryFolders, tinyBase } from "./support/folders.js";
import { type TensorToWrite, writeGguf } from "./support/gguf.js";

const folder = temporaryFolders();
/** Each instruction set has bits of its own. The scalar one is on every machine, and slow: some of the runs. */
const SETS: [set: string, only: string][] = [
  ["avx2", ""],
  ["scalar", "fp32|nf4|LLM.int8|8-bit AdamW, resumed"],
];

const [DIM, VOCAB, KV] = [256, 2048, 128];
const METADATA = {
  "general.architecture": "llama",
  "llama.block_count": { u32: 1 },
  "llama.context_length": { u32: 64 },
  "llama.embedding_length": { u32: DIM },
  "llama.feed_forward_length": { u32: DIM },
  "llama.attention.head_count": { u32: 4 },
  "llama.attention.head_count_kv": { u32: 2 },
  "llama.attention.layer_norm_rms_epsilon": { f32: 1e-5 },
};

/** Blocks of random codes, whose scales (f16, at the block's begin) are all 2^-8. */
function blocks(rows: number, elements: number, bytes: number): Buffer {
  let state = rows + bytes;
  const data = Buffer.alloc((rows * DIM * bytes) / elements);
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state >>> 24;
  }
  for (let at = 0; at < data.length; at += bytes) data.writeUInt16LE(0x1c00, at);
  return data;
}

/** A model of one block in the formats that start with a scale: Q4_0 and Q8_0. */
function ggufModel(): string {
  const q4 = (name: string, rows: number): TensorToWrite => {
    return { name, shape: [rows, DIM], type: 2, data: blocks(rows, 32, 18) };
  };
  const q8 = (name: string, rows: number): TensorToWrite => {
    return { name, shape: [rows, DIM], type: 8, data: blocks(rows, 32, 34) };
  };
  const ones = new Uint8Array(new Float32Array(DIM).fill(1).buffer);
  const norm = (name: string): TensorToWrite => ({ name, shape: [DIM], type: 0, data: ones });
  return writeGguf(join(folder(), "model.gguf"), METADATA, [
    q8("token_embd.weight", VOCAB),
    norm("output_norm.weight"),
    norm("blk.0.attn_norm.weight"),
    norm("blk.0.ffn_norm.weight"),
    q4("blk.0.attn_q.weight", DIM),
    q4("blk.0.attn_k.weight", KV),
    q8("blk.0.attn_v.weight", KV),
    q4("blk.0.attn_output.weight", DIM),
    q4("blk.0.ffn_gate.weight", DIM),
    q8("blk.0.ffn_up.weight", DIM),
    q4("blk.0.ffn_down.weight", DIM),
  ]);
}

const runs = new URL("support/bits-runs.mjs", import.meta.url).pathname;

const { available } = cpuInfo();
for (const [set] of SETS) {
  if (!available.includes(set)) console.log(`skipped: runs on ${set}, which this processor does not have`);
}

describe.each(SETS)("%s", (set, only) => {
  test.skipIf(!available.includes(set))("the adapters of the runs have the recorded bits", async () => {
    const env = { ...process.env, LOWRANK_CPU: set };
    const table = execFileSync(process.execPath, [runs, tinyBase, ggufModel(), folder(), "2", only], {
      env,
      encoding: "utf8",
    });
    await expect(table).toMatchFileSnapshot(`bits/${set}.json`);
  });
});
