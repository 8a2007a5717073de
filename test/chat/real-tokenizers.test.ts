// Tokens and masks of conversations with the tokenizers and templates of real models, made here and by transformers. `npm run test:chat`
// runs it: it fetches the tokenizers (80 MB) from npm into a folder that stays. LOWRANK_PEER_PYTHON names a Python with transformers and TRL.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readExactJson } from "../../src/base/exact-json.js";
import { findChatTemplates, Tokenizer } from "../../src/data/index.js";
import { type RenderedRow, type Renderer, RowProblem, rendererOf } from "../../src/data/render/index.js";
import { QuickEncoder } from "../../src/data/tokenise/quick-encoder.js";
import { quickPlan } from "../../src/data/tokenise/quick-plan.js";
import { tokeniseRows } from "../../src/data/tokenise/row-tokens.js";
import { CONVERSATIONS } from "./conversations.js";

/** TRL's templates that each takes besides its own, if it has one; those with marks say which tokens are the assistant's. */
const TOKENIZERS: Record<string, string[]> = {
  llama3_1: ["", "llama3", "llama3_training", "llama3_1"],
  qwen3: ["", "qwen3", "qwen3_training", "qwen2_5_training"],
  gemma3: ["", "gemma3", "gemma3_training"],
  gptoss: ["gptoss", "gptoss_training"],
  deepseek_v3: ["", "deepseekv3", "deepseekv3_training"],
};
const python = process.env.LOWRANK_PEER_PYTHON ?? "";
const PLACE = join(tmpdir(), "lowrank-real-tokenizers");

/** Why the test cannot run; undefined where all is there. */
function missing(): string | undefined {
  if (process.env.LOWRANK_REAL_TOKENIZERS !== "1") return "npm run test:chat runs it";
  if (python === "") return "LOWRANK_PEER_PYTHON is not set";
  const packages = Object.keys(TOKENIZERS).map((name) => `@lenml/tokenizer-${name}`);
  if (packages.every((name) => existsSync(join(PLACE, "node_modules", name, "models")))) return undefined;
  mkdirSync(PLACE, { recursive: true });
  writeFileSync(join(PLACE, "package.json"), "{}");
  const { status, stderr } = spawnSync("npm", ["install", "--ignore-scripts", ...packages], {
    cwd: PLACE,
    encoding: "utf8",
  });
  return status === 0 ? undefined : `npm cannot fetch the tokenizers: ${stderr.trim().split("\n").at(-1)}`;
}

const WITHOUT_ROLE = CONVERSATIONS.find((text) => text.includes("no role"));

interface Peer {
  folder: string;
  name: string;
  template: string;
  rows: { ids?: number[]; mask?: number[] | null; error?: string }[];
}

const why = missing();
if (why !== undefined) console.log(`skipped: real tokenizers beside transformers (${why})`);

function rendered(renderer: Renderer, conversation: string): RenderedRow | string {
  const value = readExactJson(conversation) as Map<string, unknown> | Record<string, unknown>;
  const { messages, tools, variables } = (value instanceof Map ? Object.fromEntries(value) : value) as Record<
    string,
    unknown
  >;
  try {
    return renderer.render([messages, tools ?? null, variables ?? null]);
  } catch (error) {
    if (error instanceof RowProblem) return error.message;
    throw error;
  }
}

test.runIf(why === undefined)(
  "tokens and masks are transformers'",
  async () => {
    const folderOf = (name: string) => join(PLACE, "node_modules", "@lenml", `tokenizer-${name}`, "models");
    const tokenizers = Object.entries(TOKENIZERS).map(([name, templates]) => ({ folder: folderOf(name), templates }));
    const peer = spawnSync(python, [new URL("./masks.py", import.meta.url).pathname], {
      input: JSON.stringify({ tokenizers, conversations: CONVERSATIONS }),
      encoding: "utf8",
      maxBuffer: 2 ** 30,
    });
    expect(peer.status, peer.stderr).toBe(0);
    const work = mkdtempSync(join(tmpdir(), "lowrank-chat-"));
    const count = { tokens: 0, masks: 0, "refused by both": 0, "by prefixes": 0, "by prefixes refused": 0 };
    const wrong: string[] = [];
    for (const { folder, name, template, rows } of JSON.parse(peer.stdout) as Peer[]) {
      const tokenizer = await Tokenizer.open(folder);
      const plan = quickPlan(tokenizer.file);
      const encoder = plan === null ? tokenizer : new QuickEncoder(plan);
      const file = join(work, `${name || "own"}.jinja`);
      writeFileSync(file, template);
      const { templates } = findChatTemplates(file, folder)!;
      const options = {
        maxLength: undefined,
        end: await tokenizer.textEnd(),
        special: await tokenizer.specialTokens(),
      };
      const [whole, turns] = (["all", "assistant"] as const).map((loss) =>
        rendererOf({ kind: "chat", form: "messages", loss, templates }),
      );
      for (const [i, { ids, mask, error }] of rows.entries()) {
        // transformers renders messages without a role, which no form of rows has here.
        if (CONVERSATIONS[i] === WITHOUT_ROLE) continue;
        const place = `${folder.split("/").at(-2)} ${name} ${i}`;
        const row = rendered(whole!, CONVERSATIONS[i]!);
        if (typeof row === "string" || ids === undefined) {
          if (typeof row === "string" && error !== undefined) count["refused by both"]++;
          else wrong.push(`${place}: ${typeof row === "string" ? row : `only transformers fails: ${error}`}`);
          continue;
        }
        const [tokens] = await tokeniseRows(encoder, [row], options);
        if (String(tokens!.ids) === String(ids)) count.tokens++;
        else if (row.text.trim() !== "") wrong.push(`${place}: other tokens`);
        const learned = rendered(turns!, CONVERSATIONS[i]!);
        if (mask === null || mask === undefined) {
          count[typeof learned === "string" ? "by prefixes refused" : "by prefixes"]++;
          continue;
        }
        if (typeof learned === "string") {
          wrong.push(`${place}: no mask: ${learned}`);
          continue;
        }
        const [masked] = await tokeniseRows(encoder, [learned], options);
        if (String(masked!.ids) === String(ids) && String(masked!.mask) === String(mask)) count.masks++;
        else if (row.text.trim() !== "") wrong.push(`${place}: another mask`);
      }
    }
    console.log(`${CONVERSATIONS.length} conversations with real tokenizers: ${JSON.stringify(count)}`);
    expect(wrong).toEqual([]);
    expect(count.tokens).toBeGreaterThan(500);
    expect(count.masks).toBeGreaterThan(200);
  },
  600_000,
);
