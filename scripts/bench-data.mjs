#!/usr/bin/env node
// Texts to tokens in the cache, beside Hugging Face datasets' map on the same machine, one after the other, pair by pair.
//
//   npm run bench:data -- [--texts FILE.jsonl] [--tokenizer FOLDER] [--peer-python PATH] [--json]
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "./bench/median.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const HELP = `usage: bench-data [options]
  --texts FILE        JSON Lines with a column text; default ../shared/data/sotu-train.jsonl
  --tokenizer FOLDER  default ../shared/models/smollm2-135m-instruct
  --mb N              the texts are repeated to so many megabytes: 10
  --max-length N      longer texts are cut to so many tokens: 512
  --pairs N           runs of each: 5
  --threads N         of both: 2
  --peer-python PATH  a Python with datasets and transformers; default LOWRANK_PEER_PYTHON
  --no-peer           lowrank alone
  --json              one JSON line last`;

function options() {
  const text = (value) => ({ type: "string", default: value });
  const flag = { type: "boolean", default: false };
  try {
    return parseArgs({
      options: {
        texts: text(here("../../shared/data/sotu-train.jsonl")),
        tokenizer: text(here("../../shared/models/smollm2-135m-instruct")),
        mb: text("10"),
        "max-length": text("512"),
        pairs: text("5"),
        threads: text("2"),
        "peer-python": text(process.env.LOWRANK_PEER_PYTHON ?? ""),
        "no-peer": flag,
        json: flag,
        help: flag,
      },
    }).values;
  } catch (error) {
    fail(`${error.message}\n${HELP}`);
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

const o = options();
if (o.help) {
  console.log(HELP);
  process.exit(0);
}
for (const path of [o.texts, o.tokenizer]) if (!existsSync(path)) fail(`${path} is not there\n${HELP}`);
if (!o["no-peer"] && !o["peer-python"]) fail(`Name a Python with --peer-python, or give --no-peer.\n${HELP}`);

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
  writeFileSync(file, repeated(o.texts, Number(o.mb) * 1e6));
  // A file that was changed a moment ago is not trusted to be the same.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const about = { file, tokenizer: o.tokenizer, maxLength: Number(o["max-length"]), threads: Number(o.threads) };
  const run = (program, script, folder) => {
    const args = [script, JSON.stringify({ ...about, folder: join(work, folder) })];
    const stdio = ["ignore", "pipe", "ignore"];
    return JSON.parse(execFileSync(program, args, { encoding: "utf8", stdio }).trim().split("\n").at(-1));
  };
  const ours = [];
  const again = [];
  const peer = [];
  for (let pair = 0; pair < Number(o.pairs); pair++) {
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
    megabytes: Number(o.mb),
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
