// `lowrank preview`: the texts as the model will see them, and the tokens that it will learn.

import { count, table } from "../base/text.js";
import type { CommandOptions } from "../config/index.js";
import { lengthsOf, type TextEnd, TokenDataset, type Tokenizer, type TokenTable } from "../data/index.js";
import { previewFiles } from "../hub/index.js";
import { modelVocabSize } from "../model/index.js";
import { checkTemplateUsed } from "../setup/row-forms.js";
import { endsTexts, leftOut, namedTexts, openTokenizer, tokenise } from "../setup/texts.js";
import { Progress, showsBar } from "../tracking/index.js";
import { locatedShown, namedFilesShown } from "./downloading.js";
import { STDERR } from "./loading.js";
import { tokenising } from "./tokenising.js";
import { warn } from "./warn.js";

interface Token {
  id: number;
  /** Empty where it ends within a character, which the next token completes. */
  text: string;
  learned: boolean;
}

function tokensOf(ids: Int32Array, mask: Uint8Array, tokenizer: Tokenizer): Token[] {
  const stream = tokenizer.stream({ skipSpecialTokens: false });
  // Nothing comes before the first token that it could be predicted from.
  const tokens = Array.from(ids, (id, i) => ({ id, text: stream.push(id), learned: i > 0 && mask[i] !== 0 }));
  const rest = stream.end();
  if (rest) tokens.at(-1)!.text += rest;
  return tokens;
}

const RESET = "\x1b[0m";
/** Backgrounds that take turns, so that tokens can be told apart: one pair for learned tokens, one for others. */
const LEARNED = ["\x1b[30;42m", "\x1b[30;46m"];
const OTHER = ["\x1b[37;100m", "\x1b[97;40m"];

/** Line ends are shown, and kept. */
const visible = (text: string) => text.replaceAll("\n", "⏎\n").replaceAll("\t", "⇥\t");

function coloured(tokens: Token[]): string {
  let turn = 0;
  const painted = tokens.map(({ text, learned }) => {
    if (text === "") return "";
    const colour = (learned ? LEARNED : OTHER)[turn++ % 2]!;
    // A background that reaches over a line's end would fill the rest of the line.
    return visible(text)
      .split("\n")
      .map((line) => (line === "" ? "" : `${colour}${line}${RESET}`))
      .join("\n");
  });
  return painted.join("");
}

/** Without colours: tokens in bars, tokens that are not learned in brackets. */
function plain(tokens: Token[]): string {
  const parts = tokens.filter(({ text }) => text !== "");
  return `|${parts.map(({ text, learned }) => (learned ? visible(text) : `[${visible(text)}]`)).join("|")}|`;
}

function usesColour(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

/** Totals of all texts. @param vocabSize of the base model, undefined where it is not known */
function summary(
  tokens: TokenTable,
  o: CommandOptions<"preview">,
  vocabSize: number | undefined,
): Record<string, number> {
  const lengths = Int32Array.from({ length: tokens.length }, (_, i) => tokens.tokens(i)).sort();
  const full = lengths.filter((length) => length >= o.max_seq_length).length;
  const learnable = tokens.learnable();
  const packed = new TokenDataset(tokens, learnable, { packTo: o.max_seq_length });
  const beyond: Record<string, number> =
    vocabSize === undefined ? {} : { tokens_beyond_the_embedding: tokens.countTokens(vocabSize) };
  return {
    texts: tokens.texts,
    texts_left_out: leftOut(tokens).length,
    examples: tokens.length,
    ...lengthsOf(lengths),
    examples_of_max_seq_length: full,
    ...beyond,
    packs: packed.length,
    tokens_per_pack: packed.length === 0 ? 0 : Math.round(packed.allTokens / packed.length),
  };
}

/** Remarks on an example, besides its tokens. */
function remarks(
  ids: Int32Array,
  learned: number,
  end: TextEnd | null,
  tokenizer: Tokenizer,
  vocabSize: number | undefined,
): string[] {
  const found: string[] = [];
  if (learned === 0) found.push("left out: nothing to learn");
  else if (end && ids[ids.length - 1 - end.after] !== end.id)
    found.push(`cut by max_seq_length, without its end ${tokenizer.eosToken}`);
  const beyond = vocabSize === undefined ? [] : [...new Set(ids)].filter((id) => id >= vocabSize);
  if (beyond.length > 0) {
    const shown = beyond.map((id) => `${tokenizer.decode([id], { skipSpecialTokens: false })} (${id})`);
    found.push(
      `lowrank train refuses it: the model's ${count(vocabSize!)} embeddings have none for ${shown.join(", ")}`,
    );
  }
  return found;
}

export async function run(named: CommandOptions<"preview">, inFile: ReadonlySet<string>): Promise<void> {
  const files = await namedFilesShown(named, named.train_file, "train");
  const o = await locatedShown(named, previewFiles);
  const tokenizer = await openTokenizer(o, warn);
  const reading = { show: tokenising(await Progress.open(showsBar())), warn, note: STDERR.info };
  const source = await namedTexts(files, "train", o, tokenizer, reading);
  checkTemplateUsed(o, [source.render], inFile);
  const texts = await tokenise(source, tokenizer, o, reading);
  const vocabSize = modelVocabSize(o.base_model);
  // Only the last chunk of a text has the end.
  const end = endsTexts(source.render) && o.add_eos && o.long_text === "truncate" ? await tokenizer.textEnd() : null;
  const paint = usesColour() ? coloured : plain;
  const out: string[] = [];
  const examples = Array.from({ length: Math.min(o.num_rows, texts.table.length) }, (_, i) => i);
  const places = await texts.where([...new Set(examples.map((example) => texts.table.row(example)))]);
  for (const example of examples) {
    const { inputIds, lossMask } = texts.table.sequence(example);
    const tokens = tokensOf(inputIds, lossMask, tokenizer);
    const row = texts.table.row(example);
    // The texts that are shown are the first ones.
    const where = places[row]!;
    const notes = remarks(inputIds, texts.table.supervised(example), end, tokenizer, vocabSize);
    if (o.json) {
      out.push(JSON.stringify({ row, where, tokens, notes }));
      continue;
    }
    const learned = count(texts.table.supervised(example));
    out.push([`${where}: ${count(tokens.length)} tokens, ${learned} learned`, ...notes].join("; "), paint(tokens), "");
  }
  const facts = summary(texts.table, o, vocabSize);
  if (o.json) out.push(JSON.stringify({ summary: facts }));
  else
    out.push(
      table(
        Object.entries(facts).map(([name, n]) => [name.replaceAll("_", " "), count(n)]),
        "",
      ),
    );
  process.stdout.write(`${out.join("\n")}\n`);
}
