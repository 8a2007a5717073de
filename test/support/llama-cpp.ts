// llama.cpp as a peer, where LOWRANK_LLAMA_CPP names a folder with node-llama-cpp.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = process.env.LOWRANK_LLAMA_CPP;
export const hasLlama = folder !== undefined && existsSync(join(folder, "node_modules/node-llama-cpp"));
if (!hasLlama)
  console.log(
    "skipped: files in llama.cpp. LOWRANK_LLAMA_CPP names no folder with node-llama-cpp (npm install node-llama-cpp@3.21.1).",
  );
const script = fileURLToPath(new URL("./llama-cpp.mjs", import.meta.url));

/** Log-probabilities of tokens after these. */
export function logProbabilities(model: string, ids: number[], adapter?: string): Map<number, number> {
  const request = JSON.stringify({ folder, model, adapter, ids });
  const { stdout, stderr } = spawnSync(process.execPath, [script, request], { encoding: "utf8", timeout: 120_000 });
  const line = stdout.trim().split("\n").at(-1);
  if (!line?.startsWith("[")) throw new Error(`${stdout}\n${stderr}`);
  return new Map(JSON.parse(line) as [number, number][]);
}

export function logSoftmax(logits: Float32Array): Float64Array {
  const values = Float64Array.from(logits);
  const most = Math.max(...values);
  const sum = Math.log(values.reduce((total, value) => total + Math.exp(value - most), 0));
  return values.map((value) => value - most - sum);
}

/** The largest difference of a log-probability, over the likeliest tokens. */
export function likeliestDifference(found: Map<number, number>, wanted: Float64Array): number {
  const likeliest = [...wanted.keys()].sort((a, b) => wanted[b]! - wanted[a]!).slice(0, 40);
  return Math.max(...likeliest.map((id) => Math.abs(found.get(id)! - wanted[id]!)));
}
