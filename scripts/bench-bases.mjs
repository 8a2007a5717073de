#!/usr/bin/env node
import { execFileSync } from "node:child_process";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { median } from "./bench/median.mjs";
import { randomModel, SHAPES } from "./bench/random-model.mjs";
import { readArguments } from "./support/arguments.mjs";

const values = readArguments({
  about: "Training speed and memory on quantised bases beside the same in bf16, one after the other, round by round.",
  options: {
    only: { value: "NAMES", help: "some of the bases, beside bf16: comma list, such as LLM.int8" },
    layers: { kind: "number", least: 0, default: 0, help: "layers instead of the shape's own; 0 keeps them" },
    rounds: { kind: "number", least: 1, default: 5, help: "runs of each base" },
    batch: { kind: "number", least: 1, default: 4, help: "texts of a step" },
    seq: { kind: "number", least: 2, default: 512, help: "tokens of a text" },
    shape: { default: "smollm2-135m", of: Object.keys(SHAPES), help: "shape of the base" },
    gguf: { value: "FILE", help: "a GGUF file as one more base" },
  },
});
const folder = randomModel(values.shape, "bf16", values.layers);
const only = values.only?.split(",");
const bases = [
  { name: "bf16", folder },
  { name: "nf4, double quantisation", folder, quantize: { use_4bit: true, double_quant: true } },
  { name: "int8", folder, quantize: { use_8bit: true } },
  { name: "LLM.int8", folder, quantize: { use_8bit: true, quant_type: "llm_int8" } },
  {
    name: "LLM.int8 with 8-bit backward",
    folder,
    quantize: { use_8bit: true, quant_type: "llm_int8", int8_backward: "nearest" },
  },
  ...(values.gguf ? [{ name: values.gguf.split("/").at(-1), folder: values.gguf }] : []),
]
  .filter(({ name }) => !only || name === "bf16" || only.includes(name))
  .map((base) => ({ ...base, runs: [] }));
const { batch, seq } = values;
const work = { precision: "bf16", batch, seq, rank: 16, steps: 4, warmup: 1, checkpointing: false };
const child = fileURLToPath(new URL("./bench/engine-steps.mjs", import.meta.url));
const threads = availableParallelism();
for (let round = 0; round < values.rounds; round++) {
  // Who comes first changes from round to round.
  for (const base of round % 2 ? [...bases].reverse() : bases) {
    const { folder: model, quantize } = base;
    const options = JSON.stringify({ ...work, threads, folder: model, quantize });
    const out = execFileSync(process.execPath, [child, options], { encoding: "utf8" });
    base.runs.push(JSON.parse(out.trim().split("\n").at(-1)));
  }
  const line = bases.map(({ name, runs }) => `${name} ${runs.at(-1).tokens_per_s.toFixed(0)}`);
  console.error(`round ${round + 1} of ${values.rounds}: ${line.join(", ")} tokens/s`);
}
console.log(
  `${values.shape}, ${work.batch} x ${work.seq}, rank ${work.rank}, bf16; ${cpus()[0]?.model.trim()}, ${threads} processors\n`,
);
console.log("| base | tokens/s, median | ratio to bf16, median of rounds | peak resident MiB |\n|---|---|---|---|");
for (const { name, runs } of bases) {
  const ratio = median(runs.map((run, i) => run.tokens_per_s / bases[0].runs[i].tokens_per_s));
  const speed = median(runs.map((run) => run.tokens_per_s)).toFixed(0);
  console.log(`| ${name} | ${speed} | ${ratio.toFixed(2)}x | ${median(runs.map((run) => run.peak_rss_mib))} |`);
}
