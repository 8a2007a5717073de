#!/usr/bin/env node
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { median } from "./bench/median.mjs";
import { randomAdapter, SHAPES } from "./bench/random-model.mjs";
import { fail, readArguments } from "./support/arguments.mjs";

const { shape, rank, runs } = readArguments({
  about: `Processor time and peak memory of lowrank analyze, start of the program included, of a random adapter on all linears of a
known shape: medians over processes.`,
  options: {
    shape: { default: "llama-3.2-1b", of: Object.keys(SHAPES), help: "the base's shape" },
    rank: { kind: "number", default: 16, least: 1, help: "the adapter's rank" },
    runs: { kind: "number", default: 5, least: 1, help: "processes" },
  },
});

const adapter = randomAdapter(shape, rank);
const child = fileURLToPath(new URL("bench/peak.mjs", import.meta.url));
const found = Array.from({ length: runs }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [child, "analyze", adapter], { encoding: "utf8" });
  if (status !== 0) fail(stderr);
  return { peak: Number(/^peak (\d+)$/m.exec(stdout)[1]) / 1024, cpu: Number(/^cpu ([\d.]+)$/m.exec(stdout)[1]) };
});
const of = (key) => median(found.map((each) => each[key]));
console.log(`${shape}, rank ${rank}: ${of("cpu").toFixed(2)} s of a processor, ${Math.round(of("peak"))} MiB`);
