// GGUF headers, configurations and tokenizers, right and damaged: files of a few kilobytes, plain weights.
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import tokenizers from "tokenizers";
import { describe, expect, test, vi } from "vitest";
import { LowrankError } from "../../src/base/errors.js";
import { copyInto } from "../../src/checkpoint/files.js";
import { planBpe } from "../../src/data/bpe/index.js";
import { readEosIds, Tokenizer } from "../../src/data/index.js";
import { readConfig } from "../../src/model/config.js";
import type { LlamaConfig } from "../../src/model/families/llama.js";
import { readGgufHeader } from "../../src/model/gguf/header.js";
import { PRETOKENIZERS } from "../../src/model/gguf/pretokenizers.js";
import { ggufTokenizer, openModel } from "../../src/model/index.js";
import { errorOf, temporaryFolders } from "../support/folders.js";
import { ggufBytes, type MetaValue, ONE_BLOCK, type TensorToWrite, writeGguf } from "../support/gguf.js";

const folder = temporaryFolders();

type Meta = Record<string, MetaValue>;

/** f32, every element the tensor's number, so that one can be told from another. */
let made = 0;
function f32(name: string, ...shape: number[]): TensorToWrite {
  const values = new Float32Array(shape.reduce((product, n) => product * n, 1)).fill(++made);
  return { name, shape, type: 0, data: new Uint8Array(values.buffer) };
}

function tensors(): TensorToWrite[] {
  return [
    f32("token_embd.weight", 24, 64),
    f32("output_norm.weight", 64),
    f32("blk.0.attn_norm.weight", 64),
    f32("blk.0.ffn_norm.weight", 64),
    f32("blk.0.attn_q.weight", 64, 64),
    f32("blk.0.attn_k.weight", 32, 64),
    f32("blk.0.attn_v.weight", 32, 64),
    f32("blk.0.attn_output.weight", 64, 64),
    f32("blk.0.ffn_gate.weight", 96, 64),
    f32("blk.0.ffn_up.weight", 96, 64),
    f32("blk.0.ffn_down.weight", 64, 96),
  ];
}

const write = (metadata: Meta = {}, more: TensorToWrite[] = []) =>
  writeGguf(join(folder(), "m.gguf"), { ...ONE_BLOCK, ...metadata }, [...tensors(), ...more]);

function raw(type: number, bytes: number, put: (into: Buffer) => void): { raw: Buffer } {
  const value = Buffer.alloc(4 + bytes);
  value.writeUInt32LE(type);
  put(value.subarray(4));
  return { raw: value };
}

/** A list of lists of u8. */
function lists(...values: number[][]): { raw: Buffer } {
  const list = (of: number, count: number) => raw(of, 8, (b) => b.writeBigUInt64LE(BigInt(count))).raw;
  const type = Buffer.from([9, 0, 0, 0]);
  return {
    raw: Buffer.concat([type, list(9, values.length), ...values.flatMap((v) => [list(0, v.length), Buffer.from(v)])]),
  };
}

