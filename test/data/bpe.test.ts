// The quick byte-level BPE against the package, character by character.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BpeEncoder, planBpe } from "../../src/data/bpe/index.js";
import { IntList } from "../../src/data/bpe/int-list.js";
import { LETTER_BYTES, LETTERS } from "../../src/data/bpe/letters.js";
import { scannerOf } from "../../src/data/bpe/scanner.js";
import { splitter, translate } from "../../src/data/bpe/splitters.js";
import { tokenOf } from "../../src/data/bpe/vocabulary.js";
import { UNKNOWN, WordTable } from "../../src/data/bpe/word-table.js";
import { Tokenizer } from "../../src/data/index.js";
import { QuickEncoder } from "../../src/data/tokenise/quick-encoder.js";
import { quickPlan } from "../../src/data/tokenise/quick-plan.js";
import { reaching } from "../../src/data/tokenise/row-tokens.js";
import { PRETOKENIZERS } from "../../src/model/gguf/pretokenizers.js";
import { temporaryFolders, tinyBase } from "../support/folders.js";

const folder = temporaryFolders();
const base = JSON.parse(readFileSync(join(tinyBase, "tokenizer.json"), "utf8"));
const smol = new URL("../../../shared/models/smollm2-135m-instruct", import.meta.url).pathname;

const GPT4 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const split = (pattern: string) => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});
const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const cut = { ...bytes, use_regex: false };
const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });
const template = (...single: object[]) => ({
  type: "TemplateProcessing",
  single,
  pair: [],
  special_tokens: Object.fromEntries(
    base.added_tokens.map(({ content, id }: { content: string; id: number }) => [
      content,
      { id: content, ids: [id], tokens: [content] },
    ]),
  ),
});
const A = { Sequence: { id: "A", type_id: 0 } };
const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const contents: string[] = base.added_tokens.map(({ content }: { content: string }) => content);
const [first, second] = contents as [string, string];

/** Tokenizers of the families that people fine-tune, with the small vocabulary. */
const VARIANTS: Record<string, object> = {
  "GPT-2": { pre_tokenizer: bytes, post_processor: bytes, normalizer: null },
  SmolLM2: { pre_tokenizer: sequence({ type: "Digits", individual_digits: true }, bytes), post_processor: null },
  "whole numbers": {
    pre_tokenizer: sequence({ type: "Digits", individual_digits: false }, bytes),
    post_processor: null,
  },
  "Llama 3": {
    pre_tokenizer: sequence(split(GPT4), cut),
    post_processor: { type: "Sequence", processors: [bytes, template(special(first), A)] },
    model: { ...base.model, ignore_merges: true },
  },
  Qwen: { pre_tokenizer: sequence(split(GPT4.replace("{1,3}", "")), cut), normalizer: { type: "NFC" } },
  "GGUF's default": { pre_tokenizer: PRETOKENIZERS.get("default")!.pre_tokenizer, post_processor: null },
  "both ends": { pre_tokenizer: bytes, post_processor: template(special(first), A, special(second)) },
};

async function variant(change: object, settings: object = {}) {
  const where = folder();
  const json = { ...base, normalizer: null, post_processor: null, ...change };
  writeFileSync(join(where, "tokenizer.json"), JSON.stringify(json));
  writeFileSync(join(where, "tokenizer_config.json"), JSON.stringify(settings));
  const file = join(where, "tokenizer.json");
  const plan = planBpe(Buffer.from(JSON.stringify(json)), contents);
  return { tokenizer: await Tokenizer.open(where), plan, quick: { bpe: plan!, file, side: "right" as const } };
}

/** From here on the characters of a range are alike: one of `step` is looked at. */
const ALIKE = { from: 0x3100, step: 13 };

/** Characters in surroundings in which their class decides where words end. */
function everyCharacter(): string[] {
  const texts: string[] = [];
  for (let code = 0; code <= 0x1f6ff; code += code < ALIKE.from ? 1 : ALIKE.step) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const c = String.fromCodePoint(code);
    texts.push(`a${c}b ${c}${c} 1${c}2, ${c}!${c} \n${c}`);
  }
  return texts;
}

/** Texts of pieces that pre-tokenizers treat in special ways. */
function mixed(count: number): string[] {
  const pieces =
    "a|B|the|It|'s|'S|'re|'RE|'ll|'Ll|'d|'\u017f|\u212a| |  |   |\t|\n|\r\n|\n\n| \n|1|23|4567|.|,|!?|--|...|'|\"|é|ñ|ß|Ж|中|あ|한|😀|\u2014|\u00a0|\u2003|\u3000|\u0085|_|x_1|$9.99|</s|\ud83d\ude00\u0301".split(
      "|",
    );
  let state = 12345;
  const next = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return Array.from({ length: count }, () =>
    Array.from({ length: next(20) }, () => pieces[next(pieces.length)]).join(""),
  );
}

