import { cpSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { readEosIds, Tokenizer } from "../../src/data/index.js";
import { editJson, errorOf, temporaryFolders, tinyBase, writeIn } from "../support/folders.js";

const folder = temporaryFolders();
const tokenizer = await Tokenizer.open(tinyBase);
const BOS = 0;

/** The tokenizer with changed files beside or in it. */
function copyTokenizer(changes: Record<string, Record<string, unknown>>): string {
  const copy = folder();
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) cpSync(join(tinyBase, name), join(copy, name));
  for (const [name, keys] of Object.entries(changes)) editJson(join(copy, name), keys);
  return copy;
}

/** A post-processor that puts <s> before and </s> after a text. */
const bothEnds = {
  type: "TemplateProcessing",
  single: [
    { SpecialToken: { id: "<s>", type_id: 0 } },
    { Sequence: { id: "A", type_id: 0 } },
    { SpecialToken: { id: "</s>", type_id: 0 } },
  ],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: {
    "<s>": { id: "<s>", ids: [0], tokens: ["<s>"] },
    "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] },
  },
};

const encode = async (t: Tokenizer, text: string, maxLength = 1000) => [...(await t.encode([text], { maxLength }))[0]!];

describe("settings that tokenizer.json does not follow", () => {
  const warnings = async (keys: Record<string, unknown>, own: Record<string, Record<string, unknown>> = {}) => {
    const found: string[] = [];
    await Tokenizer.open(copyTokenizer({ "tokenizer_config.json": keys, ...own }), (message) => found.push(message));
    return found;
  };
  const space = { tokenizer_class: "GPT2Tokenizer", add_prefix_space: true };

  test.each([
    [space, /add_prefix_space is true under GPT2Tokenizer.*transformers 5 gives other tokens/],
    [{ tokenizer_class: "Qwen2TokenizerFast", add_prefix_space: true }, /add_prefix_space is true under Qwen2/],
    [{ split_special_tokens: true }, /split_special_tokens is true.*transformers 5 gives other tokens/],
  ])("%j is a warning", async (keys, message) => {
    expect(await warnings(keys)).toEqual([expect.stringMatching(message)]);
  });

  test("none where the reference gives the same tokens", async () => {
    expect(await warnings({ tokenizer_class: "PreTrainedTokenizerFast", add_prefix_space: true })).toEqual([]);
    const pre_tokenizer = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };
    expect(await warnings(space, { "tokenizer.json": { pre_tokenizer } })).toEqual([]);
  });
});

describe("encoding", () => {
  test("special tokens are those of tokenizer.json", async () => {
    expect(await encode(tokenizer, "")).toEqual([BOS]);
    const ids = await encode(tokenizer, "Hello there");
    expect(ids[0]).toBe(BOS);
    expect(ids.slice(1)).not.toContain(BOS);
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe("<s>Hello there");
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe("Hello there");
  });

  test("truncation cuts the text and keeps the special tokens", async () => {
    const both = await Tokenizer.open(copyTokenizer({ "tokenizer.json": { post_processor: bothEnds } }));
    const whole = await encode(both, "one two three four five six");
    const content = whole.slice(1, -1);
    expect([whole[0], whole.at(-1)]).toEqual([0, 1]);
    for (let length = 2; length <= whole.length + 1; length++) {
      expect(await encode(both, "one two three four five six", length)).toEqual([
        0,
        ...content.slice(0, length - 2),
        1,
      ]);
    }
  });

  test("truncation_side left keeps the end", async () => {
    const left = await Tokenizer.open(copyTokenizer({ "tokenizer_config.json": { truncation_side: "left" } }));
    const content = (await encode(tokenizer, "one two three four")).slice(1);
    expect(await encode(left, "one two three four", 3)).toEqual([BOS, ...content.slice(-2)]);
  });

  test("padding and truncation of the file do not count", async () => {
    const path = copyTokenizer({
      "tokenizer.json": {
        padding: {
          strategy: { Fixed: 32 },
          direction: "Right",
          pad_to_multiple_of: null,
          pad_id: 1,
          pad_type_id: 0,
          pad_token: "</s>",
        },
        truncation: { max_length: 4, strategy: "LongestFirst", stride: 0, direction: "Right" },
      },
    });
    const text = "one two three four five";
    expect(await encode(await Tokenizer.open(path), text)).toEqual(await encode(tokenizer, text));
  });

  test("texts of one call keep their order; calls with other lengths do not disturb each other", async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `Number ${i} `.repeat(1 + (i % 7)));
    const whole = await tokenizer.encode(texts, { maxLength: 1000 });
    const lengths = [3, 50, 4, 1000, 5, 3];
    const cut = await Promise.all(lengths.map((maxLength) => tokenizer.encode(texts, { maxLength })));
    for (const [i, maxLength] of lengths.entries()) {
      expect(cut[i]).toEqual(whole.map((ids) => ids.slice(0, maxLength)));
    }
    expect(await tokenizer.encode([], { maxLength: 5 })).toEqual([]);
  });
});

