// Chat templates of real models, rendered here and by transformers. Runs where LOWRANK_PEER_PYTHON names a Python that has transformers
// and TRL, whose wheel ships the templates.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseExactJson } from "../../src/base/exact-json.js";
import { TemplateError } from "../../src/chat/jinja/index.js";
import { ChatTemplate, type Conversation } from "../../src/chat/template.js";
import { peerPython } from "../support/python.js";
import { CONVERSATIONS, TOKENS } from "./conversations.js";

const { python, reason } = peerPython("transformers");
if (reason) console.log(`skipped: rendering as transformers does (${reason})`);
const noTrl = peerPython("trl").reason;
if (noTrl && !reason) console.log(`skipped: the templates of real models (${noTrl})`);

interface Peer {
  template: string;
  rows: { text?: string; spans?: [number, number][]; error?: string }[];
}

/** A conversation's JSON text as this reader has it. */
function read(text: string): Conversation & { prompt?: boolean } {
  const value = parseExactJson(text) as Map<string, unknown> | Record<string, unknown>;
  const plain = value instanceof Map ? Object.fromEntries(value) : value;
  const { variables } = plain;
  return {
    ...plain,
    ...(variables instanceof Map && { variables: Object.fromEntries(variables) }),
  } as unknown as Conversation;
}

const inCharacters = (text: string, at: number) => Array.from(text.slice(0, at)).length;

test.skipIf(reason !== undefined)("the snippets' renderings are Python's", () => {
  const made = spawnSync(python, [new URL("./snippets.py", import.meta.url).pathname], { encoding: "utf8" });
  expect(made.status, made.stderr).toBe(0);
  expect(JSON.parse(made.stdout)).toEqual(
    JSON.parse(readFileSync(new URL("./snippets.json", import.meta.url), "utf8")),
  );
});

test.skipIf((reason ?? noTrl) !== undefined)(
  "renders and marks as transformers does",
  () => {
    const peer = spawnSync(python, [new URL("./render.py", import.meta.url).pathname], {
      input: JSON.stringify({ folder: "", conversations: CONVERSATIONS, tokens: TOKENS }),
      encoding: "utf8",
      maxBuffer: 2 ** 30,
    });
    expect(peer.status, peer.stderr).toBe(0);
    const found = JSON.parse(peer.stdout) as Record<string, Peer>;
    const count = {
      equal: 0,
      "refused by both": 0,
      differing: 0,
      "failing here only": 0,
      "failing there only": 0,
      marked: 0,
    };
    const wrong: string[] = [];
    for (const [name, { template, rows }] of Object.entries(found)) {
      const chat = new ChatTemplate(template, { specialTokens: TOKENS });
      for (const [i, row] of rows.entries()) {
        const conversation = read(CONVERSATIONS[i]!);
        let mine: ReturnType<ChatTemplate["render"]>;
        try {
          mine = chat.render(conversation, conversation.prompt ?? false);
        } catch (error) {
          if (!(error instanceof TemplateError)) throw error;
          count[row.error === undefined ? "failing here only" : "refused by both"]++;
          if (row.error === undefined) wrong.push(`${name} ${i}: line ${error.line}: ${error.message}`);
          continue;
        }
        if (row.error !== undefined) {
          count["failing there only"]++;
          wrong.push(`${name} ${i}: only transformers fails: ${row.error}`);
          continue;
        }
        const spans = mine.spans.map(({ start, text }) => {
          const from = inCharacters(mine.text, start);
          return [from, from + Array.from(text).length];
        });
        const same = mine.text === row.text && JSON.stringify(spans) === JSON.stringify(row.spans);
        count[same ? "equal" : "differing"]++;
        if (spans.length > 0) count.marked++;
        if (!same) {
          let at = 0;
          while (mine.text[at] === row.text![at] && at < mine.text.length) at++;
          wrong.push(
            `${name} ${i}: at ${at}: ${JSON.stringify(mine.text.slice(at - 20, at + 40))} not ${JSON.stringify(row.text!.slice(at - 20, at + 40))}`,
          );
        }
      }
    }
    console.log(
      `${Object.keys(found).length} templates x ${CONVERSATIONS.length} conversations: ${JSON.stringify(count)}`,
    );
    expect(wrong).toEqual([]);
    expect(count.equal).toBeGreaterThan(1000);
    expect(count.marked).toBeGreaterThan(300);
  },
  60_000,
);
