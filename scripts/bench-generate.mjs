#!/usr/bin/env node
// Speed of a prompt and of the tokens after it, on one or more bases in turn.
//
//   npm run bench:generate -- BASE... [--rounds 5] [--prompt 512] [--tokens 64]
import { availableParallelism, cpus } from "node:os";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { Engine } from "../dist/engine.js";
import { openBase } from "../dist/setup/base.js";
import { median } from "./bench/median.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    prompt: { type: "string", default: "512" },
    tokens: { type: "string", default: "64" },
  },
});
const [rounds, prompt, tokens] = [values.rounds, values.prompt, values.tokens].map(Number);
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