describe("streaming", () => {
  const texts = [
    "Plain words, and more of them.",
    "Crème brûlée — für 5 €",
    "🙂 a family 👩‍👩‍👧‍👦, a flag 🇫🇷",
    "combining: e\u0301 a\u0308 \u0e01\u0e33 \u05e9\u05c1",
    "日本語のテキスト, 中文, 한국어",
    "  leading and trailing  \n\n\ttabs\n",
    "a replacement character \uFFFD in the text \uFFFD",
    "\u{10FFFF}\u{1F9D1}\u{1F3FD}",
  ];

  test.each(texts)("%j comes out whole", async (text) => {
    const stream = tokenizer.stream();
    const ids = await encode(tokenizer, text);
    const pieces = ids.map((id) => stream.push(id));
    expect(pieces.join("") + stream.end()).toBe(text);
    // No piece ends within a character: a character that is not in the text is never printed.
    if (!text.includes("\uFFFD")) expect(pieces.join("")).not.toContain("\uFFFD");
    for (const piece of pieces) expect(Buffer.from(piece).toString()).toBe(piece);
  });

  test("an emoji waits for its last byte", async () => {
    const stream = tokenizer.stream();
    const ids = (await encode(tokenizer, "🙂")).slice(1);
    expect(ids.length).toBeGreaterThan(1);
    expect(ids.slice(0, -1).map((id) => stream.push(id))).toEqual(Array(ids.length - 1).fill(""));
    expect(stream.push(ids.at(-1)!)).toBe("🙂");
    expect(stream.end()).toBe("");
  });

  test("a character that never ends prints at the end, once", async () => {
    const stream = tokenizer.stream();
    const ids = (await encode(tokenizer, "a🙂")).slice(1, -1);
    expect(ids.map((id) => stream.push(id)).join("")).toBe("a");
    expect(stream.end()).toBe("\uFFFD");
    expect(stream.end()).toBe("");
  });

  test("bytes that belong to no character do not hold the text back for ever", async () => {
    const [half] = (await encode(tokenizer, "🙂")).slice(1);
    const stream = tokenizer.stream();
    const printed = Array.from({ length: 40 }, () => stream.push(half!)).join("") + stream.end();
    expect(printed).toBe("\uFFFD".repeat(40));
  });

  test("special tokens are not printed", async () => {
    const stream = tokenizer.stream();
    const ids = [0, ...(await encode(tokenizer, "ab")).slice(1), 1];
    expect(ids.map((id) => stream.push(id)).join("") + stream.end()).toBe("ab");
  });

  test("tokens that begin with a space keep it, in decoders that strip the first", async () => {
    const sentencePiece = {
      normalizer: null,
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false },
      decoder: {
        type: "Sequence",
        decoders: [
          { type: "Replace", pattern: { String: "▁" }, content: " " },
          { type: "ByteFallback" },
          { type: "Fuse" },
          { type: "Strip", content: " ", start: 1, stop: 0 },
        ],
      },
      model: {
        type: "BPE",
        byte_fallback: true,
        unk_token: "<s>",
        vocab: { "<s>": 0, "</s>": 1, "▁": 2, a: 3, b: 4, "<0xE2>": 5, "<0x82>": 6, "<0xAC>": 7 },
        merges: [],
      },
    };
    const t = await Tokenizer.open(copyTokenizer({ "tokenizer.json": sentencePiece }));
    const ids = (await encode(t, "a b€ a")).slice(1);
    expect(ids).toEqual([2, 3, 2, 4, 5, 6, 7, 2, 3]);
    const stream = t.stream();
    expect(ids.map((id) => stream.push(id))).toEqual(["", "a", " ", "b", "", "", "€", " ", "a"]);
  });
});

