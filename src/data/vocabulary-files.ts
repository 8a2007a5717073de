// The tokenizer of a folder without tokenizer.json, made of its vocabulary files as the classes of transformers 5 make theirs.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { isObject, readJsonObject } from "../base/json.js";
import { LARGEST_LIST_BYTES, readText } from "../base/system-errors.js";
import { bpeModel, byteLevel, tokenizerOf } from "../model/index.js";
import { readSentencePieces, SENTENCE_PIECE_FILE } from "./sentence-piece-file.js";

/** Tokens of transformers' roles. */
type Roles = Partial<Record<"bos" | "eos" | "unk" | "sep" | "pad" | "cls" | "mask", string>>;

interface TokenizerClass {
  /** Files of the vocabulary. */
  files: string[];
  /** The roles' tokens where no file names them. */
  roles: Roles;
  /** The parts of tokenizer.json besides its vocabulary and its added tokens. */
  parts(found: Found): Record<string, unknown>;
}

interface Found {
  /** tokenizer_config.json */
  settings: Record<string, unknown>;
  roles: Roles;
  vocab: Record<string, number>;
  merges: [string, string][];
  /** @throws LowrankError E_TOKENIZER where the vocabulary lacks the role's token */
  id(role: keyof Roles): number;
}

const WORD_PIECE_FILES = ["vocab.txt"];
const BPE_FILES = ["vocab.json", "merges.txt"];
const SENTENCE_PIECE_FILES = [SENTENCE_PIECE_FILE];

const special = (token: string, type: number) => ({ SpecialToken: { id: token, type_id: type } });
const sequence = (id: "A" | "B", type: number) => ({ Sequence: { id, type_id: type } });

/** A template, and the ids of its special tokens. */
function template(single: unknown[], pair: unknown[], ids: [token: string, id: number][]): Record<string, unknown> {
  const tokens = ids.map(([token, id]) => [token, { id: token, ids: [id], tokens: [token] }]);
  return { type: "TemplateProcessing", single, pair, special_tokens: Object.fromEntries(tokens) };
}

const bert: TokenizerClass = {
  files: WORD_PIECE_FILES,
  roles: { unk: "[UNK]", sep: "[SEP]", pad: "[PAD]", cls: "[CLS]", mask: "[MASK]" },
  parts({ settings, roles, vocab, id }) {
    const [cls, sep] = [roles.cls!, roles.sep!];
    const single = [special(cls, 0), sequence("A", 0), special(sep, 0)];
    return {
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: settings.tokenize_chinese_chars ?? true,
        strip_accents: settings.strip_accents ?? null,
        lowercase: settings.do_lower_case ?? true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      post_processor: template(
        single,
        [...single, sequence("B", 1), special(sep, 1)],
        [
          [cls, id("cls")],
          [sep, id("sep")],
        ],
      ),
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      model: {
        type: "WordPiece",
        unk_token: roles.unk!,
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab,
      },
    };
  },
};

const addsSpace = ({ settings }: Found) => settings.add_prefix_space === true;

const bpeParts = ({ vocab, merges }: Found) => ({ decoder: byteLevel(true), model: bpeModel(vocab, merges) });

const roberta: TokenizerClass = {
  files: BPE_FILES,
  roles: { bos: "<s>", eos: "</s>", sep: "</s>", cls: "<s>", unk: "<unk>", pad: "<pad>", mask: "<mask>" },
  parts: (found) => ({
    normalizer: null,
    pre_tokenizer: byteLevel(addsSpace(found)),
    post_processor: {
      type: "RobertaProcessing",
      sep: [found.roles.sep, found.id("sep")],
      cls: [found.roles.cls, found.id("cls")],
      trim_offsets: found.settings.trim_offsets ?? true,
      add_prefix_space: addsSpace(found),
    },
    ...bpeParts(found),
  }),
};

/** The begin and end tokens that add_bos_token and add_eos_token ask for. */
function ends({ settings, roles, id }: Found): Record<string, unknown> {
  const begin = settings.add_bos_token === true ? roles.bos : undefined;
  const end = settings.add_eos_token === true ? roles.eos : undefined;
  const around = (name: "A" | "B", type: number) => [
    ...(begin === undefined ? [] : [special(begin, type)]),
    sequence(name, type),
    ...(end === undefined ? [] : [special(end, type)]),
  ];
  const ids: [string, number][] = [
    ...(begin === undefined ? [] : [[begin, id("bos")] as [string, number]]),
    ...(end === undefined ? [] : [[end, id("eos")] as [string, number]]),
  ];
  return template(around("A", 0), [...around("A", 0), ...around("B", 1)], ids);
}

