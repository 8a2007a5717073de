#!/usr/bin/env node
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { peerPython } from "./bench/peer.mjs";
import { flags, jsonLines, lowrank, node, run } from "./parity/processes.mjs";
import { sideBySide } from "./parity/traces.mjs";
import { fail, readArguments } from "./support/arguments.mjs";

const shared = fileURLToPath(new URL("../../shared/", import.meta.url));
const o = readArguments({
  about: `Two ranks beside PEFT under torchrun with two processes over gloo, and two and three ranks beside one process with as many micro-batches a
step, in fp32 on a real model: the same initial adapter and rows. Two ranks run twice, for the same bits. Prints the traces side by side, and ends
with 1 where a bound is broken. Needs the build and Open MPI.`,
  options: {
    python: peerPython("torch, transformers and peft, and torchrun beside it"),
    base_model: {
      value: "FOLDER",
      help: "a Hugging Face folder; the real model of ../shared/models in f32 where none is named",
    },
    train_file: { value: "FILE", default: join(shared, "data", "sotu-train.jsonl"), help: "JSON lines with a text" },
    // A last step of an epoch has fewer micro-batches than ranks times accumulation.
    rows: { kind: "number", least: 4, default: 20, help: "of the file, from its beginning" },
    steps: { kind: "number", least: 1, default: 10, help: "of a run" },
  },
});
if (!o.python) fail("Name a Python with --python or LOWRANK_PEER_PYTHON.");
const torchrun = join(dirname(o.python), "torchrun");
if (!existsSync(torchrun)) fail(`There is no ${torchrun}.`);

/** Largest allowed differences. */
const PEER = { loss: 1e-4, norm: 1e-3 };
const RANKS = { loss: 1e-6, norm: 1e-6 };

const work = mkdtempSync(join(tmpdir(), "lowrank-parity-ranks-"));
const failures = [];
try {
  await compare();
} finally {
  rmSync(work, { recursive: true });
}
console.log(failures.length ? `\nBroken:\n  ${failures.join("\n  ")}` : "\nEvery bound is kept.");
process.exit(failures.length ? 1 : 0);

async function compare() {
  let base = o.base_model && resolve(o.base_model);
  if (!base) {
    base = join(work, "base");
    await node([join(shared, "models", "to-hf.mjs"), base, "f32"]);
  }
  const train_file = join(work, "texts.jsonl");
  const lines = readFileSync(o.train_file, "utf8").split("\n");
  writeFileSync(train_file, lines.slice(0, o.rows).join("\n"));
  // Nobody evaluates; without it a tenth of the texts would be kept back.
  const validation_file = join(work, "held.jsonl");
  writeFileSync(validation_file, lines[o.rows]);
  const initial = join(work, "initial");
  const options = {
    base_model: base,
    train_file,
    max_steps: o.steps,
    lora_r: 8,
    lora_alpha: 16,
    target_modules: "q_proj,k_proj,v_proj,o_proj",
    max_seq_length: 128,
    per_device_train_batch_size: 2,
    learning_rate: 3e-4,
    max_grad_norm: 1,
  };
  const own = {
    validation_file,
    eval_strategy: "no",
    precision: "fp32",
    threads: 1,
    lora_dropout: 0,
    weight_decay: 0,
    warmup_steps: 0,
    logging_steps: 1,
    num_samples: 0,
    init_adapter: initial,
  };

  const peer = async (processes, gradient_accumulation_steps) => {
    const script = fileURLToPath(new URL("./parity/ranks_peer.py", import.meta.url));
    const job = JSON.stringify({ ...options, gradient_accumulation_steps, initial });
    return jsonLines(await run(torchrun, ["--standalone", `--nproc_per_node=${processes}`, script, job]));
  };
  const ours = async (name, ranks, gradient_accumulation_steps) => {
    const output_dir = join(work, name);
    const all = { ...options, ...own, gradient_accumulation_steps, output_dir };
    if (ranks > 1) all.nproc_per_node = ranks;
    await lowrank(["train", ...flags(all), "--no-shuffle", "--no-add_eos", "--no-merge"]);
    const trace = jsonLines(readFileSync(join(output_dir, "metrics.jsonl"), "utf8"));
    return trace.filter(({ loss }) => loss !== undefined);
  };
  const check = (name, found, expected, bounds, shown) => {
    console.log(`\n== ${name}`);
    const worst = sideBySide(expected, found, shown);
    if (found.length !== o.steps || expected.length !== o.steps)
      failures.push(`${name}: ${found.length} and ${expected.length} steps instead of ${o.steps}`);
    for (const what of ["loss", "norm"])
      if (!(worst[what] <= bounds[what]))
        failures.push(`${name}: ${what} differs by ${worst[what]}, allowed ${bounds[what]}`);
    if (!(worst.rate <= 1e-10)) failures.push(`${name}: learning rates differ by ${worst.rate}`);
  };

  const reference = await peer(2, 2);
  const two = await ours("two", 2, 2);
  check("two ranks, and PEFT under torchrun with two processes", two, reference, PEER, { names: ["peft", "ranks"] });
  const one = await ours("one", 1, 4);
  check("two ranks, and one process with twice the accumulation", two, one, RANKS, {
    relative: true,
    names: ["one", "ranks"],
  });
  await ours("again", 2, 2);
  const adapter = (name) => readFileSync(join(work, name, "adapter_model.safetensors"));
  const isSame = adapter("two").equals(adapter("again"));
  console.log(`\ntwo ranks once more: ${isSame ? "the same bits" : "other bits"}`);
  if (!isSame) failures.push("two ranks twice: other bits");
  const whole = await ours("whole", 1, 3);
  const three = await ours("three", 3, 1);
  check("three ranks, and one process with three times the accumulation", three, whole, RANKS, {
    relative: true,
    names: ["one", "ranks"],
  });
}
