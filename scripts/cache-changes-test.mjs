#!/usr/bin/env node
// Changes single bytes of a token cache's files at random, one after the other, and evaluates each time. The loss must be the
// undamaged cache's, whichever byte was changed. A file that is made anew must have the old bytes.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { fail, readArguments } from "./support/arguments.mjs";
import { generator } from "./support/random.mjs";

const { changes, seed } = readArguments({
  about: "Changes single bytes of a token cache's files at random: no evaluation may give another loss.",
  options: {
    changes: { kind: "number", default: 1000, least: 1, help: "bytes that are changed" },
    seed: { kind: "number", default: 1, help: "of the places and the values" },
  },
});

const { main } = await import("../dist/cli/run.js");

const root = fileURLToPath(new URL("..", import.meta.url));
const work = mkdtempSync(join(tmpdir(), "lowrank-cache-"));
const cache = join(work, "cache");
const texts = join(work, "texts.jsonl");

const random = generator(seed);
const below = (n) => Math.floor(random() * n);

const options = {
  ...{ base_model: join(root, "examples/tiny-base"), validation_file: texts, cache_dir: cache },
  ...{ max_seq_length: 64, threads: 1 },
};
const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);

/** The command in this process. @returns its standard output and standard error */
async function evaluate() {
  const streams = [process.stdout, process.stderr];
  const printed = ["", ""];
  const writes = streams.map((stream) => stream.write);
  for (const [i, stream] of streams.entries()) {
    stream.write = (text) => {
      printed[i] += text;
      return true;
    };
  }
  try {
    const code = await main(["eval", "--json", ...flags]);
    return { code, result: printed[0], notes: printed[1] };
  } finally {
    for (const [i, stream] of streams.entries()) stream.write = writes[i];
  }
}

const lossOf = ({ code, result, notes }) => {
  if (code !== 0) throw new Error(`exit code ${code}: ${notes}`);
  return JSON.parse(result).eval_loss;
};

try {
  const lines = readFileSync(join(root, "examples/data/train.jsonl"), "utf8").split("\n").slice(0, 30);
  writeFileSync(texts, lines.join("\n"));
  // A file that was changed within the last two seconds is read again, whatever the cache says.
  await wait(2500);
  const expected = lossOf(await evaluate());
  const files = readdirSync(cache).map((name) => join(cache, name));
  const [tokens] = files.filter((file) => file.endsWith(".arrow"));
  const whole = readFileSync(tokens);
  let noticed = 0;
  for (let i = 1; i <= changes; i++) {
    const file = random() < 0.8 ? tokens : files[below(files.length)];
    const at = below(statSync(file).size);
    const bytes = readFileSync(file);
    bytes[at] ^= 1 + below(255);
    writeFileSync(file, bytes);
    const ended = await evaluate();
    const label = `change ${i} (seed ${seed}): byte ${at} of ${file}`;
    const loss = lossOf(ended);
    if (loss !== expected) throw new Error(`${label}: loss ${loss} instead of ${expected}`);
    if (ended.notes.includes("is damaged")) noticed++;
    if (!ended.notes.includes("is damaged") && file === tokens) {
      // Filling between columns, which nobody reads.
      writeFileSync(tokens, whole);
    }
    if (!readFileSync(tokens).equals(whole)) throw new Error(`${label}: made anew, but not alike`);
    if (process.stderr.isTTY) process.stderr.write(`\r${i}/${changes}`);
  }
  process.stdout.write(`${changes} changes, ${noticed} noticed: the loss was ${expected} each time\n`);
} catch (error) {
  process.exitCode = 1;
  rmSync(work, { recursive: true, force: true });
  fail(error.message);
} finally {
  rmSync(work, { recursive: true, force: true });
}