const END = "<|endoftext|>";

const gpt2: TokenizerClass = {
  files: BPE_FILES,
  roles: { bos: END, eos: END, unk: END },
  parts: (found) => ({
    normalizer: null,
    pre_tokenizer: byteLevel(addsSpace(found)),
    post_processor: ends(found),
    ...bpeParts(found),
  }),
};

const QWEN2_WORDS =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Normaliser and pre-tokenizer of Qwen2Tokenizer. */
export const qwen2Parts = (addPrefixSpace: boolean) => ({
  normalizer: { type: "NFC" },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: QWEN2_WORDS }, behavior: "Isolated", invert: false },
      byteLevel(addPrefixSpace, false),
    ],
  },
});

const qwen2: TokenizerClass = {
  files: BPE_FILES,
  roles: { eos: END, unk: END, pad: END },
  parts: (found) => ({
    ...qwen2Parts(addsSpace(found)),
    post_processor: ends(found),
    ...bpeParts(found),
  }),
};

/** By the name of transformers' class, without Fast. */
const CLASSES: Record<string, TokenizerClass> = {
  BertTokenizer: bert,
  DistilBertTokenizer: bert,
  ElectraTokenizer: bert,
  RobertaTokenizer: roberta,
  GPT2Tokenizer: gpt2,
  Qwen2Tokenizer: qwen2,
};

const NAMES: Record<keyof Roles, string> = {
  bos: "bos_token",
  eos: "eos_token",
  unk: "unk_token",
  sep: "sep_token",
  pad: "pad_token",
  cls: "cls_token",
  mask: "mask_token",
};

export const TOKENIZER_CONFIG = "tokenizer_config.json";

const has = (folder: string, name: string) => existsSync(join(folder, name));
const read = (folder: string, name: string) => readText(join(folder, name), "Tokenizer", LARGEST_LIST_BYTES);
const readIfThere = (folder: string, name: string) => (has(folder, name) ? readJsonObject(join(folder, name)) : {});

/** The vocabulary files of a folder; undefined where it has no whole set of them. */
export function vocabularyFiles(folder: string): string[] | undefined {
  return [WORD_PIECE_FILES, BPE_FILES, SENTENCE_PIECE_FILES].find((files) => files.every((name) => has(folder, name)));
}

function className(folder: string, files: string[], settings: Record<string, unknown>): string {
  const { tokenizer_class: named } = settings;
  const { model_type: model } = readIfThere(folder, "config.json");
  const known = typeof named === "string" ? named.replace(/Fast$/, "") : tokenizerOf(model).className;
  const name = known ?? (files === WORD_PIECE_FILES && model === undefined ? "BertTokenizer" : undefined);
  if (name !== undefined && CLASSES[name]?.files === files) return name;
  const from = named === undefined ? `model_type ${JSON.stringify(model ?? null)}` : `tokenizer_class ${named}`;
  const readable = Object.keys(CLASSES).filter((each) => CLASSES[each]!.files === files);
  const message = `${folder} has ${files.join(" and ")} without tokenizer.json: of ${from} they are not read. They are read for ${readable.join(", ")}. Save the tokenizer with transformers, which writes tokenizer.json.`;
  throw new LowrankError("E_TOKENIZER", message, folder);
}

/** A line a token; the line's number is the id. */
function wordPieces(text: string): Record<string, number> {
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  return Object.fromEntries(lines.map((token, id) => [token, id]));
}

function mergesOf(text: string, file: string): [string, string][] {
  const lines = text.split(/\r\n|\r|\n/);
  return lines.flatMap((line, i): [string, string][] => {
    if (line === "" || line.startsWith("#version")) return [];
    const [left, right, ...more] = line.split(" ");
    if (left && right && more.length === 0) return [[left, right]];
    throw new LowrankError(
      "E_TOKENIZER",
      `${file}, line ${i + 1}: expected two tokens and a space between them.`,
      file,
    );
  });
}

