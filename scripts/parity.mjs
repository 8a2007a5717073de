#!/usr/bin/env node
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { peerPython } from "./bench/peer.mjs";
import { checkFiles } from "./parity/files.mjs";
import { lowrank, node, run } from "./parity/processes.mjs";
import { compareTraces } from "./parity/traces.mjs";
import { fail, readArguments } from "./support/arguments.mjs";

const shared = fileURLToPath(new URL("../../shared/", import.meta.url));

/** Options that both trainers spell alike; options that a case does not name are `plain`'s. */
const PLAIN = {
  max_steps: 10,
  lora_r: 8,
  lora_alpha: 16,
  target_modules: "q_proj,k_proj,v_proj,o_proj",
  max_seq_length: 128,
  per_device_train_batch_size: 4,
  gradient_accumulation_steps: 1,
  learning_rate: 3e-4,
  weight_decay: 0,
  warmup_steps: 0,
  max_grad_norm: 1,
};
const CASES = {
  plain: {},
  accumulation: { gradient_accumulation_steps: 4, warmup_steps: 3, weight_decay: 0.1, per_device_train_batch_size: 2 },
  clipping: { max_grad_norm: 0.05, learning_rate: 1e-3 },
  rslora: { use_rslora: true, lora_r: 16 },
  "all-linear": { target_modules: "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj", learning_rate: 1e-3 },
  "other-texts": { train_file: "sotu-valid.jsonl", max_seq_length: 200, per_device_train_batch_size: 3, lora_r: 5 },
  // On a quantised base: the peer trains on the dequantised weights, or as bitsandbytes does it itself on a CPU or on a GPU.
  nf4: { quantize: "use_4bit", peer: "dequantized" },
  int8: { quantize: "use_8bit", peer: "bitsandbytes" },
  llm_int8: {
    quantize: "use_8bit",
    peer: "bitsandbytes, rounded",
    own: { quant_type: "llm_int8" },
    precisions: ["fp32", "bf16"],
  },
  // As many tokens as a step of a real training has: rounding errors are less of their mean.
  "llm_int8-16-texts": {
    quantize: "use_8bit",
    peer: "bitsandbytes, rounded",
    own: { quant_type: "llm_int8" },
    precisions: ["fp32", "bf16"],
    bounds: { loss: 2e-2, norm: Number.POSITIVE_INFINITY },
    per_device_train_batch_size: 16,
  },
};

const o = readArguments({
  about: `Training and files beside PyTorch + PEFT on a real model: the same initial adapter, data and options for both. Prints both traces
side by side with the largest differences, and ends with 1 where a bound is broken. Needs the build.`,
  options: {
    python: peerPython("torch, transformers and peft"),
    base_model: {
      value: "FOLDER",
      help: "a Hugging Face folder; the real model of ../shared/models in f32 where none is named",
    },
    data: { value: "FOLDER", default: join(shared, "data"), help: "where the train files are" },
    train_file: { value: "FILE", help: "other texts for every case" },
    only: { value: "NAME", of: [...Object.keys(CASES), "files"], help: "this case alone" },
    precision: { default: "both", of: ["fp32", "bf16", "both"], help: "of both trainers" },
    steps: { kind: "number", least: 1, default: 10, help: "of a case" },
    keep: { kind: "flag", help: "keep the folder with the files of both" },
  },
});
if (!o.python) fail("Name a Python with --python or LOWRANK_PEER_PYTHON.");
const peerScript = join(shared, "peer", "peft_train.py");
const rounded = fileURLToPath(new URL("./parity/rounded_activations.py", import.meta.url));
if (!existsSync(peerScript)) {
  console.log(`Skipped: ${peerScript} is not there.`);
  process.exit(0);
}
const work = mkdtempSync(join(tmpdir(), "lowrank-parity-"));
let base = o.base_model && resolve(o.base_model);
if (!base) {
  base = join(work, "base");
  await node([join(shared, "models", "to-hf.mjs"), base, "f32"]);
}

// Enough of the validation texts to compare a mean, few enough not to outlast the training.
const validation = join(work, "validation.jsonl");
const lines = readFileSync(join(o.data, "sotu-valid.jsonl"), "utf8").split("\n");
writeFileSync(validation, lines.slice(0, 16).join("\n"));

/** The broken bounds of one part; a program that fails is one of them, and the other parts go on. */
async function attempt(name, part) {
  try {
    return await part();
  } catch (error) {
    console.log(`${name}: ${error.message}`);
    return [`${name}: ${error.message.split("\n")[0]}`];
  }
}

/** The base quantised by our command, and the base that the peer is to train on. */
async function quantizedBases(how, peer) {
  const folder = join(work, how);
  if (!existsSync(folder)) await lowrank(["quantize", "--base_model", base, "--output_dir", folder, `--${how}`]);
  if (peer !== "dequantized") return { ours: folder, peer: folder };
  const dequantized = join(work, `${how}-dequantized`);
  const script = fileURLToPath(new URL("./parity/dequantize.py", import.meta.url));
  if (!existsSync(dequantized)) await run(o.python, [script, folder, dequantized]);
  return { ours: folder, peer: dequantized };
}

const failures = [];
const chosen = Object.keys(CASES).filter((name) => !o.only || o.only === name);
for (const name of chosen) {
  for (const precision of o.precision === "both" ? ["fp32", "bf16"] : [o.precision]) {
    const {
      train_file = "sotu-train.jsonl",
      quantize,
      peer,
      own = {},
      bounds,
      precisions = quantize ? ["fp32"] : ["fp32", "bf16"],
      ...rest
    } = { ...PLAIN, ...CASES[name], max_steps: o.steps };
    if (!precisions.includes(precision)) continue;
    const bases = quantize ? await quantizedBases(quantize, peer) : { ours: base, peer: base };
    const options = {
      base_model: bases.ours,
      train_file: o.train_file ? resolve(o.train_file) : join(o.data, train_file),
      ...rest,
    };
    const folder = join(work, `${name}-${precision}`);
    const job = {
      name: `${name} ${precision}`,
      python: o.python,
      peerScript: peer === "bitsandbytes, rounded" ? [rounded, peerScript] : [peerScript],
      precision,
      folder,
      options,
      own,
      validation,
      peerBase: bases.peer,
      quantize,
      bounds,
    };
    failures.push(...(await attempt(job.name, () => compareTraces(job))));
  }
}
if (!o.only || o.only === "files") {
  const files = { python: o.python, base, data: o.data, folder: join(work, "files") };
  failures.push(...(await attempt("files", () => checkFiles(files))));
}
if (o.keep) console.log(`Kept: ${work}`);
else rmSync(work, { recursive: true });
console.log(failures.length ? `\nBroken:\n  ${failures.join("\n  ")}` : "\nEvery bound is kept.");
process.exit(failures.length ? 1 : 0);
