#!/usr/bin/env node
import { availableParallelism, cpus } from "node:os";
import { basename } from "node:path";
import { median } from "./bench/median.mjs";
import { readArguments } from "./support/arguments.mjs";

const { positionals, rounds, prompt, tokens } = readArguments({
  about: "Speed of a prompt and of the tokens after it, on one or more bases in turn.",
  positional: { name: "BASE...", help: "model folders and GGUF files", required: true },
  options: {
    rounds: { kind: "number", least: 1, default: 5, help: "runs of each base" },
    prompt: { kind: "number", least: 1, default: 512, help: "tokens of the prompt" },
    tokens: { kind: "number", least: 1, default: 64, help: "tokens after it" },
  },
});
const { Engine } = await import("../dist/native/index.js");
const { openBase } = await import("../dist/setup/base.js");
const asIs = { use_4bit: false, use_8bit: false, double_quant: false };

const bases = [];
for (const path of positionals) {
  const model = openBase({ base_model: path, ...asIs }, console.error);
  const size = { maxTokens: prompt, maxSequence: prompt + tokens + 1 };
  const options = { precision: "bf16", threads: availableParallelism(), training: false, ...size };
  const engine = await Engine.create(model, null, options);
  const ids = Int32Array.from({ length: prompt }, () => Math.floor(Math.random() * model.config.vocabSize));
  bases.push({ name: basename(path), engine, ids, prompts: [], tokens: [] });
}
for (let round = 0; round < rounds + 1; round++) {
  for (const base of bases) {
    let start = performance.now();
    let token = await base.engine.generateStart(base.ids, { temperature: 0, topK: 0, topP: 1, seed: 0 });
    const read = (1000 * prompt) / (performance.now() - start);
    start = performance.now();
    for (let i = 0; i < tokens; i++) token = await base.engine.generateNext(token);
    // The first round touches the weights for the first time.
    if (round === 0) continue;
    base.prompts.push(read);
    base.tokens.push((1000 * tokens) / (performance.now() - start));
  }
}
console.log(
  `${prompt} + ${tokens} tokens, bf16; ${cpus()[0]?.model.trim()}, ${availableParallelism()} processors; medians of ${rounds}\n`,
);
console.log("| base | prompt, tokens/s | generation, tokens/s |\n|---|---|---|");
for (const { name, prompts, tokens: after, engine } of bases) {
  console.log(`| ${name} | ${median(prompts).toFixed(0)} | ${median(after).toFixed(1)} |`);
  await engine.close();
}