/** How many texts the quick way did itself; fails at the first that differs. */
async function compare(
  { tokenizer, plan }: Pick<Awaited<ReturnType<typeof variant>>, "tokenizer" | "plan">,
  texts: string[],
  maxLength?: number,
  side?: "left",
) {
  const encoder = new BpeEncoder(plan!);
  const expected = await tokenizer.encode(texts, { maxLength });
  let known = 0;
  for (const [i, text] of texts.entries()) {
    const ids = encoder.encode(text, { maxLength, ...(side && { side }) });
    if (ids === null) continue;
    known++;
    const same = ids.length === expected[i]!.length && ids.every((id, k) => id === expected[i]![k]);
    if (!same) expect([...ids], JSON.stringify(text)).toEqual([...expected[i]!]);
  }
  return known;
}

describe.each(Object.entries(VARIANTS))("%s", (_, change) => {
  test("every character that it takes on comes out as in the package", async () => {
    const texts = everyCharacter();
    const known = await compare(await variant(change), texts);
    expect(known).toBeGreaterThan("normalizer" in change && change.normalizer ? 700 : 4000);
  });

  test("texts of special pieces, cut at either side", async () => {
    const texts = mixed(4000);
    const right = await variant(change);
    expect(await compare(right, texts)).toBeGreaterThan(100);
    for (const maxLength of [3, 8]) await compare(right, texts, maxLength);
    await compare(await variant(change, { truncation_side: "left" }), texts, 5, "left");
  });
});

test.each(["GPT-2", "SmolLM2", "whole numbers", "Llama 3", "Qwen"])(
  "%s: the scanner cuts as the expressions do",
  async (name) => {
    const { cuts, classes } = (await variant(VARIANTS[name]!)).plan!;
    const scan = scannerOf(cuts)!;
    const splitters = cuts.map(splitter);
    const ends = new IntList(0);
    for (const text of [...everyCharacter(), ...mixed(2000)]) {
      if (/[\ud800-\udfff]/.test(text)) continue;
      ends.length = 0;
      scan(`x${text}y`, 1, 1 + text.length, ends, classes);
      const places = [1, ...ends.taken()];
      const found = places.slice(1).map((end, i) => text.slice(places[i]! - 1, end - 1));
      const words = splitters.reduce((pieces, split) => pieces.flatMap(split), [text]);
      if (found.join("|") !== words.join("|")) expect(found, JSON.stringify(text)).toEqual(words);
    }
  },
);

/** JSON as Python writes it by default. */
const asciiJson = (value: unknown) =>
  JSON.stringify(value).replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);

test("a vocabulary is the same however it is written, with tokens that are no bytes among the others", async () => {
  const { vocab, merges } = base.model as { vocab: Record<string, number>; merges: [string, string][] };
  const size = Object.keys(vocab).length;
  // Letters of no byte, blanks, keys of the file, quotes and backslashes.
  const odd = ["\u4e00", "a b", "vocab", "merges", '"vocab":{', "\\\\", "\ud83d\ude00", "\u0144", "\n"];
  const own = { ...vocab, ...Object.fromEntries(odd.map((token, i) => [token, size + i])) };
  const jsonOf = (list: unknown[], model: object = {}) => ({
    ...base,
    ...{ normalizer: null, pre_tokenizer: bytes, post_processor: null },
    model: { ...base.model, ...model, vocab: own, merges: list },
  });
  const lists = jsonOf(merges);
  const texts = jsonOf(merges.map((pair) => pair.join(" ")));
  const { merges: list, vocab: table, ...rest } = lists.model;
  const planOf = (text: string) => planBpe(Buffer.from(text), contents)!;
  const expected = planOf(JSON.stringify(lists));
  for (const text of [
    JSON.stringify(texts),
    JSON.stringify(lists, null, 2),
    JSON.stringify(texts, null, "\t"),
    asciiJson(lists),
    asciiJson(texts),
    JSON.stringify({ ...lists, model: { ...rest, merges: list, vocab: table } }),
  ]) {
    const plan = planOf(text);
    expect(plan.merges).toEqual(expected.merges);
    expect(plan.placing).toEqual(expected.placing);
  }
  // As JSON.parse reads the lists.
  const { slots, bytes: tokens } = expected.merges;
  const found = new Map<number, number[]>();
  for (let at = 0; at < slots.length; at += 4)
    if (slots[at] !== -1) found.set(slots[at + 2]!, [...slots.slice(at, at + 4)]);
  expect(found.size).toBe(merges.length);
  for (const [rank, [left, right]] of merges.entries())
    expect(found.get(rank)).toEqual([vocab[left], vocab[right], rank, vocab[left + right]]);
  expect([...tokens]).toEqual(LETTERS.map((letter) => vocab[letter] ?? -1));
  // Whole words are looked up by their bytes.
  const { wholeWords } = planOf(asciiJson(jsonOf(merges, { ignore_merges: true })));
  const idOf = (letters: string) => {
    const word = Uint8Array.from(letters, (letter) => LETTER_BYTES[letter.charCodeAt(0)] ?? -1);
    return tokenOf(wholeWords!, word, word.length);
  };
  const words = Object.keys(vocab).filter((token) => !contents.includes(token));
  expect(words.map(idOf)).toEqual(words.map((token) => vocab[token]));
  expect(idOf("notoneoftheseatall")).toBe(-1);
});

