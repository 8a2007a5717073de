// GGUF files as bases: decoded as the gguf package decodes them, a model as its Hugging Face folder, errors that name the
// fault.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readEosIds, Tokenizer } from "../../src/data/index.js";
import { readTokenizerJson } from "../../src/data/made-files.js";
import type { LlamaConfig } from "../../src/model/families/llama.js";
import { ggufTokenizer, openModel, readSafetensorsHeader } from "../../src/model/index.js";
import { Engine, type ModelSource } from "../../src/native/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { ggufBytes, type MetaValue, type TensorToWrite, writeGguf } from "../support/gguf.js";
import { goldensFolder } from "../support/golden.js";

const folder = temporaryFolders();
// Tokenizers of GGUF files are made in the cache.
beforeAll(() => {
  process.env.XDG_CACHE_HOME = folder();
});

const TYPES: Record<string, number> = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q5_0: 6,
  q8_0: 8,
  q4_k: 12,
  q5_k: 13,
  q6_k: 14,
  bf16: 30,
};
const QUANTIZED = ["q4_0", "q4_1", "q5_0", "q8_0", "q4_k", "q5_k", "q6_k"];

const blocksFile = join(goldensFolder, "quantized/blocks.safetensors");
const blocks = readFileSync(blocksFile);
const blockTensors = new Map(
  readSafetensorsHeader(blocksFile).tensors.map(({ name, begin, end }) => [name, blocks.subarray(begin, end)]),
);

// A model whose rows are all among the golden ones: 512 wide, or 256 of it.
const SIZES = { dim: 512, mlp: 512, vocab: 24, heads: 4, kvHeads: 2 };
const METADATA: Record<string, MetaValue> = {
  "general.architecture": "llama",
  "llama.block_count": { u32: 1 },
  "llama.context_length": { u32: 64 },
  "llama.embedding_length": { u32: SIZES.dim },
  "llama.feed_forward_length": { u32: SIZES.mlp },
  "llama.attention.head_count": { u32: SIZES.heads },
  "llama.attention.head_count_kv": { u32: SIZES.kvHeads },
  "llama.attention.layer_norm_rms_epsilon": { f32: 1e-5 },
};

/** A matrix whose rows are the golden rows in turn, from `first` on. */
function rows(type: string, count: number, first: number, decoded: boolean): Buffer {
  const all = blockTensors.get(`${type}.${decoded ? "values" : "bytes"}`)!;
  const bytes = all.length / 8;
  return Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      all.subarray(((i * 3 + first) % 8) * bytes, (((i * 3 + first) % 8) + 1) * bytes),
    ),
  );
}

function tensorsOf(type: string, decoded: boolean): TensorToWrite[] {
  const kv = (SIZES.dim / SIZES.heads) * SIZES.kvHeads;
  const matrix = (name: string, count: number, first: number): TensorToWrite => {
    return { name, shape: [count, 512], type: decoded ? 0 : TYPES[type]!, data: rows(type, count, first, decoded) };
  };
  const ones = new Uint8Array(new Float32Array(SIZES.dim).fill(1).buffer);
  const norm = (name: string) => ({ name, shape: [SIZES.dim], type: 0, data: ones });
  return [
    matrix("token_embd.weight", SIZES.vocab, 0),
    norm("output_norm.weight"),
    norm("blk.0.attn_norm.weight"),
    norm("blk.0.ffn_norm.weight"),
    matrix("blk.0.attn_q.weight", SIZES.dim, 1),
    matrix("blk.0.attn_k.weight", kv, 2),
    matrix("blk.0.attn_v.weight", kv, 3),
    matrix("blk.0.attn_output.weight", SIZES.dim, 4),
    matrix("blk.0.ffn_gate.weight", SIZES.mlp, 5),
    matrix("blk.0.ffn_up.weight", SIZES.mlp, 6),
    matrix("blk.0.ffn_down.weight", SIZES.dim, 7),
  ];
}

const ids = Int32Array.from([1, 5, 23, 7, 0, 11, 2, 19]);
const spec = { rank: 4, alpha: 8, dropout: 0, useRslora: false, seed: 3 };
const targets = ["q_proj", "k_proj"]
  .map((name) => `model.layers.0.self_attn.${name}`)
  .concat("model.layers.0.mlp.down_proj");

