// Conversations: tokens and masks beside TRL's SFTTrainer's, and the forms of rows.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readExactJson } from "../../src/base/exact-json.js";
import { findChatTemplates, type LossOn, Tokenizer } from "../../src/data/index.js";
import { type ChatSpec, type ChatTemplates, RowProblem, rendererOf } from "../../src/data/render/index.js";
import { type RowTokens, tokeniseRows } from "../../src/data/tokenise/row-tokens.js";
import { temporaryFolders, tinyBase, writeIn } from "../support/folders.js";
import { peerPython } from "../support/python.js";

const folder = temporaryFolders();

/** As scripts/goldens/chat.py writes them. */
interface Golden {
  /** Ids as uint16; the ids of `all` where there are none. */
  ids?: string;
  runs?: number[];
  error?: string;
}
interface Goldens {
  conversations: string[];
  rows: Record<string, Record<string, Record<"all" | "assistant" | "completion", Golden | undefined>[]>>;
  templates: Record<string, string>;
}

const goldens: Goldens = JSON.parse(readFileSync(new URL("../fixtures/chat.json", import.meta.url), "utf8"));
const SMOLLM = fileURLToPath(new URL("../../../shared/models/smollm2-135m-instruct", import.meta.url));
const FOLDERS: Record<string, string> = { tiny: tinyBase, smollm2: SMOLLM };

/** As the goldens have them: a first token follows nothing, and counts as masked. */
function inGoldenForm({ ids, mask }: RowTokens): Golden {
  const runs = [0];
  for (const [i] of ids.entries()) {
    const isLearned = i > 0 && (mask === null || mask[i] === 1);
    if (isLearned !== (runs.length % 2 === 0)) runs.push(0);
    runs[runs.length - 1]!++;
  }
  return { ids: Buffer.from(Uint16Array.from(ids).buffer).toString("base64"), runs };
}

type Made = { golden: Golden } | { problem: string };

async function make(
  tokenizer: Tokenizer,
  templates: ChatTemplates,
  spec: Pick<ChatSpec, "form" | "loss">,
  values: unknown[],
): Promise<Made> {
  const special = await tokenizer.specialTokens();
  const end = await tokenizer.textEnd();
  const renderer = rendererOf({ kind: "chat", templates, ...spec });
  try {
    const row = renderer.render(renderer.columns.map((_, i) => values[i] ?? null));
    const [tokens] = await tokeniseRows(tokenizer, [row], { maxLength: undefined, end, special });
    return { golden: inGoldenForm(tokens!) };
  } catch (error) {
    if (error instanceof RowProblem) return { problem: error.message };
    throw error;
  }
}

/** Of each token whether it is learned. */
const maskOf = (runs: number[]) => runs.flatMap((length, i) => Array<boolean>(length).fill(i % 2 === 1));

/** The part of a turn's header that TRL's templates with marks learn, which a generation prompt gives the model. */
const HEADERS: Record<string, string> = {
  llama3: "",
  qwen2_5: "\n",
  qwen3: "",
  gemma3: "",
  phi3: "",
  deepseekv3: "Assistant",
};
/** Characters around a header's name: "<｜", "｜>" and one of the text before. */
const MARKS = 5;

/** Whether a mask is the right one, but for the headers of turns, which are learned there. */
function isWithout(header: string, tokenizer: Tokenizer, found: Golden, right: Golden): boolean {
  const bytes = Buffer.from(right.ids!, "base64");
  const [mask, expected] = [maskOf(found.runs!), maskOf(right.runs!)];
  const more: number[][] = [];
  for (const [i, isLearned] of expected.entries()) {
    if (isLearned === mask[i]) continue;
    if (!isLearned) return false;
    const goesOn = expected[i - 1] && !mask[i - 1];
    if (goesOn) more.at(-1)!.push(bytes.readUInt16LE(2 * i));
    else more.push([bytes.readUInt16LE(2 * i)]);
  }
  // Tokens at its ends may reach over them.
  const isHeader = (text: string) => text.includes(header) && text.length <= header.length + MARKS;
  return more.every((ids) => header !== "" && isHeader(tokenizer.decode(ids, { skipSpecialTokens: false })));
}

