// A SentencePiece vocabulary (Kudo & Richardson, 2018) as the parts of a tokenizer.json: that of a tokenizer.model, or of a GGUF file.

/** Kinds of pieces; GGUF files have the same numbers. */
export const PIECE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface Piece {
  text: string;
  score: number;
  kind: number;
}

export interface SentencePieces {
  pieces: readonly Piece[];
  type: "bpe" | "unigram";
  /** Whether a space comes before the text: of the whole text, or of each part between tokens that stand for themselves. */
  prefix: "none" | "first" | "each";
  /** Spaces at the ends are left out, and one stands for several. */
  removesSpaces: boolean;
  /** Rules of the characters, in base64; "": they stay as they are. */
  charsMap: string;
}

const SPACE = "▁";

const replace = (pattern: object, content: string) => ({ type: "Replace", pattern, content });

function normalizers({ prefix, removesSpaces, charsMap }: SentencePieces): object[] {
  return [
    ...(charsMap === "" ? [] : [{ type: "Precompiled", precompiled_charsmap: charsMap }]),
    ...(removesSpaces ? [replace({ Regex: "^ +| +$" }, ""), replace({ Regex: " {2,}" }, " ")] : []),
    ...(prefix === "each" ? [{ type: "Prepend", prepend: SPACE }] : []),
    ...(prefix === "first" ? [] : [replace({ String: " " }, SPACE)]),
  ];
}

/** Pairs that make a third piece, the one with the highest score first. */
function mergesOf(pieces: readonly Piece[], vocab: Map<string, number>): [string, string][] {
  const merges: { pair: [string, string]; score: number; ids: [number, number] }[] = [];
  for (const { text, score, kind } of pieces) {
    if (kind !== PIECE.normal && kind !== PIECE.userDefined) continue;
    let at = 0;
    for (const character of text) {
      if (at > 0) {
        const pair: [string, string] = [text.slice(0, at), text.slice(at)];
        const [left, right] = pair.map((part) => vocab.get(part));
        if (left !== undefined && right !== undefined) merges.push({ pair, score, ids: [left, right] });
      }
      at += character.length;
    }
  }
  merges.sort((a, b) => b.score - a.score || a.ids[0] - b.ids[0] || a.ids[1] - b.ids[1]);
  return merges.map(({ pair }) => pair);
}

/** normalizer, pre_tokenizer, decoder, model and added_tokens of tokenizer.json. */
export function sentencePieceParts(given: SentencePieces): Record<string, unknown> {
  const { pieces, type, prefix } = given;
  const unknown = pieces.findIndex(({ kind }) => kind === PIECE.unknown);
  const byteFallback = pieces.some(({ kind }) => kind === PIECE.byte);
  const vocab = new Map(pieces.map(({ text }, id) => [text, id]));
  const common = { byte_fallback: byteFallback };
  const model =
    type === "unigram"
      ? {
          type: "Unigram",
          unk_id: unknown < 0 ? null : unknown,
          vocab: pieces.map((p) => [p.text, p.score]),
          ...common,
        }
      : {
          type: "BPE",
          dropout: null,
          unk_token: unknown < 0 ? null : pieces[unknown]!.text,
          continuing_subword_prefix: null,
          end_of_word_suffix: null,
          fuse_unk: true,
          ignore_merges: false,
          vocab: Object.fromEntries(vocab),
          merges: mergesOf(pieces, vocab),
          ...common,
        };
  const added = pieces.flatMap(({ text, kind }, id) => {
    if (kind !== PIECE.control && kind !== PIECE.userDefined && kind !== PIECE.unknown) return [];
    const special = kind !== PIECE.userDefined;
    return [{ id, content: text, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
  const strip = prefix === "none" ? [] : [{ type: "Strip", content: " ", start: 1, stop: 0 }];
  return {
    added_tokens: added,
    normalizer: { type: "Sequence", normalizers: normalizers(given) },
    pre_tokenizer:
      prefix === "first" ? { type: "Metaspace", replacement: SPACE, prepend_scheme: "first", split: false } : null,
    decoder: {
      type: "Sequence",
      decoders: [replace({ String: SPACE }, " "), { type: "ByteFallback" }, { type: "Fuse" }, ...strip],
    },
    model,
  };
}
