#!/usr/bin/env node
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./bench/median.mjs";
import { lastJson } from "./bench/peer.mjs";
import { readArguments } from "./support/arguments.mjs";

/** The version of llama.cpp's bindings that figures are quoted for. */
const BINDINGS = "node-llama-cpp@3.21.1";
const LLAMA_CPP = fileURLToPath(new URL("./bench/llama-cpp-speed.mjs", import.meta.url));

const { positionals, rounds, prompt, tokens, texts, threads, processor_time, ...o } = readArguments({
  about:
    "Speed of a prompt, of the tokens after it, and of the tokens of several texts together, on one or more bases in turn; GGUF files beside llama.cpp.",
  positional: { name: "BASE...", help: "model folders and GGUF files", required: true },
  options: {
    rounds: { kind: "number", least: 1, default: 5, help: "runs of each base" },
    prompt: { kind: "number", least: 1, default: 512, help: "tokens of the prompt" },
    tokens: { kind: "number", least: 1, default: 64, help: "tokens after it" },
    texts: { kind: "number", least: 1, default: 8, help: "texts that are generated together" },
    threads: { kind: "number", least: 1, default: availableParallelism(), help: "threads" },
    processor_time: {
      kind: "flag",
      help: "count the process's own processor time: for a machine with other work, and one thread",
    },
    "llama-cpp": {
      value: "FOLDER",
      default: process.env.LOWRANK_LLAMA_CPP ?? "",
      help: `a folder in which ${BINDINGS} was installed, to read the GGUF files, too; else LOWRANK_LLAMA_CPP's`,
    },
  },
});
const { Engine } = await import("../dist/native/index.js");
const { openBase } = await import("../dist/setup/base.js");
const asIs = { use_4bit: false, use_8bit: false, double_quant: false };

const greedy = { temperature: 0, topK: 0, topP: 1, seed: 0 };

/** Tokens a second of `count` tokens. */
async function speed(count, work) {
  const start = processor_time ? process.cpuUsage().user / 1000 : performance.now();
  await work();
  return (1000 * count) / ((processor_time ? process.cpuUsage().user / 1000 : performance.now()) - start);
}

/** Why llama.cpp reads no file, or nothing where it does. */
function noLlamaReason() {
  if (!positionals.some((path) => path.endsWith(".gguf"))) return "no GGUF file";
  if (processor_time) return "--processor_time counts this process alone";
  if (!o["llama-cpp"]) return `no folder with ${BINDINGS} named by --llama-cpp or LOWRANK_LLAMA_CPP`;
  const manifest = join(o["llama-cpp"], "node_modules/node-llama-cpp/package.json");
  const found = existsSync(manifest) && `node-llama-cpp@${JSON.parse(readFileSync(manifest, "utf8")).version}`;
  if (found !== BINDINGS) return `${o["llama-cpp"]} has ${found || "no node-llama-cpp"}, not ${BINDINGS}`;
  return undefined;
}
const reason = noLlamaReason();

const bases = [];
for (const path of positionals) {
  const model = openBase({ base_model: path, ...asIs }, console.error);
  const size = { maxTokens: prompt, maxSequence: prompt + tokens + 1, texts };
  const engine = await Engine.create(model, null, { precision: "bf16", threads, training: false, ...size });
  const ids = Array.from({ length: texts }, () =>
    Int32Array.from({ length: prompt }, () => Math.floor(Math.random() * model.config.vocabSize)),
  );
  bases.push({ path, name: basename(path), engine, ids, prompts: [], alone: [], together: [], peer: [] });
}
const numbers = Int32Array.from({ length: texts }, (_, text) => text);
for (let round = 0; round < rounds + 1; round++) {
  for (const { path, engine, ids, prompts, alone, together, peer } of bases) {
    let token;
    const read = await speed(prompt, async () => {
      token = await engine.generateStart(ids[0], greedy);
    });
    const written = await speed(tokens, async () => {
      for (let i = 0; i < tokens; i++) token = await engine.generateNext(token);
    });
    let last = new Int32Array(texts);
    for (const text of numbers) last[text] = await engine.generateStart(ids[text], greedy, 0, text);
    const of_all = await speed(tokens * texts, async () => {
      for (let i = 0; i < tokens; i++) last = await engine.generateNextOf(numbers, last);
    });
    // The first round touches the weights for the first time.
    if (round === 0) continue;
    prompts.push(read);
    alone.push(written);
    together.push(of_all);
    if (reason || !path.endsWith(".gguf")) continue;
    const request = { folder: o["llama-cpp"], model: path, prompt: [...ids[0]], tokens, threads };
    peer.push(lastJson(process.execPath, [LLAMA_CPP, JSON.stringify(request)]));
  }
}
const clock = processor_time ? "a second of processor time" : "a second";
console.log(
  `${prompt} + ${tokens} tokens, bf16, tokens ${clock}; ${cpus()[0]?.model.trim()}, threads: ${threads}; medians of ${rounds}\n`,
);
console.log(`| base | prompt | generation | ${texts} texts together | ratio |\n|---|---|---|---|---|`);
for (const { name, prompts, alone, together, engine } of bases) {
  const ratio = median(together.map((of_all, round) => of_all / alone[round]));
  console.log(
    `| ${name} | ${median(prompts).toFixed(0)} | ${median(alone).toFixed(1)} | ${median(together).toFixed(1)} | ${ratio.toFixed(2)}x |`,
  );
  await engine.close();
}
if (reason) {
  console.log(`\nWithout llama.cpp: ${reason}.`);
} else {
  console.log(`\n| ${BINDINGS} | prompt | ratio | generation | ratio |\n|---|---|---|---|---|`);
  for (const { name, prompts, alone, peer } of bases) {
    if (peer.length === 0) continue;
    const cells = Object.entries({ prompt: prompts, generation: alone }).map(([what, ours]) => {
      const ratio = median(ours.map((speed, round) => speed / peer[round][what]));
      return `${median(peer.map((run) => run[what])).toFixed(1)} | ${ratio.toFixed(2)}x`;
    });
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  }
}