/** Each conversation with its template by every mode, beside TRL's. */
async function compare(
  tokenizer: Tokenizer,
  templateOf: (name: string) => string | undefined,
  conversations: string[],
  rows: Goldens["rows"][string],
) {
  const count = { equal: 0, "refused by both": 0, "equal by prefixes": 0 };
  const wrong: string[] = [];
  const place = folder();
  const templates = (name: string) => {
    const text = templateOf(name);
    if (text === undefined) return undefined;
    return findChatTemplates(
      writeIn(place, `${name}.jinja`, text),
      tinyBase === tokenizer.file ? tinyBase : join(tokenizer.file, ".."),
    )!.templates;
  };
  for (const [name, all] of Object.entries(rows)) {
    const [own, training] = [templates(name)!, templates(`${name}_training`)];
    for (const [i, golden] of all.entries()) {
      const { messages, tools } = asObject(conversations[i]!);
      const list = messages as unknown[];
      const right = (kind: "all" | "assistant" | "completion"): Golden => ({ ids: golden.all!.ids!, ...golden[kind] });
      const see = (what: string, made: Made, expected: Golden) => {
        if ("problem" in made) {
          if (expected.error !== undefined) count["refused by both"]++;
          else wrong.push(`${name} ${i} ${what}: refused: ${made.problem}`);
        } else if (made.golden.ids === expected.ids && String(made.golden.runs) === String(expected.runs))
          count.equal++;
        else
          wrong.push(
            `${name} ${i} ${what}: ${made.golden.ids === expected.ids ? "other masks" : "other tokens"} ${made.golden.runs} not ${expected.runs ?? expected.error}`,
          );
      };
      const chat = (loss: LossOn) => ({ form: "messages", loss }) as const;
      see("all", await make(tokenizer, own, chat("all"), [list, tools]), right("all"));
      if (golden.completion) {
        const spec = { form: "prompt_completion", loss: "completions" } as const;
        const values = [list.slice(0, -1), list.slice(-1), tools];
        see("completion", await make(tokenizer, own, spec, values), right("completion"));
      }
      if (!golden.assistant || !training) continue;
      see("assistant", await make(tokenizer, training, chat("assistant"), [list, tools]), right("assistant"));
      // The template without marks, where it writes the same text.
      const header = HEADERS[name];
      if (header === undefined) continue;
      if (golden.assistant.ids !== undefined || golden.assistant.error !== undefined) continue;
      const found = await make(tokenizer, own, chat("assistant"), [list, tools]);
      if ("problem" in found) wrong.push(`${name} ${i} by prefixes: refused: ${found.problem}`);
      else if (isWithout(header, tokenizer, found.golden, right("assistant"))) count["equal by prefixes"]++;
      else wrong.push(`${name} ${i} by prefixes: ${found.golden.runs} not ${right("assistant").runs}`);
    }
  }
  return { count, wrong };
}

function asObject(json: string): Record<string, unknown> {
  const value = readExactJson(json);
  return (value instanceof Map ? Object.fromEntries(value) : value) as Record<string, unknown>;
}

describe.each(Object.keys(FOLDERS))("tokenizer %s", (name) => {
  const isThere = existsSync(FOLDERS[name]!);
  if (!isThere) console.log(`skipped: conversations with the tokenizer ${name} (${FOLDERS[name]} is not there)`);

  test.runIf(isThere)("tokens and masks are TRL's", async () => {
    const tokenizer = await Tokenizer.open(FOLDERS[name]!);
    const { conversations, templates, rows } = goldens;
    const { count, wrong } = await compare(tokenizer, (one) => templates[one], conversations, rows[name]!);
    expect(wrong).toEqual([]);
    expect(count).toEqual({ equal: 223, "refused by both": 11, "equal by prefixes": 63 });
  });
});

const { python, reason } = peerPython("trl");
if (reason) console.log(`skipped: masks of all of TRL's templates (${reason})`);

test.skipIf(reason !== undefined)("tokens and masks of all templates are TRL's", { timeout: 120_000 }, async () => {
  const script = fileURLToPath(new URL("../../scripts/goldens/chat.py", import.meta.url));
  const peer = spawnSync(python, [script, tinyBase], { encoding: "utf8", maxBuffer: 2 ** 30 });
  expect(peer.status, peer.stderr).toBe(0);
  const found = JSON.parse(peer.stdout) as Pick<Goldens, "conversations"> & {
    folder: string;
    rows: Goldens["rows"][string];
  };
  const template = (name: string) => {
    const file = join(found.folder, `${name}.jinja`);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  };
  const { count, wrong } = await compare(await Tokenizer.open(tinyBase), template, found.conversations, found.rows);
  console.log(`${Object.keys(found.rows).length} templates: ${JSON.stringify(count)}`);
  expect(wrong).toEqual([]);
  expect(count.equal).toBeGreaterThan(1000);
});
