#!/usr/bin/env node
import { readFileSync, writeFileSync } from "node:fs";
import { fail, readArguments } from "./support/arguments.mjs";
import { breakEvenTokens, bytesSent, efficiency, exchangeSeconds, tokensFor } from "./support/ranks-model.mjs";

const values = readArguments({
  about: `What several ranks gain, from the speed of one rank and the speed of the links. A simulation: no rank is started. The defaults are
a LoRA of rank 16 on all linears of Llama-3-8B (41,943,040 parameters) on H100 GPUs, one a machine, each at NVIDIA's published 12,473 tokens/s (NeMo
AutoModel, bf16, Llama-3-8B). It is their figure of their program, not ours. Each rank has a link of its own, and nothing is sent while it computes.`,
  options: {
    measured: {
      value: "FILE",
      help: 'JSON {"tokens_per_s": ..., "parameters": ...}: one rank alone, measured, in place of the published GPU; no copies to a GPU',
    },
    tokens: { kind: "number", least: 1, default: 8192, help: "tokens of a rank's micro-batch" },
    picture: { value: "FILE", help: "the efficiency as SVG, such as docs/distributed.svg" },
  },
});

const PUBLISHED = { tokensPerSecond: 12_473, parameters: 41_943_040, copyBytesPerSecond: 55e9 };
const LINKS = [10, 25, 100];
const RANKS = [2, 4, 8, 16, 32, 64];
const ACCUMULATIONS = [1, 4];

function single() {
  if (values.measured === undefined) return PUBLISHED;
  const { tokens_per_s, parameters } = JSON.parse(readFileSync(values.measured, "utf8"));
  if (!(tokens_per_s > 0 && parameters > 0)) fail(`${values.measured}: expected tokens_per_s and parameters above 0`);
  return { tokensPerSecond: tokens_per_s, parameters };
}

const one = single();
const setting = (gigabits) => ({ ...one, linkBitsPerSecond: gigabits * 1e9 });
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const thousands = (n) => Math.ceil(n).toLocaleString("en-US");
const [small, large] = ACCUMULATIONS.map((n) => n * values.tokens);

console.log(
  `One rank: ${thousands(one.tokensPerSecond)} tokens/s. Gradients: ${(4e-6 * one.parameters).toFixed(0)} MB a step.\n`,
);
console.log(
  `| link, Gbit/s | ranks | sent by a rank, MB a step | exchange, ms | efficiency at ${thousands(small)} tokens a rank and step | at ${thousands(large)} | tokens a step: faster than one rank from | 90 % from |`,
);
console.log("|---|---|---|---|---|---|---|---|");
for (const link of LINKS) {
  for (const ranks of RANKS) {
    const with_ = setting(link);
    const cells = [
      link,
      ranks,
      (1e-6 * bytesSent(one.parameters, ranks)).toFixed(0),
      (1e3 * exchangeSeconds(with_, ranks)).toFixed(0),
      percent(efficiency(with_, ranks, small)),
      percent(efficiency(with_, ranks, large)),
      thousands(breakEvenTokens(with_, ranks)),
      thousands(tokensFor(with_, ranks, 0.9)),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

if (values.picture) {
  const { asFile } = await import("../dist/report/plot.js");
  const { FIXED } = await import("../dist/report/theme.js");
  const curves = LINKS.flatMap((link, i) =>
    ACCUMULATIONS.map((n) => ({
      name: `${link} Gbit/s, ${n * values.tokens >= 1024 ? `${Math.round((n * values.tokens) / 1024)}k` : n * values.tokens} tokens`,
      colour: i,
      look: n === 1 ? "line" : "dots",
      points: RANKS.map((ranks) => [ranks, 100 * efficiency(setting(link), ranks, n * values.tokens)]),
    })),
  );
  const plot = {
    kind: "curves",
    id: "distributed",
    title: "Efficiency by ranks, simulated",
    summary: `Share of a step in which ranks compute, at ${thousands(small)} (lines) and ${thousands(large)} (dots) tokens a rank and step.`,
    x: "ranks",
    y: "efficiency, %",
    curves,
  };
  writeFileSync(values.picture, asFile(plot, FIXED));
}
