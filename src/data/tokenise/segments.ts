// Rows of segments to tokens and loss masks.
//
// Texts side by side are tokenised as one text, as a model reads them: tokens may reach over a border between two segments. The
// tokens before a border are the beginning that the text up to the border, tokenised alone, shares with the whole. A token over a
// border therefore belongs to the segment after it. This is how TRL's SFTTrainer (1.16) masks prompts: "The capi" and "tal" become
// "The", " capital", and " capital" is learned.
import type { Segment } from "../render/renderer.js";
import { endRow, endText, type SpecialTokens, type TextEnd } from "./end-token.js";

export interface EncodeOptions {
  /** Tokens that a text is cut to; undefined does not cut. */
  maxLength: number | undefined;
  /** Whether the tokenizer's special tokens are added. Default true. */
  specialTokens?: boolean;
}

export interface TextEncoder {
  encode(texts: string[], options: EncodeOptions): Promise<Int32Array[]>;
}

/** The tokens of a row. */
export interface RowTokens {
  ids: Int32Array;
  /** For each token: 1 where it is learned. Null where all are. */
  mask: Uint8Array | null;
}

type MaskedTokens = RowTokens & { mask: Uint8Array };

export interface RowOptions {
  /** Tokens that a row is cut to; undefined does not cut. */
  maxLength: number | undefined;
  /** Null where rows are tokenised as they are. */
  end: TextEnd | null;
  special: SpecialTokens;
}

const NO_TOKENS: RowTokens = { ids: new Int32Array(0), mask: null };
function hasTextsOnly(segments: readonly Segment[]): boolean {
  return segments.every((segment) => "text" in segment);
}

/** The text of a row that consists of learned texts alone; undefined for other rows. */
function learnedText(segments: readonly Segment[]): string | undefined {
  const [first] = segments;
  if (segments.length === 1 && first!.learned && "text" in first!) return first.text;
  const texts = segments.flatMap((segment) => (segment.learned && "text" in segment ? [segment.text] : []));
  return texts.length === segments.length ? texts.join("") : undefined;
}

export function isBlank(segments: readonly Segment[]): boolean {
  return segments.every((segment) => "text" in segment && !/\S/.test(segment.text));
}

/** Texts side by side, to be tokenised as one. */
interface Stretch {
  /** Each text with the texts before it: the last is the whole. */
  prefixes: string[];
  /** For each of the texts: whether it is learned. */
  learned: boolean[];
  specialTokens: boolean;
}

/** The stretches of texts of a row, and the tokens that it brings, in order. */
type Part = Stretch | { ids: readonly number[]; learned: boolean };

function partsOf(segments: readonly Segment[]): Part[] {
  const specialTokens = hasTextsOnly(segments);
  const parts: Part[] = [];
  for (const segment of segments) {
    const { learned } = segment;
    if ("ids" in segment) {
      parts.push(segment);
      continue;
    }
    let last = parts.at(-1);
    if (last === undefined || "ids" in last) {
      last = { prefixes: [], learned: [], specialTokens };
      parts.push(last);
    }
    const text = (last.prefixes.at(-1) ?? "") + segment.text;
    if (last.learned.at(-1) === learned) last.prefixes[last.prefixes.length - 1] = text;
    else {
      last.prefixes.push(text);
      last.learned.push(learned);
    }
  }
  return parts;
}

/** Number of tokens at the beginning that two texts have in common. */
function shared(a: Int32Array, b: Int32Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}

/** @param encoded tokens of each prefix */
function stretchTokens({ learned }: Stretch, encoded: Int32Array[]): MaskedTokens {
  const ids = encoded.at(-1)!;
  const mask = new Uint8Array(ids.length);
  let begin = 0;
  for (const [i, isLearned] of learned.entries()) {
    const end = shared(encoded[i]!, ids);
    if (end <= begin) continue;
    if (isLearned) mask.fill(1, begin, end);
    begin = end;
  }
  return { ids, mask };
}

function joined(parts: MaskedTokens[]): MaskedTokens {
  const length = parts.reduce((sum, { ids }) => sum + ids.length, 0);
  const row = { ids: new Int32Array(length), mask: new Uint8Array(length) };
  let at = 0;
  for (const { ids, mask } of parts) {
    row.ids.set(ids, at);
    row.mask.set(mask, at);
    at += ids.length;
  }
  return row;
}

/** Rows of any segments to tokens. No row is cut. */
async function tokeniseParts(encoder: TextEncoder, rows: readonly (readonly Segment[])[]): Promise<MaskedTokens[]> {
  const parts = rows.map(partsOf);
  const stretches = parts.flat().flatMap((part) => ("ids" in part ? [] : [part]));
  const encode = async (specialTokens: boolean) => {
    const own = stretches.filter((stretch) => stretch.specialTokens === specialTokens);
    const texts = own.flatMap(({ prefixes }) => prefixes);
    const encoded = texts.length === 0 ? [] : await encoder.encode(texts, { maxLength: undefined, specialTokens });
    let at = 0;
    return own.map((stretch) => {
      at += stretch.prefixes.length;
      return [stretch, stretchTokens(stretch, encoded.slice(at - stretch.prefixes.length, at))] as const;
    });
  };
  const tokens = new Map([...(await encode(true)), ...(await encode(false))]);
  return parts.map((row) =>
    joined(
      row.map((part) => {
        if (!("ids" in part)) return tokens.get(part)!;
        const ids = Int32Array.from(part.ids);
        return { ids, mask: new Uint8Array(ids.length).fill(Number(part.learned)) };
      }),
    ),
  );
}

/** A row of at most `maxLength` tokens: the special tokens stay, the tokens between them are cut. */
function cut({ ids, mask }: MaskedTokens, maxLength: number, { before, after, side }: SpecialTokens): MaskedTokens {
  if (ids.length <= maxLength) return { ids, mask };
  const room = Math.max(0, maxLength - before - after);
  const begin = side === "right" ? before : ids.length - after - room;
  const kept = <T extends Int32Array | Uint8Array>(of: T, into: T): T => {
    into.set(of.subarray(0, before));
    into.set(of.subarray(begin, begin + room), before);
    into.set(of.subarray(of.length - after), before + room);
    return into;
  };
  const length = before + room + after;
  return { ids: kept(ids, new Int32Array(length)), mask: kept(mask, new Uint8Array(length)) };
}

/** Rows to tokens. A blank row, of white space alone, has none. */
export async function tokeniseRows(
  encoder: TextEncoder,
  rows: readonly (readonly Segment[])[],
  { maxLength, end, special }: RowOptions,
): Promise<RowTokens[]> {
  const texts = rows.map(learnedText);
  const whole = await encoder.encode(
    texts.filter((text) => text !== undefined),
    { maxLength },
  );
  const masked = rows.filter((_, i) => texts[i] === undefined);
  const others = masked.length === 0 ? [] : await tokeniseParts(encoder, masked);
  let [next, nextMasked] = [0, 0];
  return rows.map((row, i) => {
    if (texts[i] !== undefined) {
      const ids = whole[next++]!;
      if (isBlank(row)) return NO_TOKENS;
      return { ids: end ? endText(ids, end, maxLength ?? Number.POSITIVE_INFINITY) : ids, mask: null };
    }
    const tokens = others[nextMasked++]!;
    if (isBlank(row)) return NO_TOKENS;
    // The tokens that a row brings stand for the special ones.
    const added = hasTextsOnly(row) ? special : { ...special, before: 0, after: 0 };
    const ended = end === null ? tokens : endRow(tokens, end.id, added);
    return maxLength === undefined ? ended : cut(ended, maxLength, added);
  });
}