describe("tokens by name", () => {
  test("from tokenizer_config.json", () => {
    expect(tokenizer.bosTokenId).toBe(0);
    expect(tokenizer.eosTokenId).toBe(1);
    expect(tokenizer.padTokenId).toBe(1);
    expect(tokenizer.vocabSize).toBe(2048);
  });

  test("as objects, from special_tokens_map.json, which decides in older folders, and new ones", async () => {
    const path = copyTokenizer({
      "tokenizer_config.json": { bos_token: { content: "<s>", lstrip: false }, eos_token: null, pad_token: "<pad>" },
    });
    writeIn(path, "special_tokens_map.json", JSON.stringify({ eos_token: { content: "</s>" }, bos_token: "</s>" }));
    const t = await Tokenizer.open(path);
    expect([t.bosTokenId, t.eosTokenId, t.padTokenId]).toEqual([1, 1, 2048]);
    expect(t.files.map((file) => basename(file))).toEqual([
      "tokenizer.json",
      "tokenizer_config.json",
      "special_tokens_map.json",
    ]);
  });

  test("without any file beside tokenizer.json", async () => {
    const copy = folder();
    cpSync(join(tinyBase, "tokenizer.json"), join(copy, "tokenizer.json"));
    const t = await Tokenizer.open(join(copy, "tokenizer.json"));
    expect([t.bosTokenId, t.eosTokenId, t.padTokenId]).toEqual([undefined, undefined, undefined]);
    expect(await encode(t, "one two")).toEqual(await encode(tokenizer, "one two"));
  });

  test.each([
    [{ eos_token_id: 7 }, { eos_token_id: 8 }, [7]],
    [{ eos_token_id: [7, 9] }, { eos_token_id: 8 }, [7, 9]],
    [null, { eos_token_id: 8 }, [8]],
    [{ eos_token_id: null }, { eos_token_id: 8 }, [8]],
    [null, {}, []],
    [null, null, []],
  ])("end of text: generation %j, config %j", (generation, config, expected) => {
    const model = folder();
    if (generation) writeIn(model, "generation_config.json", JSON.stringify(generation));
    if (config) writeIn(model, "config.json", JSON.stringify(config));
    expect(readEosIds(model)).toEqual(expected);
  });
});

describe("what cannot be opened", () => {
  test.each([
    ["a missing folder", () => "/nowhere/model", "E_FILE_MISSING", /Tokenizer \/nowhere\/model cannot be read/],
    ["an empty folder", () => folder(), "E_FILE_MISSING", /has no tokenizer.json. Copy .* --tokenizer_name/],
    [
      "an old tokenizer",
      () => join(writeIn(folder(), "vocab.json", "{}"), ".."),
      "E_FILE_MISSING",
      /has no tokenizer.json. It has vocab.json; save/,
    ],
    [
      "broken JSON",
      () => writeIn(folder(), "tokenizer.json", "{"),
      "E_TOKENIZER",
      /tokenizer.json cannot be loaded: .*line 1/,
    ],
    ["another JSON", () => writeIn(folder(), "tokenizer.json", "{}"), "E_TOKENIZER", /cannot be loaded/],
  ])("%s", async (_, make, code, message) => {
    const error = await errorOf(() => Tokenizer.open(make()));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  test("a broken file beside it names itself", async () => {
    const path = copyTokenizer({});
    const file = writeIn(path, "special_tokens_map.json", "{]");
    const error = await errorOf(() => Tokenizer.open(path));
    expect(error.code).toBe("E_JSON");
    expect(error.message).toContain(`${file}, line 1, column 2`);
  });
});

test("ids outside the vocabulary have no text", () => {
  expect(tokenizer.decode([99999], { skipSpecialTokens: true })).toBe("");
  expect(JSON.parse(readFileSync(join(tinyBase, "tokenizer.json"), "utf8")).model.vocab["<s>"]).toBe(BOS);
});
