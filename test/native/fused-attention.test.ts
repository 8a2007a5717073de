// Attention whose q, k and v are one linear, as it crosses the addon; unit_fused.cpp has the mathematics.
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { openModel } from "../../src/model/index.js";
import {
  type AttentionSpec,
  Engine,
  type EngineOptions,
  type ModelSource,
  planMemory,
  type TensorEntry,
} from "../../src/native/index.js";
import { errorOf, temporaryFolders, tinyBase } from "../support/folders.js";

const folder = temporaryFolders();
const options: EngineOptions = { precision: "fp32", threads: 1, maxTokens: 64, maxSequence: 64, training: false };
const separate = openModel(tinyBase);

/** The model with each group's queries, key and value after one another in one linear, as Falcon has them. */
function grouped(): ModelSource {
  const { attention } = separate.spec.block;
  const { heads, kvHeads, headDim, inputs } = attention;
  const perGroup = heads / kvHeads;
  const groupStride = (perGroup + 2) * headDim;
  const view = (head: number) => ({ linear: 0, offset: head * headDim, groupStride, headStride: headDim });
  const block = {
    ...separate.spec.block,
    attention: {
      ...attention,
      inputs: [{ module: "self_attn.qkv_proj", out: kvHeads * groupStride, in: separate.spec.dim }],
      ...{ q: view(0), k: view(perGroup), v: view(perGroup + 1) },
    },
  };
  const file = `${folder()}/qkv.bin`;
  const written: Buffer[] = [];
  const tensors = [...separate.tensors];
  let offset = 0;
  for (let layer = 0; layer < separate.spec.layers; layer++) {
    const prefix = `${separate.spec.layerPrefix}${layer}.`;
    const parts = inputs.map(({ module }) => tensors.find(({ name }) => name === `${prefix}${module}.weight`)!);
    const rows = parts.map((part, i) => {
      const bytes = readFileSync(part.file).subarray(part.offset, part.offset + part.bytes);
      const head = (part.bytes / inputs[i]!.out) * headDim;
      return (h: number, count: number) => bytes.subarray(h * head, (h + count) * head);
    });
    const [q, k, v] = rows;
    for (let g = 0; g < kvHeads; g++) written.push(q!(g * perGroup, perGroup), k!(g, 1), v!(g, 1));
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    const entry: TensorEntry = { ...parts[0]!, name: `${prefix}self_attn.qkv_proj.weight`, file, offset, bytes };
    tensors.push({ ...entry, shape: [kvHeads * groupStride, separate.spec.dim] });
    offset += bytes;
  }
  writeFileSync(file, Buffer.concat(written));
  return { ...separate, spec: { ...separate.spec, block }, tensors };
}
const fused = grouped();

test("has the loss and the text of the model whose q, k and v are three", async () => {
  const results = [];
  for (const model of [separate, fused]) {
    await using engine = await Engine.create(model, null, options);
    const loss = await engine.evaluate({ sequences: [{ inputIds: Int32Array.from([5, 9, 300, 7, 12]) }] });
    const text = [
      await engine.generateStart(Int32Array.from([5, 9, 300, 7, 12]), { temperature: 0, topK: 0, topP: 1, seed: 0 }),
    ];
    while (text.length < 8) text.push(await engine.generateNext(text.at(-1)!));
    results.push({ loss, text });
  }
  expect(results[1]).toEqual(results[0]);
});

const { attention } = fused.spec.block;
const { out } = attention.inputs[0]!;
const { headDim } = attention;

test.each<[string, Partial<AttentionSpec>]>([
  [`column 0 of self_attn.qkv_proj belongs to a head of q and to one of v`, { v: { ...attention.v, offset: 0 } }],
  [`column 8 of self_attn.qkv_proj belongs to a head of q and to one of q`, { q: { ...attention.q, headStride: 8 } }],
  [
    `column ${out} of self_attn.qkv_proj belongs to no head of q, k or v`,
    { inputs: [{ ...attention.inputs[0]!, out: out + headDim }] },
  ],
  [
    `column 0 of self_attn.more belongs to no head of q, k or v`,
    { inputs: [...attention.inputs, { ...attention.inputs[0]!, module: "self_attn.more" }] },
  ],
  [
    `a head of v is columns ${out} to ${out + headDim - 1} of self_attn.qkv_proj, which has ${out}`,
    { v: { ...attention.v, offset: attention.v.offset + headDim } },
  ],
  [
    "offset and strides of k must be from 0 to the output of self_attn.qkv_proj",
    { k: { ...attention.k, groupStride: -1 } },
  ],
  ["q is read from attention's linear 1, expected 0 to 0", { q: { ...attention.q, linear: 1 } }],
  ["the number of heads is 65538, expected at most 65536", { heads: 65538 }],
])("refuses it where %s", async (message, changes) => {
  const block = { ...fused.spec.block, attention: { ...attention, ...changes } };
  const error = await errorOf(() => planMemory({ ...fused, spec: { ...fused.spec, block } }, null, options));
  expect(error).toMatchObject({ code: "E_CONFIG_VALUE", message: `${tinyBase}: ${message}.` });
});
