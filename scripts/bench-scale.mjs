#!/usr/bin/env node
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { lines } from "./bench/lines.mjs";
import { median } from "./bench/median.mjs";
import { randomModel, SHAPES } from "./bench/random-model.mjs";
import { readArguments } from "./support/arguments.mjs";

const values = readArguments({
  about:
    "How the cost of a training step grows with the rank and with the length of the sequences, at the same number of tokens.",
  options: {
    shape: { default: "smollm2-135m", of: Object.keys(SHAPES), help: "shape of the base" },
    rounds: { kind: "number", least: 1, default: 3, help: "runs of each case" },
    tokens: { kind: "number", least: 8192, default: 8192, help: "tokens of a step" },
    picture: { value: "FILE", help: "the curves as SVG, such as docs/scale.svg" },
  },
});
const { rounds, tokens } = values;
const folder = randomModel(values.shape, "bf16", 0);
const child = fileURLToPath(new URL("./bench/engine-steps.mjs", import.meta.url));
const threads = availableParallelism();
const usual = {
  precision: "bf16",
  batch: 4,
  seq: 512,
  rank: 16,
  steps: 3,
  warmup: 1,
  checkpointing: false,
  profile: true,
};

/** Runs every case in turn, round by round, in both directions. */
function measure(cases) {
  const runs = cases.map(() => []);
  for (let round = 0; round < rounds; round++) {
    const order = cases.map((_, i) => (round % 2 ? cases.length - 1 - i : i));
    for (const i of order) {
      const options = JSON.stringify({ ...usual, ...cases[i], threads, folder });
      const out = execFileSync(process.execPath, [child, options], { encoding: "utf8" });
      runs[i].push(JSON.parse(out.trim().split("\n").at(-1)));
    }
    console.error(
      `round ${round + 1} of ${rounds}: ${runs.map((r) => r.at(-1).tokens_per_s.toFixed(0)).join(", ")} tokens/s`,
    );
  }
  return runs.map((list, i) => ({
    ...cases[i],
    speed: median(list.map((run) => run.tokens_per_s)),
    ratio: median(list.map((run, n) => run.tokens_per_s / runs[0][n].tokens_per_s)),
    attention: median(list.map((run) => run.attention_us_per_token)),
    rest: median(list.map((run) => 1e6 / run.tokens_per_s - run.attention_us_per_token)),
    mib: median(list.map((run) => run.peak_rss_mib)),
  }));
}

const ranks = measure([4, 8, 16, 32, 64, 128, 256].map((rank) => ({ rank })));
const lengths = measure([512, 1024, 2048, 4096, 8192].map((seq) => ({ seq, batch: tokens / seq })));

console.log(`${values.shape}, bf16; ${cpus()[0]?.model.trim()}, ${threads} processors; medians of ${rounds} rounds\n`);
console.log("| rank | tokens/s | of rank 4 | peak resident MiB |\n|---|---|---|---|");
for (const r of ranks) console.log(`| ${r.rank} | ${r.speed.toFixed(0)} | ${r.ratio.toFixed(2)}x | ${r.mib} |`);
console.log(
  "\n| sequence x batch | tokens/s | attention, us a token | the rest, us a token | peak resident MiB |\n|---|---|---|---|---|",
);
for (const l of lengths) {
  console.log(
    `| ${l.seq} x ${l.batch} | ${l.speed.toFixed(0)} | ${l.attention.toFixed(0)} | ${l.rest.toFixed(0)} | ${l.mib} |`,
  );
}

if (values.picture) {
  const byLength = (of) => lengths.map((l) => [l.seq, of(l)]);
  writeFileSync(
    values.picture,
    lines([
      { title: "tokens/s by rank", x: "rank", series: { "4 x 512 tokens": ranks.map((r) => [r.rank, r.speed]) } },
      {
        title: "microseconds a token by sequence",
        x: "tokens of a sequence",
        series: { attention: byLength((l) => l.attention), "everything else": byLength((l) => l.rest) },
      },
      { title: "peak resident MiB by sequence", x: "tokens of a sequence", series: { MiB: byLength((l) => l.mib) } },
    ]),
  );
}
