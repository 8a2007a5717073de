// The tokenizer of a folder with tokenizer.model alone: SentencePiece's file, read by its own type and settings. (LlamaTokenizer of transformers reads
// every such file as a BPE with byte tokens.)
import { join } from "node:path";
import { LowrankError } from "../base/errors.js";
import { LARGEST_LIST_BYTES, readBytes } from "../base/system-errors.js";
import { PIECE, type Piece, type SentencePieces, sentencePieceParts } from "../model/index.js";

export const SENTENCE_PIECE_FILE = "tokenizer.model";

type Fail = (what: string) => LowrankError;
/** A field of a protocol buffer: a number, or bytes. */
type Field = [number: number, value: number | Buffer];

/** The fields of a message. Fixed-width numbers are given as their bytes. */
function fieldsOf(bytes: Buffer, fail: Fail): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 63) throw fail("is no SentencePiece model: it is cut short or damaged");
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const take = (count: number) => {
    if (count > bytes.length - at) throw fail("is no SentencePiece model: it is cut short or damaged");
    at += count;
    return bytes.subarray(at - count, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    if (wire === 0) fields.push([number, varint()]);
    else if (wire === 1) fields.push([number, take(8)]);
    else if (wire === 2) fields.push([number, take(varint())]);
    else if (wire === 5) fields.push([number, take(4)]);
    else throw fail("is no SentencePiece model: it is cut short or damaged");
  }
  return fields;
}

/** One message's fields by number; the last counts. */
class Message {
  readonly #fields: Map<number, number | Buffer>;
  constructor(bytes: Buffer, fail: Fail) {
    this.#fields = new Map(fieldsOf(bytes, fail));
  }
  bytes(number: number): Buffer {
    const value = this.#fields.get(number);
    return Buffer.isBuffer(value) ? value : Buffer.alloc(0);
  }
  /** A whole number; negative ones are 64 bits of two's complement. */
  whole(number: number, otherwise: number): number {
    const value = this.#fields.get(number);
    if (typeof value !== "number") return otherwise;
    return value >= 2 ** 63 ? -1 : value;
  }
  flag(number: number, otherwise: boolean): boolean {
    return this.whole(number, Number(otherwise)) !== 0;
  }
}

// Numbers of the fields (sentencepiece_model.proto).
const MODEL = { pieces: 1, trainer: 2, normalizer: 3 };
const TRAINER = { type: 3, suffix: 24, unk: 40, bos: 41, eos: 42, pad: 43 };
const NORMALIZER = { charsMap: 2, prefix: 3, removesSpaces: 4, escapes: 5 };
const TYPES = ["", "unigram", "bpe", "word", "char"];

export interface SentencePieceFile {
  /** Parts of tokenizer.json. */
  parts: Record<string, unknown>;
  tokens: Partial<Record<"bos" | "eos" | "unk" | "pad", { id: number; content: string }>>;
}

/** @throws LowrankError E_FILE, E_TOKENIZER naming the file and the setting that is not read */
export function readSentencePieces(folder: string): SentencePieceFile {
  const file = join(folder, SENTENCE_PIECE_FILE);
  const fail: Fail = (what) => new LowrankError("E_TOKENIZER", `${file} ${what}.`, file);
  const fields = fieldsOf(readBytes(file, "Tokenizer", LARGEST_LIST_BYTES), fail);
  const last = (number: number) => {
    const found = fields.findLast(([each]) => each === number)?.[1];
    return new Message(Buffer.isBuffer(found) ? found : Buffer.alloc(0), fail);
  };
  const [trainer, normalizer] = [last(MODEL.trainer), last(MODEL.normalizer)];
  const pieces = fields.flatMap(([number, value]): Piece[] => {
    if (number !== MODEL.pieces || !Buffer.isBuffer(value)) return [];
    const piece = new Message(value, fail);
    const score = piece.bytes(2);
    return [
      {
        text: piece.bytes(1).toString("utf8"),
        score: score.length === 4 ? score.readFloatLE() : 0,
        kind: piece.whole(3, PIECE.normal),
      },
    ];
  });
  if (pieces.length === 0) throw fail("is no SentencePiece model: it has no pieces");
  const type = TYPES[trainer.whole(TRAINER.type, 1)];
  if (type !== "bpe" && type !== "unigram")
    throw fail(`is of the type ${type ?? trainer.whole(TRAINER.type, 1)}, expected bpe or unigram`);
  if (!normalizer.flag(NORMALIZER.escapes, true)) throw fail("has escape_whitespaces false, expected true");
  if (trainer.flag(TRAINER.suffix, false)) throw fail("has treat_whitespace_as_suffix true, expected false");
  const standing = pieces.some(({ kind }) => kind === PIECE.userDefined);
  const prefix = standing ? "first" : "each";
  const given: SentencePieces = {
    pieces,
    type,
    prefix: normalizer.flag(NORMALIZER.prefix, true) ? prefix : "none",
    removesSpaces: normalizer.flag(NORMALIZER.removesSpaces, true),
    charsMap: normalizer.bytes(NORMALIZER.charsMap).toString("base64"),
  };
  const token = (field: number, otherwise: number) => {
    const id = trainer.whole(field, otherwise);
    const content = pieces[id]?.text;
    return content === undefined ? undefined : { id, content };
  };
  const found = {
    unk: token(TRAINER.unk, 0),
    bos: token(TRAINER.bos, 1),
    eos: token(TRAINER.eos, 2),
    pad: token(TRAINER.pad, -1),
  };
  const tokens = Object.fromEntries(Object.entries(found).filter(([, each]) => each !== undefined));
  return { parts: sentencePieceParts(given), tokens };
}
