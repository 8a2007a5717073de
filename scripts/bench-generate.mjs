#!/usr/bin/env node
import { availableParallelism, cpus } from "node:os";
import { basename } from "node:path";
import { median } from "./bench/median.mjs";
import { readArguments } from "./support/arguments.mjs";

const { positionals, rounds, prompt, tokens, texts, threads, processor_time } = readArguments({
  about:
    "Speed of a prompt, of the tokens after it, and of the tokens of several texts together, on one or more bases in turn.",
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

const bases = [];
for (const path of positionals) {
  const model = openBase({ base_model: path, ...asIs }, console.error);
  const size = { maxTokens: prompt, maxSequence: prompt + tokens + 1, texts };
  const engine = await Engine.create(model, null, { precision: "bf16", threads, training: false, ...size });
  const ids = Array.from({ length: texts }, () =>
    Int32Array.from({ length: prompt }, () => Math.floor(Math.random() * model.config.vocabSize)),
  );
  bases.push({ name: basename(path), engine, ids, prompts: [], alone: [], together: [] });
}
const numbers = Int32Array.from({ length: texts }, (_, text) => text);
for (let round = 0; round < rounds + 1; round++) {
  for (const { engine, ids, prompts, alone, together } of bases) {
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