/** Logits, and the adapter's gradients of a step. */
async function passes(model: ModelSource, precision: "fp32" | "bf16" = "fp32") {
  const options = { precision, threads: 2, maxTokens: 32, maxSequence: 32, training: true };
  await using engine = await Engine.create(model, { ...spec, targets }, options);
  const batch = { sequences: [{ inputIds: ids }] };
  await engine.forwardBackward(batch, 1 / 7, 0);
  await engine.optimizerStep({ learningRate: 1e-2, weightDecay: 0, maxGradNorm: 0 });
  await engine.forwardBackward(batch, 1 / 7, 1);
  return { logits: await engine.logits(batch), gradients: await engine.gradients() };
}

describe.each(QUANTIZED)("%s", (type) => {
  test.each(["fp32", "bf16"] as const)(
    "the same bits as the weights that the gguf package decodes, %s",
    async (precision) => {
      const work = folder();
      const [stored, plain] = [false, true].map((decoded) => {
        return openModel(writeGguf(join(work, `${decoded}.gguf`), METADATA, tensorsOf(type, decoded)));
      });
      expect(stored!.tensors.find(({ name }) => name.includes("q_proj"))).toMatchObject({
        dtype: type,
        interleaved: 128,
      });
      const [ours, theirs] = [await passes(stored!, precision), await passes(plain!, precision)];
      expect(ours.logits.every(Number.isFinite)).toBe(true);
      expect(ours.logits).toEqual(theirs.logits);
      expect(ours.gradients).toEqual(theirs.gradients);
    },
  );
});

const shared = new URL("../../../shared/models/", import.meta.url).pathname;
const real = join(shared, "smollm2-135m-instruct");
const realFile = join(real, "SmolLM2-135M-Instruct.Q4_1.gguf");
const hasReal = existsSync(realFile);
if (!hasReal) console.log("skipped: the real GGUF file is not there (../shared/models)");

describe.skipIf(!hasReal)("the real file", () => {
  let converted: string;
  beforeAll(() => {
    converted = join(folder(), "hf");
    execFileSync(process.execPath, [join(shared, "to-hf.mjs"), converted, "f32"], { stdio: "ignore" });
  });

  test("its configuration is that of its folder", () => {
    expect(openModel(realFile).config).toEqual(openModel(converted).config);
  });

  test("logits are those of the converted folder, bit for bit in fp32", async () => {
    const logitsOf = async (path: string) => {
      const options = { precision: "fp32", threads: 2, maxTokens: 32, maxSequence: 32, training: false } as const;
      await using engine = await Engine.create(openModel(path), null, options);
      return engine.logits({ sequences: [{ inputIds: Int32Array.from([1, 504, 3575, 282, 4649, 314]) }] });
    };
    expect(await logitsOf(realFile)).toEqual(await logitsOf(converted));
  });

  test("its tokenizer is the one beside it", async () => {
    const [ours, theirs] = [await Tokenizer.open(realFile), await Tokenizer.open(real)];
    const texts = readFileSync(join(shared, "../data/sotu-valid.jsonl"), "utf8")
      .split("\n")
      .filter(Boolean)
      .slice(0, 40);
    texts.push("<|im_start|>user\nHello, wörld 123456!<|im_end|>\n", "  a\t\n\n b", "", "日本語 😀 don't");
    const options = { maxLength: undefined };
    expect(await ours.encode(texts, options)).toEqual(await theirs.encode(texts, options));
    const [encoded] = await ours.encode([texts[0]!], options);
    expect(ours.decode(encoded!, { skipSpecialTokens: true })).toBe(
      theirs.decode(encoded!, { skipSpecialTokens: true }),
    );
    for (const key of ["bosTokenId", "eosTokenId", "padTokenId", "vocabSize"] as const)
      expect(ours[key], key).toBe(theirs[key]);
    expect(readEosIds(realFile)).toEqual(readEosIds(real));
    const template = (tokenizer: Tokenizer) =>
      readTokenizerJson(tokenizer.files.find((file) => file.endsWith("tokenizer_config.json"))!).chat_template;
    expect(template(ours)).toBe(template(theirs));
  });
});

