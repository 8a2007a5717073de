#!/usr/bin/env node
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkDataOptions, dataOptions } from "./bench/data-options.mjs";
import { median } from "./bench/median.mjs";
import { fail, readArguments } from "./support/arguments.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const o = readArguments({
  about: `Conversations to tokens and loss masks in the cache, beside Hugging Face datasets' map with transformers' apply_chat_template, as
TRL's SFTTrainer calls it. Both run on the same machine, one after the other, pair by pair. Tokens and learned tokens must be equal.`,
  options: {
    ...dataOptions({
      texts: ", whose paragraphs become the messages",
      mb: "megabytes of conversations",
      unit: "conversations",
      length: 2048,
    }),
    template: { value: "FILE", default: here("bench/chatml.jinja"), help: "the chat template" },
    turns: { kind: "number", least: 1, default: 2, help: "questions of a conversation, each with its answer" },
  },
});
checkDataOptions(o, [o.texts, o.tokenizer, o.template]);

/** Conversations of a text's sentences, in JSON Lines: a sentence asks, the next three answer. */
function conversations(file, bytes) {
  const texts = readFileSync(file, "utf8").trim().split("\n");
  const sentences = texts.flatMap((line) => JSON.parse(line).text.split(/(?<=[.!?])\s+/)).filter(Boolean);
  const lines = [];
  let size = 0;
  let at = 0;
  const next = (count) => Array.from({ length: count }, () => sentences[at++ % sentences.length]).join(" ");
  while (size < bytes) {
    const messages = Array.from({ length: o.turns }, () => [
      { role: "user", content: next(1) },
      { role: "assistant", content: next(3) },
    ]);
    const line = `${JSON.stringify({ messages: messages.flat() })}\n`;
    lines.push(line);
    size += Buffer.byteLength(line);
  }
  return lines.join("");
}

const work = mkdtempSync(join(tmpdir(), "lowrank-bench-chat-"));
try {
  const file = join(work, "chat.jsonl");
  writeFileSync(file, conversations(o.texts, o.mb * 1e6));
  const about = {
    file,
    tokenizer: o.tokenizer,
    template: o.template,
    maxLength: o["max-length"],
    threads: o.threads,
  };
  const run = (program, script, name) => {
    rmSync(join(work, name), { recursive: true, force: true });
    const args = [script, JSON.stringify({ ...about, cache: join(work, name) })];
    const stdio = ["ignore", "pipe", "ignore"];
    return JSON.parse(execFileSync(program, args, { encoding: "utf8", stdio }).trim().split("\n").at(-1));
  };
  const ours = [];
  const peer = [];
  for (let pair = 0; pair < o.pairs; pair++) {
    ours.push(run(process.execPath, here("bench/tokenise-chat.mjs"), "ours"));
    if (!o["no-peer"]) peer.push(run(o["peer-python"], here("bench/chat_map.py"), "peer"));
    const said = [ours.at(-1), peer.at(-1)].map((r) => r && `${r.seconds.toFixed(2)} s (${r.cpu.toFixed(2)} s of CPU)`);
    console.error(`pair ${pair + 1}: ${said.filter(Boolean).join(", ")}`);
  }
  const [own] = ours;
  for (const { tokens, learned = own.learned } of peer)
    if (tokens !== own.tokens || learned !== own.learned)
      fail(`${own.tokens} tokens, ${own.learned} learned; the peer has ${tokens}, ${learned} learned`);
  const of = (runs, key) => (runs.length === 0 ? null : median(runs.map((r) => r[key])));
  const ratio = (key, own = key) => (peer.length === 0 ? null : median(peer.map((r, i) => r[key] / ours[i][own])));
  const result = {
    cpu: `${cpus()[0].model}, ${cpus().length} processors`,
    megabytes: o.mb,
    conversations: own.rows,
    tokens: own.tokens,
    learned: own.learned,
    peak_mib: of(ours, "peak_mib"),
    seconds: of(ours, "seconds"),
    cpu_seconds: of(ours, "cpu"),
    peer_seconds: of(peer, "seconds"),
    peer_map_seconds: of(peer, "map_seconds"),
    peer_cpu_seconds: of(peer, "cpu"),
    ratio: ratio("seconds"),
    ratio_to_map: ratio("map_seconds", "seconds"),
    cpu_ratio: ratio("cpu"),
  };
  const s = (value) => (value === null ? "" : value.toFixed(2));
  console.log(
    `${o.mb} MB, ${own.rows} conversations, ${own.tokens} tokens, ${own.learned} learned; ${result.cpu}; medians of ${ours.length}`,
  );
  console.log("| | seconds | CPU seconds |\n|---|---|---|");
  console.log(`| lowrank, file to written cache | ${s(result.seconds)} | ${s(result.cpu_seconds)} |`);
  if (peer.length > 0) {
    const [all, map, cpu] = [result.ratio, result.ratio_to_map, result.cpu_ratio].map((r) => `${s(r)}x`);
    console.log(
      `| datasets, load and map | ${s(result.peer_seconds)} (${all}) | ${s(result.peer_cpu_seconds)} (${cpu}) |`,
    );
    console.log(`| datasets, map alone | ${s(result.peer_map_seconds)} (${map}) | |`);
  }
  if (o.json) console.log(JSON.stringify(result));
} finally {
  rmSync(work, { recursive: true, force: true });
}