test("a table of words grows, begins anew when it is full, and knows no long word", () => {
  const table = new WordTable(6000);
  const words = Array.from({ length: 8000 }, (_, i) => `${i} word`);
  const tokens = (i: number) => (i % 2 ? Int32Array.of(i) : Int32Array.of(i, i + 1));
  const known = (i: number) => {
    const found = table.find(`<${words[i]}>`, 1, 1 + words[i]!.length);
    return found === UNKNOWN ? undefined : found >= 0 ? [found] : [...table.tokensOf(found)];
  };
  for (const [i, word] of words.entries()) table.add(word, 0, word.length, tokens(i));
  expect(words.map((_, i) => known(i))).toEqual(words.map((_, i) => (i < 6000 ? undefined : [...tokens(i)])));
  const long = "a".repeat(1000);
  table.add(long, 0, long.length, Int32Array.of(1));
  expect(table.find(long, 0, long.length)).toBe(UNKNOWN);
});

describe("what is left to the package", () => {
  const none = (change: object) =>
    planBpe(Buffer.from(JSON.stringify({ ...base, normalizer: null, ...change })), contents);

  test.each([
    ["another model", { model: { ...base.model, type: "WordPiece" } }],
    ["dropout", { model: { ...base.model, dropout: 0.1 } }],
    ["marked ends of words", { model: { ...base.model, end_of_word_suffix: "</w>" } }],
    ["merges of unknown tokens", { model: { ...base.model, merges: [...base.model.merges, ["nobody", "knows"]] } }],
    ["another normaliser", { normalizer: { type: "Lowercase" } }],
    ["a prefix space", { pre_tokenizer: { ...bytes, add_prefix_space: true } }],
    ["no ByteLevel", { pre_tokenizer: { type: "Whitespace" } }],
    ["ByteLevel not last", { pre_tokenizer: sequence(bytes, { type: "Digits", individual_digits: true }) }],
    ["another split", { pre_tokenizer: sequence({ ...split("a"), behavior: "Removed" }, cut) }],
    ["a pattern it does not know", { pre_tokenizer: sequence(split("\\p{Han}+"), cut) }],
    ["a post-processor it does not know", { post_processor: { type: "BertProcessing" } }],
    ["no pre-tokenizer", { pre_tokenizer: null }],
  ])("%s", (_, change) => {
    expect(none({ pre_tokenizer: bytes, post_processor: null })).not.toBeNull();
    expect(none({ pre_tokenizer: bytes, post_processor: null, ...change })).toBeNull();
  });

  test.each([
    ["an entry without a number", '"vocab":{"a":"b"},"merges":[]'],
    ["a number with a point", '"vocab":{"a":1.5},"merges":[]'],
    ["a merge of three", '"vocab":{"a":1,"aaa":2},"merges":["a a a"]'],
    ["a file that ends in a list", '"vocab":{"a":1'],
    ["a list that has been seen before", '"vocab":{"a":1},"merges":[],"more":{"vocab":{"a":1}}'],
  ])("a vocabulary of %s", (_, model) => {
    const json = JSON.stringify({ ...base, normalizer: null, pre_tokenizer: bytes, model: null });
    const written = (text: string) => json.replace('"model":null', () => `"x":{${text}},"model":{"type":"BPE"}`);
    expect(planBpe(Buffer.from(written(model)), contents)).toBeNull();
  });

  test.each([
    "\\bword",
    "a.c",
    "^a",
    "a$",
    "(?<=a)b",
    "(?<!a)b",
    "[a&&b]",
    "[[a]]",
    "a++",
    "a*+",
    "\\d",
    "\\w",
    "(a",
    "a)",
    "[a",
    "(?i:[a-z])",
    "(?<name>a)",
  ])("pattern %s", (pattern) => expect(translate(pattern)).toBeNull());

  test("texts with added tokens, lone surrogates and bytes without a token come out right all the same", async () => {
    const { tokenizer, plan, quick: asPlanned } = await variant({ pre_tokenizer: bytes });
    const texts = [`say ${second} twice`, first, "\ud800 alone", "plain", "\u{1f9ff}\u0378"];
    const encoder = new BpeEncoder(plan!);
    expect(texts.map((text) => encoder.encode(text) === null)).toEqual([true, true, true, false, true]);
    const quick = new QuickEncoder(asPlanned);
    expect(await quick.encode(texts, { maxLength: undefined })).toEqual(
      await tokenizer.encode(texts, { maxLength: undefined }),
    );
    const gap = { ...plan!, merges: { ...plan!.merges, bytes: plan!.merges.bytes.slice().fill(-1, 0x70, 0x71) } };
    expect([new BpeEncoder(gap).encode("open"), new BpeEncoder(gap).encode("one")].map((ids) => ids === null)).toEqual([
      true,
      false,
    ]);
  });

  test("a plan that disagrees is noticed", async () => {
    const { tokenizer, quick } = await variant({ pre_tokenizer: bytes });
    const texts = ["some words that are long enough to be merged"];
    const options = { maxLength: undefined };
    expect(await new QuickEncoder(quick).agrees(tokenizer, texts, options)).toBe(true);
    expect(
      await new QuickEncoder({ ...quick, bpe: { ...quick.bpe, before: [3] } }).agrees(tokenizer, texts, options),
    ).toBe(false);
  });
});

