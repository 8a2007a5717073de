#!/usr/bin/env node
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./bench/median.mjs";
import { lastJson, peerPython } from "./bench/peer.mjs";
import { randomModel, SHAPES } from "./bench/random-model.mjs";
import { readArguments } from "./support/arguments.mjs";

const number = (least, standard, help) => ({ kind: "number", least, default: standard, help });
const o = readArguments({
  about: `Two ranks of one thread beside one process of one thread, in turn, on an otherwise idle machine of two processors or more: tokens/s, the share of a
step that ranks wait, memory (PSS: a page that processes share counts in parts). With a Python of torch and PEFT also torchrun over gloo with two
processes of one thread. Needs Open MPI. Without bf16 products in the
processor, a round in bf16 takes torch 9 minutes on two cores: --precision fp32, or --no-peer.`,
  options: {
    shape: { default: "smollm2-135m", of: Object.keys(SHAPES), help: "shape of the base" },
    precision: { default: "bf16", of: ["bf16", "fp32"], help: "of all" },
    batch: number(1, 1, "sequences of a micro-batch"),
    seq: number(2, 256, "tokens of a sequence"),
    rank: number(1, 16, "of the adapters on q_proj, k_proj, v_proj and o_proj"),
    accumulation: number(1, 4, "micro-batches of a rank's step"),
    steps: number(1, 1, "timed steps of a run"),
    warmup: number(0, 1, "untimed steps before them"),
    rounds: number(1, 5, "runs of each"),
    "peer-python": peerPython("torch, transformers and peft, and torchrun beside it"),
    "no-peer": { kind: "flag", help: "lowrank alone" },
  },
});

const CHILD = fileURLToPath(new URL("./bench/engine-steps.mjs", import.meta.url));
const PEER = fileURLToPath(new URL("./bench/peft_steps.py", import.meta.url));
const RANKS = 2;
const folder = randomModel(o.shape, o.precision, 0);
const { batch, seq, rank, accumulation, steps, warmup, precision, shape } = o;
const work = { folder, batch, seq, rank, accumulation, steps, warmup, precision, threads: 1, checkpointing: false };
const { findMpirun } = await import("../dist/launch/mpirun.js");
const { mpirunArguments, rankEnvironment } = await import("../dist/launch/arguments.js");
const { readHosts } = await import("../dist/launch/hosts.js");
const mpirun = findMpirun();

function two() {
  const hosts = readHosts(undefined, RANKS);
  const command = [process.execPath, CHILD, JSON.stringify({ ...work, group: true })];
  // There is no launcher that reads what ranks tell it.
  const { LOWRANK_LAUNCHER: _, ...env } = rankEnvironment(mpirun, process.env, hosts, "file");
  const args = mpirunArguments(hosts, env, command);
  const out = execFileSync(mpirun.path, args, { encoding: "utf8", env, stdio: ["ignore", "pipe", "inherit"] });
  const lines = out.split("\n").filter((line) => line.startsWith("{"));
  const all = lines.map((line) => JSON.parse(line));
  if (all.length !== RANKS) throw new Error(`${all.length} of ${RANKS} ranks answered:\n${out}`);
  return {
    tokens_per_s: Math.min(...all.map((each) => each.tokens_per_s)),
    waiting_share: Math.max(...all.map((each) => each.waiting_share)),
    pss_mib: all.reduce((sum, each) => sum + each.pss_mib, 0),
  };
}

const peer = JSON.stringify({ ...work, targets: "q_proj,k_proj,v_proj,o_proj", variant: "lora" });
const torchrun = join(dirname(o["peer-python"] || "."), "torchrun");
const hasPeer = !o["no-peer"] && o["peer-python"] !== "" && existsSync(torchrun);
const sides = {
  one: () => lastJson(process.execPath, [CHILD, JSON.stringify(work)]),
  two,
  ...(hasPeer && {
    peer: () => lastJson(torchrun, ["--standalone", `--nproc_per_node=${RANKS}`, PEER, peer], { OMP_NUM_THREADS: "1" }),
  }),
};
const found = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
for (let round = 0; round < o.rounds; round++) {
  const names = Object.keys(sides);
  for (const name of round % 2 ? names.reverse() : names) found[name].push(sides[name]());
  const said = Object.keys(sides).map((name) => `${name} ${found[name][round].tokens_per_s.toFixed(0)}`);
  console.error(`round ${round + 1} of ${o.rounds}: ${said.join(", ")} tokens/s`);
}

const mid = (name, key) => median(found[name].map((run) => run[key]));
const ratio = (a, b, key) => median(found[a].map((run, i) => run[key] / found[b][i][key])).toFixed(2);
console.log(
  `${shape}, ${precision}, ${accumulation} x ${batch} x ${seq} tokens a rank and step, rank ${rank}; ${cpus()[0]?.model.trim()}; one thread a process; medians of ${o.rounds} rounds\n`,
);
console.log("|  | tokens/s | to one process | memory (PSS), MiB |\n|---|---|---|---|");
console.log(`| one process | ${mid("one", "tokens_per_s").toFixed(0)} | 1 | ${mid("one", "pss_mib")} |`);
console.log(
  `| ${RANKS} ranks | ${mid("two", "tokens_per_s").toFixed(0)} | ${ratio("two", "one", "tokens_per_s")}x | ${mid("two", "pss_mib")} (${ratio("two", "one", "pss_mib")}x) |`,
);
if (hasPeer) {
  const speed = mid("peer", "tokens_per_s").toFixed(0);
  console.log(`| torchrun + PEFT, gloo, ${RANKS} processes | ${speed} | ${ratio("peer", "one", "tokens_per_s")}x | |`);
  console.log(`\nRanks beside torchrun + PEFT: ${ratio("two", "peer", "tokens_per_s")}x.`);
} else console.log("\nWithout the peer: no torchrun beside the Python of --peer-python or LOWRANK_PEER_PYTHON.");
console.log(`Ranks wait ${(100 * mid("two", "waiting_share")).toFixed(1)} % of a step.`);
