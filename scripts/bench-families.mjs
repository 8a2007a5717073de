#!/usr/bin/env node
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism, cpus, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./bench/median.mjs";
import { lastJson, peerPython } from "./bench/peer.mjs";
import { readArguments } from "./support/arguments.mjs";

const number = (least, standard, help) => ({ kind: "number", least, default: standard, help });
const o = readArguments({
  about:
    "Every decoder family at one shape beside LLaMA in turn: tokens/s at equal FLOP, with whole attention counted for windows.",
  options: {
    rounds: number(1, 3, "pairs of each family"),
    layers: { kind: "number", least: 2, default: 6, help: "layers, an even number: half of a family's may differ" },
    vocabulary: number(256, 8192, "tokens of the vocabulary"),
    batch: number(1, 4, "sequences of a step"),
    seq: number(2, 512, "tokens of a sequence"),
    steps: number(1, 3, "timed steps of a run"),
    families: { value: "LIST", default: "", help: "names of folders in test/goldens; without it all" },
    "peer-python": peerPython("torch and transformers, which make the models"),
  },
});
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const LLAMA = "gqa-untied";
const folder = join(tmpdir(), `lowrank-bench-${userInfo().username}`, `families-${o.layers}-${o.vocabulary}`);
const make = [
  here("./bench/family_models.py"),
  here("../test/goldens"),
  folder,
  String(o.layers),
  String(o.vocabulary),
];
execFileSync(o["peer-python"], make, { stdio: ["ignore", "ignore", "inherit"] });

const asked = o.families.split(",").filter(Boolean);
const names = readdirSync(folder).filter((name) => name !== LLAMA && (asked.length === 0 || asked.includes(name)));
const cases = names.map((name) => ({ name, pairs: [] }));
const { batch, seq, steps, rounds } = o;
const threads = availableParallelism();
const work = { precision: "bf16", batch, seq, rank: 16, targets: "all-linear", steps, warmup: 1, threads };
const run = (name) =>
  lastJson(process.execPath, [
    here("./bench/engine-steps.mjs"),
    JSON.stringify({ ...work, folder: join(folder, name) }),
  ]);
for (let round = 0; round < rounds; round++) {
  for (const { name, pairs } of cases) {
    // Each run has a run of LLaMA beside it: the machine's speed drifts over a round.
    const order = round % 2 ? [name, LLAMA] : [LLAMA, name];
    const found = Object.fromEntries(order.map((each) => [each, run(each)]));
    const [own, llama] = [found[name], found[LLAMA]];
    pairs.push({ own, ratio: own.flop_per_s / llama.flop_per_s });
    console.error(
      `round ${round + 1}: ${name} ${own.tokens_per_s.toFixed(0)} tokens/s, ${pairs.at(-1).ratio.toFixed(2)}x`,
    );
  }
}
const shape = `hidden 576, MLP 1536, heads of 64, ${o.layers} layers, vocabulary ${o.vocabulary}`;
console.log(
  `${shape}; ${batch} x ${seq}, bf16, rank 16 on all linears; ${cpus()[0]?.model.trim()}, ${threads} processors\n`,
);
console.log("| family | tokens/s | GFLOP/s | to LLaMA at equal FLOP, median of pairs |\n|---|---|---|---|");
for (const { name, pairs } of cases) {
  const speed = median(pairs.map(({ own }) => own.tokens_per_s));
  const rate = median(pairs.map(({ own }) => own.flop_per_s)) / 1e9;
  console.log(
    `| ${name} | ${speed.toFixed(0)} | ${rate.toFixed(0)} | ${median(pairs.map(({ ratio }) => ratio)).toFixed(2)}x |`,
  );
}