describe("places", () => {
  const chat = mixed(300).map(
    (text, i) =>
      `${i % 3 ? "" : " "}${first}user ${text}${second} \n${first}${second}  a ${i % 2 ? "😀é" : "ü"}  b${text}`,
  );

  test.each(Object.keys(VARIANTS))(
    "%s: tokens and places are the package's, with added tokens in the text",
    async (name) => {
      const { tokenizer, plan } = await variant(VARIANTS[name]!);
      const quick = new BpeEncoder(plan!);
      const right = await tokenizer.encodePlaced(chat);
      let own = 0;
      for (const [i, text] of chat.entries()) {
        const found = quick.encodePlaced(text);
        if (found === null) continue;
        own++;
        expect([...found.ids], text).toEqual([...right[i]!.ids]);
        expect([...found.places], text).toEqual([...right[i]!.places]);
        // Parts that begin and end anywhere: within words, in white space, side by side.
        for (const step of [2, 3, 7]) {
          const borders = Array.from({ length: Math.floor(text.length / step) }, (_, k) => k * step);
          const parts = borders.flatMap((start, k) => (k % 3 ? [{ start, end: start + step - (k % 2) }] : []));
          const learned = quick.encodeLearned(text, parts)!;
          expect([...learned.ids]).toEqual([...found.ids]);
          expect([...learned.mask], `${step} ${text}`).toEqual([...reaching(right[i]!, parts).mask]);
        }
      }
      expect(own).toBeGreaterThan(name === "Qwen" ? 0 : 30);
    },
  );

  test("a first space stays where the package would put one", async () => {
    const keeps = { pre_tokenizer: bytes, post_processor: { ...bytes, add_prefix_space: true } };
    const { tokenizer, plan } = await variant(keeps);
    for (const text of [" a b", "  a", "   ", `${first} a`]) {
      const [right] = await tokenizer.encodePlaced([text]);
      expect([...new BpeEncoder(plan!).encodePlaced(text)!.places], text).toEqual([...right!.places]);
    }
  });

  test("are the package's affair where added tokens take white space with them", async () => {
    const [token, ...others] = base.added_tokens;
    for (const how of [{ lstrip: true }, { rstrip: true }, { single_word: true }, { normalized: true }]) {
      const { plan } = await variant({ pre_tokenizer: bytes, added_tokens: [{ ...token, ...how }, ...others] });
      expect(plan!.placing).toBeNull();
    }
  });
});

test("a long word is no slower than its length", async () => {
  const { tokenizer, plan } = await variant({ pre_tokenizer: bytes });
  const word = "abcdefgh".repeat(40_000);
  expect(new BpeEncoder(plan!).encode(word)).toEqual((await tokenizer.encode([word], { maxLength: undefined }))[0]);
});

const reason = existsSync(smol) ? undefined : `${smol} is not there`;
if (reason) console.log(`data/bpe.test.ts: the real tokenizer is skipped: ${reason}`);
test.skipIf(reason !== undefined)("the real tokenizer on real texts", async () => {
  const tokenizer = await Tokenizer.open(smol);
  const plan = quickPlan(join(smol, "tokenizer.json"));
  const lines = readFileSync(join(smol, "../../data/sotu-valid.jsonl"), "utf8").split("\n").filter(Boolean);
  const texts = [...lines.map((line) => JSON.parse(line).text), ...mixed(500)];
  expect(await compare({ tokenizer, plan: plan!.bpe }, texts)).toBeGreaterThan(300);
});
