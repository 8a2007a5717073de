// `lowrank preview`: what the model will see of the texts, and which tokens it will learn.
import type { PreviewOptions } from "../config/index.js";
import { TokenDataset, type Tokenizer } from "../data/index.js";
import { count, table } from "../setup/text.js";
import { everyExample, openTokenizer, readTokens, type Texts } from "../setup/token-texts.js";
import { Progress, showsBar } from "../tracking/index.js";
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
/** Backgrounds that take turns, so that tokens can be told apart: of what is learned, and of what is not. */
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

/** Without colours: tokens in bars, those that are not learned in brackets. */
function plain(tokens: Token[]): string {
  const parts = tokens.filter(({ text }) => text !== "");
  return `|${parts.map(({ text, learned }) => (learned ? visible(text) : `[${visible(text)}]`)).join("|")}|`;
}

function usesColour(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

/** Of sorted numbers. */
function quantile(sorted: Int32Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

/** What all texts together are. */
function summary({ table: tokens }: Texts, o: PreviewOptions): Record<string, number> {
  const lengths = Int32Array.from({ length: tokens.length }, (_, i) => tokens.tokens(i)).sort();
  const full = lengths.filter((length) => length >= o.max_seq_length).length;
  const packed = new TokenDataset(tokens, everyExample(tokens), { packTo: o.max_seq_length });
  const all = lengths.reduce((sum, length) => sum + length, 0);
  return {
    texts: tokens.texts,
    examples: tokens.length,
    tokens: all,
    shortest: lengths[0] ?? 0,
    median: quantile(lengths, 0.5),
    longest_of_95_percent: quantile(lengths, 0.95),
    longest: lengths.at(-1) ?? 0,
    examples_of_max_seq_length: full,
    examples_too_short_to_learn: lengths.filter((length) => length < 2).length,
    packs: packed.length,
    tokens_per_pack: Math.round(all / packed.length),
  };
}

export async function run(o: PreviewOptions): Promise<void> {
  const tokenizer = await openTokenizer(o, warn);
  const texts = await readTokens(o.train_file, tokenizer, o, { show: tokenising(await Progress.open(showsBar())) });
  const paint = usesColour() ? coloured : plain;
  const out: string[] = [];
  for (let example = 0; example < Math.min(o.num_rows, texts.table.length); example++) {
    const { inputIds, lossMask } = texts.table.sequence(example);
    const tokens = tokensOf(inputIds, lossMask, tokenizer);
    const row = texts.table.row(example);
    const where = await texts.where(row);
    if (o.json) {
      out.push(JSON.stringify({ row, where, tokens }));
      continue;
    }
    const learned = tokens.filter((token) => token.learned).length;
    out.push(`${where}: ${count(tokens.length)} tokens, ${count(learned)} learned`, paint(tokens), "");
  }
  const facts = summary(texts, o);
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
