#!/usr/bin/env node
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkDataOptions, dataOptions } from "./bench/data-options.mjs";
import { median } from "./bench/median.mjs";
import { fail, readArguments } from "./support/arguments.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const o = readArguments({
  about:
    "Texts to tokens in the cache, beside Hugging Face datasets' map on the same machine, one after the other, pair by pair.",
  options: {
    ...dataOptions({ texts: "", mb: "megabytes to which the texts are repeated", unit: "texts", length: 512 }),
  },
});
checkDataOptions(o, [o.texts, o.tokenizer]);

/** The texts, repeated. */
function repeated(file, bytes) {
  const lines = readFileSync(file);
  const whole = lines.at(-1) === 10 ? lines : Buffer.concat([lines, Buffer.from("\n")]);
  const copies = Array(Math.ceil(bytes / whole.length)).fill(whole);
  const all = Buffer.concat(copies).subarray(0, bytes);
  return all.subarray(0, all.lastIndexOf(10) + 1);
}

const work = mkdtempSync(join(tmpdir(), "lowrank-bench-data-"));
try {
  const file = join(work, "texts.jsonl");
  writeFileSync(file, repeated(o.texts, o.mb * 1e6));
  // A file that was changed a moment ago is not trusted to be the same.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const about = { file, tokenizer: o.tokenizer, maxLength: o["max-length"], threads: o.threads };
  const run = (program, script, folder) => {
    const args = [script, JSON.stringify({ ...about, folder: join(work, folder) })];
    const stdio = ["ignore", "pipe", "ignore"];
    return JSON.parse(execFileSync(program, args, { encoding: "utf8", stdio }).trim().split("\n").at(-1));
  };
  const ours = [];
  const again = [];
  const peer = [];
  for (let pair = 0; pair < o.pairs; pair++) {
    rmSync(join(work, "ours"), { recursive: true, force: true });
    ours.push(run(process.execPath, here("bench/tokenise.mjs"), "ours"));
    again.push(run(process.execPath, here("bench/tokenise.mjs"), "ours"));
    if (!o["no-peer"]) {
      rmSync(join(work, "peer"), { recursive: true, force: true });
      peer.push(run(o["peer-python"], here("bench/datasets_map.py"), "peer"));
    }
    console.error(
      `pair ${pair + 1}: ${[ours.at(-1), peer.at(-1)].map((r) => r && `${r.seconds.toFixed(2)} s`).join(", ")}`,
    );
  }
  if (peer.some(({ tokens }) => tokens !== ours[0].tokens))
    fail(`${ours[0].tokens} tokens, the peer has ${peer[0].tokens}`);
  const of = (runs, key = "seconds") => (runs.length === 0 ? null : median(runs.map((r) => r[key])));
  const ratio = (key) => (peer.length === 0 ? null : median(peer.map((r, i) => r[key] / ours[i].seconds)));
  const result = {
    cpu: `${cpus()[0].model}, ${cpus().length} processors`,
    megabytes: o.mb,
    texts: ours[0].texts,
    tokens: ours[0].tokens,
    seconds: of(ours),
    open_seconds: of(again),
    peer_seconds: of(peer),
    peer_map_seconds: of(peer, "map_seconds"),
    ratio: ratio("seconds"),
    ratio_to_map: ratio("map_seconds"),
  };
  const s = (value) => (value === null ? "" : value.toFixed(3));
  console.log(`${o.mb} MB, ${result.texts} texts, ${result.tokens} tokens; ${result.cpu}; medians of ${ours.length}`);
  console.log("| | seconds |\n|---|---|");
  console.log(`| lowrank, file to written cache | ${s(result.seconds)} |`);
  console.log(`| lowrank, opening it again | ${s(result.open_seconds)} |`);
  if (peer.length > 0) {
    console.log(`| datasets, load and map | ${s(result.peer_seconds)} (${result.ratio.toFixed(2)}x) |`);
    console.log(`| datasets, map alone | ${s(result.peer_map_seconds)} (${result.ratio_to_map.toFixed(2)}x) |`);
  }
  if (o.json) console.log(JSON.stringify(result));
} finally {
  rmSync(work, { recursive: true, force: true });
}
