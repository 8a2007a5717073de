#!/usr/bin/env node
import { existsSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { median } from "./bench/median.mjs";
import { lastJson, peerPython } from "./bench/peer.mjs";
import { randomModel, SHAPES } from "./bench/random-model.mjs";
import { section } from "./bench/section.mjs";
import { readArguments } from "./support/arguments.mjs";

const PEER_SCRIPT = fileURLToPath(new URL("../../shared/peer/peft_bench.py", import.meta.url));
const CHILD = fileURLToPath(new URL("./bench/engine-steps.mjs", import.meta.url));

const number = (least, standard, help) => ({ kind: "number", least, default: standard, help });
const o = readArguments({
  about:
    "Training speed and memory of the engine beside PyTorch + PEFT on the same machine, one after the other, pair by pair.",
  options: {
    shape: { default: "smollm2-135m", of: Object.keys(SHAPES), help: "shape of the base" },
    layers: number(0, 0, "instead of the shape's own number of layers"),
    precision: { default: "bf16", of: ["bf16", "fp32"], help: "of both" },
    batch: number(1, 4, "sequences of a step"),
    seq: number(2, 512, "tokens of a sequence"),
    rank: number(1, 16, "of the adapters on q_proj, k_proj, v_proj and o_proj"),
    steps: number(1, 3, "timed steps of a run"),
    warmup: number(0, 1, "untimed steps before them"),
    pairs: number(1, 5, "runs of each"),
    threads: number(0, 0, "of both; 0: all processors, and the peer's own choice"),
    checkpointing: { kind: "flag", help: "recompute every block in the backward pass, both" },
    "peer-python": peerPython("torch, transformers and peft"),
    "no-peer": { kind: "flag", help: "the engine alone" },
    best: { kind: "flag", help: "the peer at its best: torch.compile, and tcmalloc" },
    tcmalloc: { value: "PATH", default: "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4", help: "for --best" },
    write: { kind: "flag", help: "the table into docs/performance.md" },
    json: { kind: "flag", help: "one JSON line last" },
  },
});
const { cpuInfo } = await import("../dist/native/index.js");

function runEngine(o, folder) {
  const threads = o.threads || availableParallelism();
  return lastJson(process.execPath, [CHILD, JSON.stringify({ ...o, folder, threads })]);
}

function runPeer(o) {
  const args = ["--shape", o.shape, "--dtype", o.precision, "--device", "cpu"];
  for (const name of ["batch", "seq", "rank", "steps", "warmup", "threads", "layers"])
    args.push(`--${name}`, String(o[name]));
  if (o.checkpointing) args.push("--checkpointing");
  if (o.best) args.push("--compile");
  return lastJson(o["peer-python"], [PEER_SCRIPT, ...args], o.best ? { LD_PRELOAD: o.tcmalloc } : {});
}

/** Why there is nothing to compare with, or nothing where there is. */
function noPeerReason(o) {
  if (o["no-peer"]) return "--no-peer";
  if (!o["peer-python"]) return "no Python named by --peer-python or LOWRANK_PEER_PYTHON";
  if (!existsSync(PEER_SCRIPT)) return `${PEER_SCRIPT} is not there`;
  if (o.best && !existsSync(o.tcmalloc)) return `--best needs ${o.tcmalloc} (Debian's package libtcmalloc-minimal4)`;
  return undefined;
}

function row(name, runs) {
  const speed = runs.map((run) => run.tokens_per_s);
  const [mid, low, high] = [median(speed), Math.min(...speed), Math.max(...speed)].map((x) => x.toFixed(0));
  return `| ${name} | ${mid} (${low} to ${high}) | ${median(runs.map((run) => run.peak_rss_mib))} |`;
}

const folder = randomModel(o.shape, o.precision, o.layers);
const reason = noPeerReason(o);
const name = [
  "train",
  cpuInfo().isa,
  o.shape,
  o.precision,
  o.best ? "best" : "",
  o.checkpointing ? "checkpointing" : "",
];
const document = fileURLToPath(new URL("../docs/performance.md", import.meta.url));
const write = o.write && !reason && section(document, name.filter(Boolean).join(" "));
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
  mfu: median(engine.map((run) => run.mfu)),
};
let text = `${work}; ${cpu}, ${engine[0].isa}; ${o.pairs} ${o.pairs === 1 ? "pair" : "pairs"}${o.best ? "; torch.compile and tcmalloc" : ""}\n\n`;
text += "|  | tokens/s, median (range) | peak resident MiB |\n|---|---|---|\n";
text += `${row("lowrank", engine)}\n`;
if (!reason) {
  summary.peer_tokens_per_s = median(peer.map((run) => run.tokens_per_s));
  summary.peer_peak_rss_mib = median(peer.map((run) => run.peak_rss_mib));
  summary.speed_ratio = median(engine.map((run, i) => run.tokens_per_s / peer[i].tokens_per_s));
  summary.memory_ratio = median(engine.map((run, i) => run.peak_rss_mib / peer[i].peak_rss_mib));
  text += `${row(`torch ${peer[0].torch} + peft, ${peer[0].threads} threads`, peer)}\n`;
  text += `| ratio, median of pairs | ${summary.speed_ratio.toFixed(2)}x | ${summary.memory_ratio.toFixed(3)}x |\n`;
}
text += `\nOf the measured matmul peak, over the whole step: ${(100 * summary.mfu).toFixed(0)} %.\n`;
console.log(`\n${text}`);
if (reason) console.log(`Without the peer: ${reason}.`);
if (write) write(text);
if (o.json) console.log(JSON.stringify(summary));
