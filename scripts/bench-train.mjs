#!/usr/bin/env node
// Training speed and memory of the engine beside PyTorch + PEFT on the same machine, one after the other, pair by pair.
//
//   npm run bench:train -- --shape smollm2-135m --precision bf16 [--no-peer] [--json]
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { randomModel, SHAPES } from "./bench/random-model.mjs";

const PEER_SCRIPT = fileURLToPath(new URL("../../shared/peer/peft_bench.py", import.meta.url));
const CHILD = fileURLToPath(new URL("./bench/engine-steps.mjs", import.meta.url));

const HELP = `usage: bench-train [options]
  --shape NAME        ${Object.keys(SHAPES).join(", ")}
  --layers N          instead of the shape's own number of layers
  --precision P       bf16 (default) or fp32
  --batch N --seq N   sequences and their length: 4 x 512
  --rank N            16, on q_proj, k_proj, v_proj and o_proj
  --steps N --warmup N  timed and untimed steps of a run: 3 and 1
  --pairs N           runs of each: 5
  --threads N         of both; default all processors, and the peer's own choice
  --checkpointing     recompute every block in the backward pass, both
  --peer-python PATH  a Python with torch, transformers and peft; default LOWRANK_PEER_PYTHON
  --no-peer           the engine alone
  --json              one JSON line last`;

function fail(message) {
  console.error(message);
  process.exit(1);
}

function options() {
  const text = (value) => ({ type: "string", default: value });
  const flag = { type: "boolean", default: false };
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        shape: text("smollm2-135m"),
        layers: text("0"),
        precision: text("bf16"),
        batch: text("4"),
        seq: text("512"),
        rank: text("16"),
        steps: text("3"),
        warmup: text("1"),
        pairs: text("5"),
        threads: text("0"),
        checkpointing: flag,
        "peer-python": text(process.env.LOWRANK_PEER_PYTHON ?? ""),
        "no-peer": flag,
        json: flag,
        help: flag,
      },
    }));
  } catch (error) {
    fail(`${error.message}\n${HELP}`);
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const o = { ...values };
  for (const [name, least] of Object.entries({
    layers: 0,
    batch: 1,
    seq: 2,
    rank: 1,
    steps: 1,
    warmup: 0,
    pairs: 1,
    threads: 0,
  })) {
    o[name] = Number(values[name]);
    if (!Number.isInteger(o[name]) || o[name] < least)
      fail(`--${name} ${values[name]}: expected a whole number of at least ${least}`);
  }
  if (!SHAPES[o.shape]) fail(`--shape ${o.shape}: expected one of ${Object.keys(SHAPES).join(", ")}`);
  if (!["bf16", "fp32"].includes(o.precision)) fail(`--precision ${o.precision}: expected bf16 or fp32`);
  return o;
}

/** The last line that a command prints, as JSON. */
function lastJson(command, args) {
  const out = execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  return JSON.parse(out.trim().split("\n").at(-1));
}

function runEngine(o, folder) {
  const threads = o.threads || availableParallelism();
  return lastJson(process.execPath, [CHILD, JSON.stringify({ ...o, folder, threads })]);
}

function runPeer(o) {
  const args = ["--shape", o.shape, "--dtype", o.precision, "--device", "cpu"];
  for (const name of ["batch", "seq", "rank", "steps", "warmup", "threads", "layers"])
    args.push(`--${name}`, String(o[name]));
  if (o.checkpointing) args.push("--checkpointing");
  return lastJson(o["peer-python"], [PEER_SCRIPT, ...args]);
}

/** Why there is nothing to compare with, or nothing where there is. */
function noPeerReason(o) {
  if (o["no-peer"]) return "--no-peer";
  if (!o["peer-python"]) return "no Python named by --peer-python or LOWRANK_PEER_PYTHON";
  if (!existsSync(PEER_SCRIPT)) return `${PEER_SCRIPT} is not there`;
  return undefined;
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function row(name, runs) {
  const speed = runs.map((run) => run.tokens_per_s);
  const [mid, low, high] = [median(speed), Math.min(...speed), Math.max(...speed)].map((x) => x.toFixed(0));
  return `| ${name} | ${mid} (${low} to ${high}) | ${median(runs.map((run) => run.peak_rss_mib))} |`;
}

const o = options();
const folder = randomModel(o.shape, o.precision, o.layers);
const reason = noPeerReason(o);
const engine = [];
const peer = [];
for (let pair = 0; pair < o.pairs; pair++) {
  // Who comes first changes from pair to pair: a machine that warms up or slows down favours neither.
  const runs = [() => engine.push(runEngine(o, folder)), ...(reason ? [] : [() => peer.push(runPeer(o))])];
  for (const run of pair % 2 ? runs.reverse() : runs) run();
  const line = [`lowrank ${engine[pair].tokens_per_s.toFixed(0)}`];
  if (peer[pair]) line.push(`peer ${peer[pair].tokens_per_s.toFixed(0)} tokens/s`);
  if (!o.json) console.log(`pair ${pair + 1} of ${o.pairs}: ${line.join(", ")}`);
}

const layers = o.layers || SHAPES[o.shape].num_hidden_layers;
const work = `${o.shape}, ${layers} layers, ${o.precision}, batch ${o.batch} x ${o.seq}, rank ${o.rank}${o.checkpointing ? ", checkpointing" : ""}`;
const cpu = `${cpus()[0]?.model.trim()}, ${availableParallelism()} processors`;
const summary = {
  work,
  cpu,
  isa: engine[0].isa,
  tokens_per_s: median(engine.map((run) => run.tokens_per_s)),
  peak_rss_mib: median(engine.map((run) => run.peak_rss_mib)),
};
console.log(`\n${work}\n${cpu}; ${engine[0].isa}\n`);
console.log("|  | tokens/s, median (range) | peak resident MiB |\n|---|---|---|");
console.log(row("lowrank", engine));
if (reason) {
  console.log(`\nWithout the peer: ${reason}.`);
} else {
  summary.peer_tokens_per_s = median(peer.map((run) => run.tokens_per_s));
  summary.peer_peak_rss_mib = median(peer.map((run) => run.peak_rss_mib));
  summary.speed_ratio = median(engine.map((run, i) => run.tokens_per_s / peer[i].tokens_per_s));
  summary.memory_ratio = median(engine.map((run, i) => run.peak_rss_mib / peer[i].peak_rss_mib));
  console.log(row(`torch ${peer[0].torch} + peft, ${peer[0].threads} threads`, peer));
  console.log(`| ratio, median of pairs | ${summary.speed_ratio.toFixed(2)}x | ${summary.memory_ratio.toFixed(3)}x |`);
}
if (o.json) console.log(JSON.stringify(summary));