describe("what is refused", () => {
  const write = (metadata: Record<string, MetaValue>, tensors = tensorsOf("q4_0", false)) =>
    writeGguf(join(folder(), "model.gguf"), { ...METADATA, ...metadata }, tensors);
  const without = (key: string) => Object.fromEntries(Object.entries(METADATA).filter(([name]) => name !== key));
  const bytesOf = (edit: (bytes: Buffer) => Buffer | undefined) => {
    const file = join(folder(), "model.gguf");
    const bytes = ggufBytes(METADATA, tensorsOf("q4_0", false));
    writeFileSync(file, edit(bytes) ?? bytes);
    return file;
  };
  const array = (of: number, count: bigint) => {
    const raw = Buffer.alloc(16);
    raw.writeUInt32LE(9, 0);
    raw.writeUInt32LE(of, 4);
    raw.writeBigUInt64LE(count, 8);
    return { raw };
  };

  test.each<[string, () => string, string, RegExp]>([
    ["another file", () => bytesOf((b) => void b.write("GGUX")), "E_GGUF", /is no GGUF file/],
    ["version 1", () => bytesOf((b) => void b.writeUInt32LE(1, 4)), "E_GGUF", /GGUF version 1, expected 2 or 3/],
    ["big-endian", () => bytesOf((b) => void b.writeUInt32BE(3, 4)), "E_GGUF", /big-endian, expected little-endian/],
    ["a cut header", () => bytesOf((b) => b.subarray(0, 200)), "E_GGUF", /cut short|more than the file can hold/],
    [
      "cut weights",
      () => bytesOf((b) => b.subarray(0, b.length - 4096)),
      "E_GGUF",
      /tensor blk\.0\.ffn_down\.weight ends at byte .* cut short/,
    ],
    [
      "countless tensors",
      () => bytesOf((b) => void b.writeBigUInt64LE(1n << 60n, 8)),
      "E_GGUF",
      /for the number of tensors/,
    ],
    [
      "countless metadata",
      () => bytesOf((b) => void b.writeBigUInt64LE(1n << 40n, 16)),
      "E_GGUF",
      /for the number of metadata, more than the file can hold/,
    ],
    [
      "a long key",
      () => bytesOf((b) => void b.writeBigUInt64LE(1n << 40n, 24)),
      "E_GGUF",
      /a text of 1099511627776 bytes/,
    ],
    [
      "a list without end",
      () => write({ x: array(4, 1n << 50n) }),
      "E_GGUF",
      /for the length of x, more than the file can hold/,
    ],
    ["a value of no type", () => write({ x: { raw: Buffer.from([77, 0, 0, 0]) } }), "E_GGUF", /unknown type 77 for x/],
    [
      "bytes that are no text",
      () => write({ x: { raw: Buffer.concat([Buffer.from([8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0xc3, 0x28])]) } }),
      "E_GGUF",
      /not UTF-8/,
    ],
    [
      "another architecture",
      () => write({ "general.architecture": "mamba" }),
      "E_ARCHITECTURE",
      /general\.architecture is "mamba"\. Supported in GGUF files: llama/,
    ],
    [
      "experts",
      () => write({ "llama.expert_count": { u32: 8 } }),
      "E_CONFIG_VALUE",
      /llama\.expert_count is 8, expected 0/,
    ],
    [
      "a part of a split file",
      () => write({ "split.count": { u32: 3 } }),
      "E_GGUF",
      /one part of a split model: split\.count is 3, expected 1\. Join the parts/,
    ],
    [
      "no layers",
      () => writeGguf(join(folder(), "m.gguf"), without("llama.block_count"), tensorsOf("q4_0", false)),
      "E_CONFIG_VALUE",
      /llama\.block_count is missing/,
    ],
    [
      "a text for a number",
      () => write({ "llama.context_length": "64" }),
      "E_CONFIG_VALUE",
      /llama\.context_length is "64", expected a whole number/,
    ],
    [
      "another scaling",
      () => write({ "llama.rope.scaling.type": "yarn" }),
      "E_CONFIG_VALUE",
      /scaling\.type is "yarn", expected "none" or "linear"/,
    ],
    [
      "a type that is not read",
      () =>
        write(
          {},
          tensorsOf("q4_0", false).map((t) => (t.name.includes("ffn_up") ? { ...t, type: 10 } : t)),
        ),
      "E_TENSOR_DTYPE",
      /ffn_up\.weight is stored as q2_k, expected f32, f16, q4_0/,
    ],
    [
      "a type of no name",
      () =>
        write(
          {},
          tensorsOf("q4_0", false).map((t) => (t.name.includes("ffn_up") ? { ...t, type: 99 } : t)),
        ),
      "E_TENSOR_DTYPE",
      /of the unknown type 99/,
    ],
    [
      "a missing tensor",
      () =>
        write(
          {},
          tensorsOf("q4_0", false).filter(({ name }) => !name.includes("ffn_up")),
        ),
      "E_TENSOR_MISSING",
      /tensor blk\.0\.ffn_up\.weight \(model\.layers\.0\.mlp\.up_proj\.weight\) is missing/,
    ],
    [
      "rows of half a block",
      () =>
        write(
          {},
          tensorsOf("q4_0", false).map((t) => (t.name.includes("ffn_up") ? { ...t, shape: [512, 500] } : t)),
        ),
      "E_GGUF",
      /rows of 500 elements, but q4_0 is stored in blocks of 32/,
    ],
    [
      "another shape",
      () => write({ "llama.feed_forward_length": { u32: 256 } }),
      "E_TENSOR_SHAPE",
      /expected \[256, 512\]/,
    ],
    [
      "rotary factors of another kind",
      () =>
        write({}, [
          ...tensorsOf("q4_0", false),
          {
            name: "rope_freqs.weight",
            shape: [64],
            type: 0,
            data: new Uint8Array(new Float32Array(64).fill(3).buffer),
          },
        ]),
      "E_GGUF",
      /rotary factors other than Llama 3\.1's/,
    ],
    [
      "a bias",
      () =>
        write({}, [
          ...tensorsOf("q4_0", false),
          { name: "blk.0.attn_q.bias", shape: [512], type: 0, data: new Uint8Array(2048) },
        ]),
      "E_GGUF",
      /tensor blk.0.attn_q.bias: this bias is not supported in GGUF files of llama/,
    ],
  ])("%s", async (_, make, code, message) => {
    const error = await errorOf(() => openModel(make()));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  test("a key or a tensor twice", async () => {
    const twice = tensorsOf("q4_0", false);
    const file = write({}, [...twice, twice[0]!]);
    expect((await errorOf(() => openModel(file))).message).toContain("has the tensor token_embd.weight twice");
    const bytes = ggufBytes({ "general.architecture": "llama", "general.architecturf": "llama" }, []);
    bytes.write("general.architecture", bytes.indexOf("general.architecturf"));
    const other = join(folder(), "twice.gguf");
    writeFileSync(other, bytes);
    expect((await errorOf(() => openModel(other))).message).toContain("has the key general.architecture twice");
  });

  test("weights that are not there any more when they are mapped", async () => {
    const file = write({});
    const model = openModel(file);
    truncateSync(file, 4096);
    const options = { precision: "fp32", threads: 1, maxTokens: 8, maxSequence: 8, training: false } as const;
    const error = await errorOf(() => Engine.create(model, null, options));
    expect([error.code, error.message]).toEqual(["E_FILE", expect.stringContaining("cut short")]);
  });

  test("a folder of several files; one alone is opened", async () => {
    const work = folder();
    writeGguf(join(work, "a.gguf"), METADATA, tensorsOf("q8_0", false));
    expect(openModel(work).tensors[0]!.dtype).toBe("q8_0");
    writeGguf(join(work, "b.gguf"), METADATA, tensorsOf("q8_0", false));
    expect((await errorOf(() => openModel(work))).message).toContain(
      "several GGUF files: a.gguf, b.gguf. Name one of them",
    );
  });

  test("tokenizers of another kind: --tokenizer_name is the way out", async () => {
    for (const [kind, what] of [
      ["t5", "SentencePiece unigram"],
      ["bert", "WordPiece"],
    ] as const) {
      const error = await errorOf(() => Tokenizer.open(write({ "tokenizer.ggml.model": kind })));
      expect([error.code, error.message]).toEqual([
        "E_TOKENIZER",
        expect.stringMatching(
          new RegExp(`tokenizer\\.ggml\\.model is "${kind}" \\(${what}\\); .*--tokenizer_name FOLDER`),
        ),
      ]);
    }
    const other = write({ "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "strange" });
    expect((await errorOf(() => Tokenizer.open(other))).message).toMatch(
      /tokenizer\.ggml\.pre is "strange"; supported in GGUF files: gpt-2, smollm/,
    );
    const none = write({});
    expect((await errorOf(() => Tokenizer.open(none))).message).toContain("tokenizer.ggml.model is missing");
  });
});

describe("Llama 3's rotary factors", () => {
  test.each([8, 32])("factor %i is recognised from the tensor", (factor) => {
    const theta = 500000;
    const factors = Float32Array.from({ length: 64 }, (_, i) => {
      const wavelength = 2 * Math.PI * theta ** ((2 * i) / 128);
      if (wavelength < 2048) return 1;
      if (wavelength > 8192) return factor;
      const smooth = (8192 / wavelength - 1) / 3;
      return 1 / ((1 - smooth) / factor + smooth);
    });
    const tensor = { name: "rope_freqs.weight", shape: [64], type: 0, data: new Uint8Array(factors.buffer) };
    const metadata = { ...METADATA, "llama.rope.freq_base": { f32: theta } };
    const file = writeGguf(join(folder(), "llama3.gguf"), metadata, [...tensorsOf("q4_0", false), tensor]);
    const { ropeScaling, ropeTheta } = openModel(file).config as LlamaConfig;
    expect(ropeTheta).toBe(theta);
    expect(ropeScaling).toEqual({
      type: "llama3",
      factor,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 8192,
    });
  });
});

test("a tokenizer with a first token", async () => {
  const bytes = Array.from({ length: 256 }, (_, i) => i).filter((i) => (i > 32 && i < 127) || (i > 160 && i !== 173));
  const tokens = ["<|begin|>", ...bytes.map((i) => String.fromCharCode(i)), "Ġ", "he", "<|end|>"];
  const metadata: Record<string, MetaValue> = {
    ...METADATA,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "llama-bpe",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": tokens.map((token) => (token.startsWith("<|") ? 3 : 1)),
    "tokenizer.ggml.merges": ["h e"],
    "tokenizer.ggml.bos_token_id": { u32: 0 },
    "tokenizer.ggml.eos_token_id": { u32: tokens.length - 1 },
  };
  const work = folder();
  mkdirSync(work, { recursive: true });
  const tokenizer = await Tokenizer.open(writeGguf(join(work, "t.gguf"), metadata, tensorsOf("q4_0", false)));
  const [encoded] = await tokenizer.encode(["he <|end|>"], { maxLength: undefined });
  expect([...encoded!].map((id) => tokens[id])).toEqual(["<|begin|>", "he", "Ġ", "<|end|>"]);
  expect(tokenizer.eosTokenId).toBe(tokens.length - 1);
});

test.each([
  ["olmo", "gpt-2", null],
  ["mpt", "gpt-2", null],
  ["phi-2", "gpt-2", null],
  ["starcoder", "smollm", null],
  ["command-r", "smollm", { type: "NFC" }],
])("%s cuts texts as %s", (name, other, normalizer) => {
  const parts = (pre: string) => {
    const metadata = {
      ...METADATA,
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": pre,
      "tokenizer.ggml.tokens": ["a"],
      "tokenizer.ggml.merges": [],
    };
    return ggufTokenizer(writeGguf(join(folder(), "t.gguf"), metadata, []))["tokenizer.json"] as Record<
      string,
      unknown
    >;
  };
  expect(parts(name)).toEqual({ ...parts(other), normalizer });
});