describe("the header", () => {
  test("a value of every type", () => {
    const file = write({
      u8: raw(0, 1, (b) => b.writeUInt8(200)),
      i8: raw(1, 1, (b) => b.writeInt8(-100)),
      u16: raw(2, 2, (b) => b.writeUInt16LE(60000)),
      i16: raw(3, 2, (b) => b.writeInt16LE(-30000)),
      u32: { u32: 4_000_000_000 },
      i32: raw(5, 4, (b) => b.writeInt32LE(-2_000_000_000)),
      f32: { f32: 0.5 },
      bool: true,
      text: "wörld 😀",
      u64: { u64: 2n ** 40n },
      i64: raw(11, 8, (b) => b.writeBigInt64LE(-(2n ** 40n))),
      f64: raw(12, 8, (b) => b.writeDoubleLE(0.1)),
      texts: ["a", "", "b c"],
      nested: lists([7, 8], [9, 10]),
    });
    const { metadata } = readGgufHeader(file);
    const read = Object.fromEntries([...metadata].slice(Object.keys(ONE_BLOCK).length));
    expect(read).toEqual({
      u8: 200,
      i8: -100,
      u16: 60000,
      i16: -30000,
      u32: 4_000_000_000,
      i32: -2_000_000_000,
      f32: 0.5,
      bool: true,
      text: "wörld 😀",
      u64: 2 ** 40,
      i64: -(2 ** 40),
      f64: 0.1,
      texts: ["a", "", "b c"],
      nested: [
        [7, 8],
        [9, 10],
      ],
    });
  });

  test.each([{ version: 2 }, { version: 3 }, { version: 3, alignment: 64 }, { version: 3, alignment: 8 }])(
    "tensors lie where they are said to: %o",
    ({ version, alignment }) => {
      const file = join(folder(), "m.gguf");
      const metadata = { ...ONE_BLOCK, ...(alignment && { "general.alignment": { u32: alignment } }) };
      const written = tensors();
      const bytes = ggufBytes(metadata, written, { version, alignment });
      writeFileSync(file, bytes);
      const { tensors: read } = openModel(file);
      expect(read.map(({ shape }) => shape)).toEqual(written.map(({ shape }) => shape));
      for (const [i, entry] of read.entries())
        expect(bytes.subarray(entry.offset, entry.offset + entry.bytes), entry.name).toEqual(
          Buffer.from(written[i]!.data),
        );
    },
  );

  test("cut anywhere before its last weight, it is a clear error", async () => {
    const bytes = ggufBytes({ ...ONE_BLOCK, words: ["a", "b"], flag: true }, tensors());
    const file = join(folder(), "m.gguf");
    writeFileSync(file, bytes);
    const { tensors: entries } = openModel(file);
    const dataBegin = Math.min(...entries.map(({ offset }) => offset));
    const cuts = Array.from({ length: dataBegin }, (_, at) => at).concat(entries.map((e) => e.offset + e.bytes - 1));
    for (const at of cuts.sort((a, b) => b - a)) {
      truncateSync(file, at);
      const error = await errorOf(() => openModel(file));
      expect([error.code, error.message.includes(file)], `cut at ${at}`).toEqual(["E_GGUF", true]);
    }
  });

  test("with any byte of it changed, it is a model or a clear error", () => {
    const bytes = ggufBytes({ ...ONE_BLOCK, words: ["a", "b"], nested: lists([1], [2]) }, tensors());
    const file = join(folder(), "m.gguf");
    writeFileSync(file, bytes);
    const dataBegin = Math.min(...openModel(file).tensors.map(({ offset }) => offset));
    const outcomes = { opened: 0, refused: 0 };
    for (let at = 0; at < dataBegin; at++) {
      for (const value of [0, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        writeFileSync(file, changed);
        try {
          openModel(file);
          outcomes.opened++;
        } catch (error) {
          if (!(error instanceof LowrankError) || error.code === "E_INTERNAL") throw error;
          outcomes.refused++;
        }
      }
    }
    expect(outcomes.opened).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(outcomes.opened);
  });

  const edited = (edit: (bytes: Buffer, at: (name: string) => number) => void) => {
    const bytes = ggufBytes(ONE_BLOCK, tensors());
    edit(bytes, (name) => bytes.indexOf(name) + name.length);
    const file = join(folder(), "m.gguf");
    writeFileSync(file, bytes);
    return file;
  };
  // After a tensor's name: number of dimensions (u32), dimensions (u64 each), type (u32), offset (u64).
  test.each<[string, () => string, RegExp]>([
    ["another file", () => edited((b) => b.write("GGML")), /does not begin with GGUF\. Name a model's \.gguf file/],
    [
      "big-endian",
      () => edited((b) => b.writeUInt32BE(3, 4)),
      /is big-endian, expected little-endian\. Use the little-endian file/,
    ],
    [
      "no dimensions",
      () => edited((b, at) => b.writeUInt32LE(0, at("blk.0.attn_v.weight"))),
      /0 dimensions for tensor blk\.0\.attn_v\.weight, expected 1 to 4/,
    ],
    [
      "five dimensions",
      () => edited((b, at) => b.writeUInt32LE(5, at("blk.0.attn_v.weight"))),
      /5 dimensions for tensor blk\.0\.attn_v\.weight, expected 1 to 4/,
    ],
    [
      "an empty dimension",
      () => edited((b, at) => b.writeBigUInt64LE(0n, at("blk.0.attn_v.weight") + 4)),
      /an empty dimension for tensor blk\.0\.attn_v\.weight/,
    ],
    [
      "a dimension beyond what counts",
      () => edited((b, at) => b.writeBigUInt64LE(2n ** 63n, at("blk.0.attn_v.weight") + 4)),
      /9223372036854775808 for blk\.0\.attn_v\.weight, which cannot be right/,
    ],
    [
      "dimensions whose product overflows",
      () => edited((b, at) => [4, 12].map((k) => b.writeBigUInt64LE(2n ** 50n, at("blk.0.attn_v.weight") + k))),
      /tensor blk\.0\.attn_v\.weight ends at byte .* the file is cut short/,
    ],
    [
      "an offset that is not aligned",
      () => edited((b, at) => b.writeBigUInt64LE(33n, at("blk.0.attn_v.weight") + 24)),
      /tensor blk\.0\.attn_v\.weight lies at byte 33 of the data, expected a multiple of 32/,
    ],
    [
      "an offset beyond the end",
      () => edited((b, at) => b.writeBigUInt64LE(2n ** 40n, at("blk.0.attn_v.weight") + 24)),
      /tensor blk\.0\.attn_v\.weight ends at byte \d+ of a file of \d+/,
    ],
    [
      "an alignment of nothing",
      () => write({ "general.alignment": { u32: 0 } }),
      /general\.alignment 0, expected a whole number/,
    ],
    [
      "an alignment in words",
      () => write({ "general.alignment": "32" }),
      /general\.alignment "32", expected a whole number/,
    ],
    ["a name without end", () => write({ ["k".repeat(70_000)]: true }), /a text of 70000 bytes for a key/],
    [
      "lists in lists in lists",
      () =>
        write({
          deep: {
            raw: Buffer.concat([
              Buffer.from([9, 0, 0, 0]),
              ...Array.from({ length: 3 }, () => Buffer.from([9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])),
            ]),
          },
        }),
      /lists within lists within lists for deep/,
    ],
    [
      "a tensor that nobody needs beyond the end",
      () => write({}, [{ ...f32("other.weight", 8), shape: [2 ** 20] }]),
      /tensor other\.weight ends at byte/,
    ],
  ])("%s", async (_, make, message) => {
    const error = await errorOf(() => openModel(make()));
    expect([error.code, error.message]).toEqual(["E_GGUF", expect.stringMatching(message)]);
  });

  test("a type that cannot be read does not matter where the model does not use it", () => {
    const file = write({}, [{ ...f32("other.weight", 8), type: 18 }]);
    expect(openModel(file).tensors.map(({ name }) => name)).not.toContain("other.weight");
  });
});

describe("the configuration", () => {
  test("from the metadata; the head is tied where there is none", () => {
    const config = {
      modelType: "llama",
      vocabSize: 24,
      hiddenSize: 64,
      intermediateSize: 96,
      layers: 1,
      heads: 4,
      kvHeads: 2,
      headDim: 16,
      rmsNormEps: 1e-5,
      maxPositions: 64,
      ropeTheta: 10000,
      ropeScaling: null,
      tieWordEmbeddings: true,
      attentionBias: false,
      mlpBias: false,
      activation: "silu",
    };
    expect(openModel(write()).config).toEqual(config);
    const untied = openModel(write({ "llama.rope.freq_base": { f32: 500000 } }, [f32("output.weight", 24, 64)]));
    expect(untied.config).toEqual({ ...config, tieWordEmbeddings: false, ropeTheta: 500000 });
    expect(untied.tensors.at(-1)).toMatchObject({ name: "lm_head.weight", shape: [24, 64] });
  });

  test("names, and the rows of a head where they are interleaved", () => {
    const model = openModel(write());
    expect(model.tensors.map(({ name, interleaved }) => [name, interleaved])).toEqual([
      ["model.embed_tokens.weight", undefined],
      ["model.norm.weight", undefined],
      ["model.layers.0.input_layernorm.weight", undefined],
      ["model.layers.0.post_attention_layernorm.weight", undefined],
      ["model.layers.0.self_attn.q_proj.weight", 16],
      ["model.layers.0.self_attn.k_proj.weight", 16],
      ["model.layers.0.self_attn.v_proj.weight", undefined],
      ["model.layers.0.self_attn.o_proj.weight", undefined],
      ["model.layers.0.mlp.gate_proj.weight", undefined],
      ["model.layers.0.mlp.up_proj.weight", undefined],
      ["model.layers.0.mlp.down_proj.weight", undefined],
    ]);
  });

  const type = "llama.rope.scaling.type";
  const factor = { "llama.rope.scaling.factor": { f32: 4 } };
  test.each<[string, Meta, object | null]>([
    ["linear", { [type]: "linear", ...factor }, { type: "linear", factor: 4 }],
    ["a factor without a type", factor, { type: "linear", factor: 4 }],
    ["older files' key", { "llama.rope.scale_linear": { f32: 4 } }, { type: "linear", factor: 4 }],
    ["a type of none", { [type]: "none", ...factor }, null],
    ["a factor of 0", { [type]: "linear", "llama.rope.scaling.factor": { f32: 0 } }, null],
    ["a factor of 1", { [type]: "linear", "llama.rope.scaling.factor": { f32: 1 } }, null],
  ])("rotary scaling: %s", (_, metadata, expected) => {
    expect((openModel(write(metadata)).config as LlamaConfig).ropeScaling).toEqual(expected);
  });

  test.each<[string, () => string, string, RegExp]>([
    [
      "blocks without end",
      () => write({ "llama.block_count": { u32: 2 ** 31 - 1 } }),
      "E_CONFIG_VALUE",
      /llama\.block_count is 2147483647, expected a whole number from 1 to 100000/,
    ],
    [
      "more blocks than there are",
      () => write({ "llama.block_count": { u32: 100_000 } }),
      "E_TENSOR_MISSING",
      /tensor blk\.1\.attn_norm\.weight \(model\.layers\.1\.input_layernorm\.weight\) is missing.*block_count \(100000\)/,
    ],
    [
      "heads that do not share",
      () => write({ "llama.attention.head_count_kv": { u32: 3 } }),
      "E_CONFIG_VALUE",
      /head_count_kv: expected a divisor of llama\.attention\.head_count \(4\), found 3/,
    ],
    [
      "heads that differ by block",
      () => write({ "llama.attention.head_count": [4, 4] }),
      "E_CONFIG_VALUE",
      /head_count is a list of 2, expected a whole number/,
    ],
    [
      "half a rotary pair",
      () => write({ "llama.attention.key_length": { u32: 15 } }),
      "E_CONFIG_VALUE",
      /key_length: expected an even number, found 15/,
    ],
    [
      "attention both ways",
      () => write({ "llama.attention.causal": false }),
      "E_CONFIG_VALUE",
      /attention\.causal is false, expected true/,
    ],
    [
      "two kinds of scaling at once",
      () => write(factor, [f32("rope_freqs.weight", 8)]),
      "E_CONFIG_VALUE",
      /scaling\.factor is 4 beside tensor rope_freqs\.weight/,
    ],
  ])("%s", async (_, make, code, message) => {
    const error = await errorOf(() => openModel(make()));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  test("a path that leads through a file is an error for people", async () => {
    const file = write();
    expect((await errorOf(() => openModel(join(file, "x.gguf")))).code).toBe("E_FILE");
    expect((await errorOf(() => Tokenizer.open(join(file, "x.gguf")))).code).toBe("E_FILE");
  });

  test("a folder's safetensors come first; two GGUF files in it are not its tokenizer's affair then", () => {
    const work = folder();
    for (const name of ["a.gguf", "b.gguf"]) writeGguf(join(work, name), ONE_BLOCK, tensors());
    writeFileSync(join(work, "model.safetensors"), "");
    expect(() => openModel(work)).toThrow(/config\.json/);
  });
});

/** The letters that stand for all bytes. */
const LETTERS = Array.from({ length: 0x144 }, (_, code) => code)
  .filter((code) => (code > 32 && code < 127) || (code > 160 && code !== 173))
  .map((code) => String.fromCharCode(code));
const TOKENS = ["<|first|>", ...LETTERS, "he", "<|user|>", "<|last|>"];
const LAST = TOKENS.length - 1;

const tokenizerMeta = (more: Meta = {}, tokens = TOKENS): Meta => ({
  ...ONE_BLOCK,
  "tokenizer.ggml.model": "gpt2",
  "tokenizer.ggml.pre": "gpt-2",
  "tokenizer.ggml.tokens": tokens,
  "tokenizer.ggml.token_type": tokens.map((token) => (token === "<|user|>" ? 4 : token.startsWith("<|") ? 3 : 1)),
  "tokenizer.ggml.merges": ["h e"],
  "tokenizer.ggml.bos_token_id": { u32: 0 },
  "tokenizer.ggml.eos_token_id": { u32: LAST },
  ...more,
});
const writeTokenizer = (more: Meta = {}, tokens = TOKENS) =>
  writeGguf(join(folder(), "t.gguf"), tokenizerMeta(more, tokens), tensors());

async function pieces(file: string, text: string): Promise<string[]> {
  const tokenizer = await Tokenizer.open(file);
  const [ids] = await tokenizer.encode([text], { maxLength: undefined });
  return [...ids!].map((id) => TOKENS[id]!);
}

describe("the tokenizer", () => {
  const noEnds = ["he", "Ġ", "<|last|>"];
  test.each<[string, Meta, string[]]>([
    ["gpt-2 adds nothing", {}, noEnds],
    ["bos where it says so", { "tokenizer.ggml.add_bos_token": true }, ["<|first|>", ...noEnds]],
    ["eos where it says so", { "tokenizer.ggml.add_eos_token": true }, [...noEnds, "<|last|>"]],
    [
      "both",
      { "tokenizer.ggml.add_bos_token": true, "tokenizer.ggml.add_eos_token": true },
      ["<|first|>", ...noEnds, "<|last|>"],
    ],
    ["llama-bpe adds bos", { "tokenizer.ggml.pre": "llama-bpe" }, ["<|first|>", ...noEnds]],
    ["llama-bpe that says no", { "tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.add_bos_token": false }, noEnds],
  ])("%s", async (_, metadata, expected) => {
    expect(await pieces(writeTokenizer(metadata), "he <|last|>")).toEqual(expected);
  });

  test("control tokens are special, user-defined ones are not", async () => {
    const tokenizer = await Tokenizer.open(writeTokenizer());
    const [ids] = await tokenizer.encode(["he<|user|>he<|last|>"], { maxLength: undefined });
    expect(tokenizer.decode(ids!, { skipSpecialTokens: true })).toBe("he<|user|>he");
    expect(tokenizer.decode(ids!, { skipSpecialTokens: false })).toBe("he<|user|>he<|last|>");
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([0, LAST, undefined]);
  });

  test("ids of no token are none, where nothing needs them", async () => {
    const names = ["bos", "eos", "unknown", "padding", "separator", "cls", "mask", "eot", "eom"];
    const beyond = names.map((name): [string, Meta[string]] => [
      `tokenizer.ggml.${name}_token_id`,
      { u32: 2 ** 32 - 1 },
    ]);
    const file = writeTokenizer({ ...Object.fromEntries(beyond), "tokenizer.ggml.add_bos_token": false });
    const tokenizer = await Tokenizer.open(file);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(await pieces(file, "he <|last|>")).toEqual(noEnds);
    expect(readEosIds(file)).toEqual([]);
  });

  test("ids that end a text, each once", () => {
    const ends = { "tokenizer.ggml.eot_token_id": { u32: 0 }, "tokenizer.ggml.eom_token_id": { u32: LAST } };
    expect(readEosIds(writeTokenizer(ends))).toEqual([LAST, 0]);
    // The tokenizer of another kind is given as a folder; the file's ends count all the same.
    expect(readEosIds(writeTokenizer({ ...ends, "tokenizer.ggml.model": "llama" }))).toEqual([LAST, 0]);
  });

  const PIECES = "he 're 'RE x1234567 $9.99 -- a_b\n\n  z";
  test.each([
    ["gpt-2", "he| '|re| '|RE| x|1234567| $|9|.|99| --| a|_|b|\n\n | z"],
    ["smollm", "he| '|re| '|RE| x|1|2|3|4|5|6|7| $|9|.|9|9| --| a|_|b|\n\n | z"],
    ["llama-bpe", "he| '|re| '|RE| x|123|456|7| $|9|.|99| --| a|_b|\n\n| | z"],
    ["qwen2", "he| '|re| '|RE| x|1|2|3|4|5|6|7| $|9|.|9|9| --| a|_b|\n\n| | z"],
    ["default", "he| |'|re| |'|RE| x|123|456|7| |$|9|.|99| |--| a|_|b|\n\n | z"],
  ])("%s cuts a text as its family does, in the package and in the quick way", (pre, expected) => {
    expect([...PRETOKENIZERS.keys()]).toContain(pre);
    const json = ggufTokenizer(writeTokenizer({ "tokenizer.ggml.pre": pre }))["tokenizer.json"] as Record<
      string,
      unknown
    >;
    const native = tokenizers.Tokenizer.fromString(JSON.stringify(json)).getPreTokenizer()!;
    const bytes = new Map(LETTERS.map((letter) => [letter, letter]));
    bytes.set("Ġ", " ").set("Ċ", "\n");
    const cut = native
      .preTokenizeString(PIECES)
      .map(([piece]) => [...piece].map((letter) => bytes.get(letter)).join(""));
    expect(cut.join("|")).toBe(expected);
    expect(planBpe(Buffer.from(JSON.stringify(json)), [])).not.toBeNull();
  });

  test.each<[string, Meta, RegExp]>([
    ["no pre-tokenizer", { "tokenizer.ggml.pre": "" }, /tokenizer\.ggml\.pre is ""; supported in GGUF files: gpt-2,/],
    [
      "a first token that is needed and beyond the end",
      { "tokenizer.ggml.bos_token_id": { u32: 9999 }, "tokenizer.ggml.add_bos_token": true },
      /add_bos_token is true, but tokenizer.ggml.bos_token_id is 9999, which no token has/,
    ],
    [
      "a first token that this kind needs and that is beyond the end",
      { "tokenizer.ggml.bos_token_id": { u32: 9999 }, "tokenizer.ggml.pre": "llama-bpe" },
      /add_bos_token is true, but tokenizer.ggml.bos_token_id is 9999/,
    ],
    [
      "a last token that is a text",
      { "tokenizer.ggml.eos_token_id": "</s>" },
      /eos_token_id is "<\/s>", expected the number of one of/,
    ],
    ["a merge of one", { "tokenizer.ggml.merges": ["he"] }, /merges has "he", expected two tokens that make a third/],
    ["a merge of three", { "tokenizer.ggml.merges": ["h e e"] }, /merges has "h e e"/],
    ["a merge into nothing", { "tokenizer.ggml.merges": ["h h"] }, /merges has "h h"/],
    [
      "a token twice",
      { "tokenizer.ggml.tokens": [...TOKENS.slice(0, -1), "he"] },
      /tokens has "he" twice, as \d+ and \d+/,
    ],
    [
      "kinds of a few tokens",
      { "tokenizer.ggml.token_type": [3, 1] },
      /token_type is a list of 2, expected one number for/,
    ],
    ["a template that is no text", { "tokenizer.chat_template": { u32: 5 } }, /chat_template is 5, expected a text/],
  ])("refused: %s", async (_, metadata, message) => {
    const error = await errorOf(() => Tokenizer.open(writeTokenizer(metadata)));
    expect([error.code, error.message]).toEqual(["E_TOKENIZER", expect.stringMatching(message)]);
    expect(error.message).toContain("--tokenizer_name FOLDER");
  });

  test("refused: a first token that is not named", async () => {
    const metadata = tokenizerMeta({ "tokenizer.ggml.add_bos_token": true });
    delete metadata["tokenizer.ggml.bos_token_id"];
    const file = writeGguf(join(folder(), "t.gguf"), metadata, tensors());
    expect((await errorOf(() => Tokenizer.open(file))).message).toMatch(
      /add_bos_token is true, but .*bos_token_id is missing/,
    );
  });

  test("needs no cache, and its files are those of a folder", async () => {
    vi.stubEnv("XDG_CACHE_HOME", "/dev/null");
    vi.stubEnv("HOME", "/dev/null");
    try {
      const file = writeTokenizer();
      const before = await Tokenizer.open(file);
      // Opened as a thread opens it.
      expect((await Tokenizer.open(before.file)).sha256).toBe(before.sha256);
      expect(before.files.map((path) => basename(path))).toEqual(["tokenizer.json", "tokenizer_config.json"]);
      const target = folder();
      await copyInto(target, before.files);
      expect(readdirSync(target).sort()).toEqual(["tokenizer.json", "tokenizer_config.json"]);
      expect((await Tokenizer.open(target)).sha256).toBe(before.sha256);
      expect(await pieces(target, "he")).toEqual(["he"]);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

const real = new URL("../../../shared/models/smollm2-135m-instruct", import.meta.url).pathname;
const realFile = join(real, "SmolLM2-135M-Instruct.Q4_1.gguf");
const data = new URL("../../../shared/data", import.meta.url).pathname;
const hasReal = existsSync(realFile) && existsSync(data);
if (!hasReal) console.log("skipped: the real GGUF file and texts are not there (../shared)");

describe.skipIf(!hasReal)("the real file", () => {
  test("its configuration is that of config.json, and every tensor is one of the model's", () => {
    const { config, tensors: found } = openModel(realFile);
    expect(config).toEqual(readConfig(join(real, "config.json"), () => {}).config);
    expect(found.length).toBe(readGgufHeader(realFile).tensors.length);
    const shapes = new Map(found.map(({ name, shape }) => [name, shape]));
    const { vocabSize, hiddenSize, intermediateSize, layers, heads, kvHeads, headDim } = config;
    expect(found.length).toBe(2 + 9 * layers);
    expect(shapes.get("model.embed_tokens.weight")).toEqual([vocabSize, hiddenSize]);
    for (let layer = 0; layer < layers; layer++) {
      const block = `model.layers.${layer}`;
      expect(shapes.get(`${block}.self_attn.q_proj.weight`)).toEqual([heads * headDim, hiddenSize]);
      expect(shapes.get(`${block}.self_attn.k_proj.weight`)).toEqual([kvHeads * headDim, hiddenSize]);
      expect(shapes.get(`${block}.mlp.down_proj.weight`)).toEqual([hiddenSize, intermediateSize]);
    }
  });

  test("its tokenizer does with every text what the one beside it does", async () => {
    const [ours, theirs] = [await Tokenizer.open(realFile), await Tokenizer.open(real)];
    const texts = ["sotu-valid.jsonl", "sotu-train.jsonl"].flatMap((name) =>
      readFileSync(join(data, name), "utf8")
        .split("\n")
        .filter(Boolean)
        .slice(0, 1500)
        .map((line) => String(JSON.parse(line).text)),
    );
    // Every character below U+2FF00, and each special token within a text.
    for (let code = 0; code < 0x2ff00; code += 48) {
      const row = Array.from({ length: 48 }, (_, i) => code + i).filter((c) => c < 0xd800 || c > 0xdfff);
      texts.push(row.map((c) => `a${String.fromCodePoint(c)}1`).join(" "));
    }
    const { added_tokens: added } = JSON.parse(readFileSync(join(real, "tokenizer.json"), "utf8"));
    for (const { content } of added) texts.push(`one${content} two ${content}\n`);
    const options = { maxLength: undefined };
    const [a, b] = [await ours.encode(texts, options), await theirs.encode(texts, options)];
    expect(texts.length).toBeGreaterThan(1800 + 4000);
    for (const [i, text] of texts.entries()) {
      if (Buffer.compare(Buffer.from(a[i]!.buffer), Buffer.from(b[i]!.buffer)) !== 0)
        expect([...a[i]!], JSON.stringify(text)).toEqual([...b[i]!]);
      for (const skipSpecialTokens of i % 50 === 0 ? [true, false] : [])
        expect(ours.decode(a[i]!, { skipSpecialTokens })).toBe(theirs.decode(b[i]!, { skipSpecialTokens }));
    }
  }, 120_000);
});