function readVocabulary(folder: string): Record<string, number> {
  const file = join(folder, "vocab.json");
  const vocab = readJsonObject(file, "Tokenizer", LARGEST_LIST_BYTES);
  const other = Object.entries(vocab).find(([, id]) => !Number.isInteger(id) || (id as number) < 0);
  if (!other) return vocab as Record<string, number>;
  throw new LowrankError("E_TOKENIZER", `${file}: the id of ${JSON.stringify(other[0])} is no whole number.`, file);
}

/** Classes whose texts begin with the bos token where no setting says otherwise. */
const BEGINNING = /^(CodeLlama|Llama|Gemma)Tokenizer(Fast)?$/;

function sentencePieceTokenizer(folder: string, settings: Record<string, unknown>): Record<string, unknown> {
  const { parts, tokens } = readSentencePieces(folder);
  const { tokenizer_class: named } = settings;
  const begins =
    named === undefined || named === null
      ? tokenizerOf(readIfThere(folder, "config.json").model_type).begins === true
      : BEGINNING.test(String(named));
  const found = Object.entries(tokens);
  const ownEnds = ends({
    settings: { ...settings, add_bos_token: settings.add_bos_token ?? begins },
    roles: Object.fromEntries(found.map(([role, { content }]) => [role, content])),
    vocab: {},
    merges: [],
    id: (role) => tokens[role as keyof typeof tokens]!.id,
  });
  const main = { version: "1.0", truncation: null, padding: null, ...parts, post_processor: ownEnds };
  const names = found.map(([role, { content }]) => [NAMES[role as keyof Roles], content]);
  const config = { tokenizer_class: "PreTrainedTokenizerFast", ...Object.fromEntries(names), ...settings };
  return { "tokenizer.json": main, [TOKENIZER_CONFIG]: config };
}

const textOf = (value: unknown) => (isObject(value) ? value.content : value);

/**
 * Contents of tokenizer.json, and of tokenizer_config.json with the roles' tokens that the folder's own file leaves to the class.
 * @param files of `vocabularyFiles`
 * @throws LowrankError E_TOKENIZER naming the class that is not built, or a file and what is wrong in it
 */
export function vocabularyTokenizer(folder: string, files: string[]): Record<string, unknown> {
  const settings = readIfThere(folder, TOKENIZER_CONFIG);
  if (files === SENTENCE_PIECE_FILES) return sentencePieceTokenizer(folder, settings);
  const map = readIfThere(folder, "special_tokens_map.json");
  const name = className(folder, files, settings);
  const made = CLASSES[name]!;
  const own = Object.fromEntries(
    Object.entries(NAMES).flatMap(([role, key]) => {
      const named = [settings[key], map[key]].map(textOf).find((token) => typeof token === "string");
      return named === undefined ? [] : [[role, named]];
    }),
  ) as Roles;
  const roles: Roles = { ...made.roles, ...own };
  const isBpe = made.files === BPE_FILES;
  const vocab = isBpe ? readVocabulary(folder) : wordPieces(read(folder, "vocab.txt"));
  const merges = isBpe ? mergesOf(read(folder, "merges.txt"), join(folder, "merges.txt")) : [];
  const id = (role: keyof Roles) => {
    const found = vocab[roles[role]!];
    if (found !== undefined) return found;
    const message = `${join(folder, files[0]!)} has no token ${roles[role]}, the ${NAMES[role]} of ${name}.`;
    throw new LowrankError("E_TOKENIZER", message, join(folder, files[0]!));
  };
  // Tokens that the files name are added where those files are read (added-tokens.ts).
  const defaults = (Object.keys(NAMES) as (keyof Roles)[]).filter((role) => own[role] === undefined);
  const contents = new Set(defaults.flatMap((role) => roles[role] ?? []));
  let next = Math.max(-1, ...Object.values(vocab)) + 1;
  const added = [...contents].map((content) => ({
    id: vocab[content] ?? next++,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const parts = made.parts({ settings, roles, vocab, merges, id });
  const main = { version: "1.0", truncation: null, padding: null, added_tokens: added, ...parts };
  const left = defaults.flatMap((role) => (roles[role] === undefined ? [] : [[NAMES[role], roles[role]]]));
  const config = { tokenizer_class: name, ...Object.fromEntries(left), ...settings };
  return { "tokenizer.json": main, [TOKENIZER_CONFIG]: config };
}
