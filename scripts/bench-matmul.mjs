#!/usr/bin/env node
import { execFileSync } from "node:child_process";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { median } from "./bench/median.mjs";
import { peerPython } from "./bench/peer.mjs";
import { section } from "./bench/section.mjs";
import { readArguments } from "./support/arguments.mjs";

const values = readArguments({
  about:
    "Linears alone beside PyTorch's, in turn, and decoding alone beside a copy of the same memory. The shapes are SmolLM2-135M's.",
  options: {
    precision: { default: "bf16", of: ["bf16", "fp32"], help: "of the products" },
    rounds: { kind: "number", least: 1, default: 5, help: "runs of each" },
    "peer-python": peerPython("torch"),
    write: { kind: "flag", help: "the tables into docs/performance.md" },
  },
});
const { cpuInfo } = await import("../dist/native/index.js");
const dtype = { bf16: "bf16", fp32: "f32" }[values.precision];
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

function jsonLines(command, args) {
  const out = execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const lines = out.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line));
}
const write = values.write && section(here("../docs/performance.md"), `matmul ${cpuInfo().isa} ${values.precision}`);
const own = (op) => jsonLines(process.execPath, [here("test-native.mjs"), "--matmul", "--op", op, "--filter", dtype]);
const python = values["peer-python"];
const peer = () => (python ? jsonLines(python, [here("bench/linear_peer.py"), dtype]) : []);

const key = (line) => `${line.linear} ${line.in} ${line.out}`;
const runs = { own: new Map(), peer: new Map() };
const take = (name, lines) => {
  for (const line of lines) runs[name].set(key(line), [...(runs[name].get(key(line)) ?? []), line]);
};
const { rounds } = values;
const decodes = [];
for (let round = 0; round < rounds; round++) {
  // Who comes first changes from round to round.
  const both = [() => take("own", own("linear")), () => take("peer", peer())];
  for (const run of round % 2 ? both.reverse() : both) run();
  decodes.push(own("decode"));
  console.error(`round ${round + 1} of ${rounds}`);
}

const lines = [...runs.own.values()];
const cpu = `${cpus()[0]?.model.trim()}, ${availableParallelism()} processors, ${lines[0][0].isa}`;
const torch = [...runs.peer.values()][0]?.[0].torch;
let text = `${values.precision}, medians of ${rounds} rounds in turn; ${cpu}. GFLOP/s; the weight is packed each time.\n\n`;
text += `| 2,048 tokens, inputs to outputs | lowrank | torch ${torch ?? "(not run)"} | ratio, median of rounds |\n|---|---|---|---|\n`;
const ratios = [];
for (const own of lines) {
  const { linear, tokens, in: inputs, out } = own[0];
  const rate = (list) => ((2e-9 * tokens * inputs * out) / median(list.map((run) => run.seconds))).toFixed(0);
  const theirs = runs.peer.get(key(own[0]));
  const ratio = theirs && median(own.map((run, i) => theirs[i].seconds / run.seconds));
  if (ratio) ratios.push(ratio);
  text += `| ${linear} ${inputs} to ${out} | ${rate(own)} | ${theirs ? rate(theirs) : ""} | ${ratio ? `${ratio.toFixed(2)}x` : ""} |\n`;
}
if (ratios.length > 0) {
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  text += `\nGeometric mean of the ratios: ${mean.toFixed(2)}x.\n`;
}
text += "\nA weight of 28,160 x 2,048 (110 MiB in bf16) from its codes to bf16, GB/s of packed and written bytes:\n\n";
text += "| format | GB/s | of a copy's bandwidth |\n|---|---|---|\n";
const bandwidth = (name) =>
  decodes.map((list) => list.find((line) => line.decode === name)).map((d) => d.bytes / d.seconds / 1e9);
for (const { decode } of decodes[0]) {
  const share = median(bandwidth(decode).map((rate, i) => rate / bandwidth("copy")[i]));
  text += `| ${decode} | ${median(bandwidth(decode)).toFixed(1)} | ${share.toFixed(2)}x |\n`;
}
console.log(text);
if (write) write(text);
