#!/usr/bin/env node
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./bench/median.mjs";
import { peerPython } from "./bench/peer.mjs";
import { fail, readArguments } from "./support/arguments.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const o = readArguments({
  about:
    "Time from the start of the process to the first finished step, to the first text and to the end, and the processor time, of this tree and of others in turn; also of PyTorch + PEFT.",
  options: {
    base: { value: "FOLDER", default: join(root, "examples/tiny-base"), help: "base model" },
    texts: { value: "FILE", default: join(root, "examples/data/train.jsonl"), help: "texts to train on" },
    rounds: { kind: "number", least: 1, default: 5, help: "runs of each, in turn" },
    batch: { kind: "number", least: 1, default: 2, help: "texts of the step" },
    length: { kind: "number", least: 1, default: 32, help: "their longest length in tokens" },
    tree: { kind: "texts", default: [], value: "FOLDER", help: "another tree, built" },
    with: {
      kind: "texts",
      default: [],
      value: "OPTION",
      help: "an option of train and generate, such as --with=--use_4bit",
    },
    "peer-python": peerPython("torch, transformers and peft"),
  },
});
for (const path of [o.base, o.texts]) if (!existsSync(path)) fail(`${path} is not there`);

const work = mkdtempSync(join(tmpdir(), "lowrank-bench-start-"));

/** The shell tells the processor time of its children last. */
const TIMED = '"$0" "$@"; code=$?; times >&2; exit $code';
const processorSeconds = (errors) => {
  const [minutes, seconds, more, others] = errors
    .trim()
    .split("\n")
    .at(-1)
    .match(/[\d.]+/g)
    .map(Number);
  return 60 * (minutes + more) + seconds + others;
};

/** One process. @returns seconds to the first output that matches, to the end, and of the processors */
function run(command, args, first) {
  const begin = performance.now();
  const seconds = () => (performance.now() - begin) / 1000;
  return new Promise((done, failed) => {
    const child = spawn("bash", ["-c", TIMED, command, ...args], { cwd: work, stdio: ["ignore", "pipe", "pipe"] });
    const found = {};
    let [text, errors] = ["", ""];
    child.stdout.on("data", (data) => {
      text += data;
      if (first?.test(text)) found.first ??= seconds();
    });
    child.stderr.on("data", (data) => {
      errors += data;
    });
    child.on("error", failed);
    child.on("close", (code) => {
      if (code === 0) done({ ...found, end: seconds(), processor: processorSeconds(errors) });
      else failed(new Error(`${command} ${args.join(" ")}: exit code ${code}\n${errors}`));
    });
  });
}

const length = String(o.length);
const step = ["--max_steps=1", "--eval_strategy=no", "--num_samples=0", "--overwrite_output_dir", "--json"];
const small = [`--per_device_train_batch_size=${o.batch}`, `--max_seq_length=${length}`, ...o.with];
const train = (cache) => [
  ...["train", `--base_model=${resolve(o.base)}`, `--train_file=${resolve(o.texts)}`, "--output_dir=out"],
  ...[`--cache_dir=${cache}`, ...step, ...small],
];
const generate = [
  ...["generate", `--base_model=${resolve(o.base)}`, "--prompt=Once upon a time", "--max_new_tokens=8", ...o.with],
];
const isStep = /"type":"step"/;
/** What is timed: its arguments, the output that is waited for, and what comes before it. */
const CASES = {
  "`--help`": { args: ["--help"] },
  "`inspect`": { args: ["inspect", resolve(o.base)] },
  "`train`, texts not in the cache": {
    args: train("fresh"),
    first: isStep,
    before: () => rmSync(join(work, "fresh"), { recursive: true, force: true }),
  },
  "`train`, texts in the cache": { args: train("kept"), first: isStep },
  "`generate`": { args: generate, first: /./ },
};

const PEER = `
import torch, transformers, peft
model = transformers.AutoModelForCausalLM.from_pretrained(${JSON.stringify(resolve(o.base))}, dtype=torch.bfloat16)
transformers.AutoTokenizer.from_pretrained(${JSON.stringify(resolve(o.base))})
model = peft.get_peft_model(model, peft.LoraConfig(r=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]))
ids = torch.randint(0, 256, (${o.batch}, ${o.length}))
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
model(input_ids=ids, labels=ids).loss.backward()
optimizer.step()
print("step", flush=True)
`;

const trees = [root, ...o.tree].map((tree) => resolve(tree));
const command = (tree) => join(tree, "scripts/support/lowrank.mjs");
const timed = new Map();
const note = (row, column, result) => {
  const runs = timed.get(row) ?? {};
  runs[column] = [...(runs[column] ?? []), result];
  timed.set(row, runs);
};
try {
  // The files are in the page cache, and the texts in the other one, before any time counts.
  await run(command(root), CASES["`train`, texts in the cache"].args);
  for (let round = 0; round < o.rounds; round++) {
    for (const [name, { args, first, before }] of Object.entries(CASES)) {
      for (const tree of round % 2 ? trees.toReversed() : trees) {
        before?.();
        note(name, tree, await run(command(tree), args, first));
      }
    }
    if (o["peer-python"]) note("PyTorch + PEFT", "", await run(o["peer-python"], ["-c", PEER], /step/));
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

const s = (runs, key) => {
  const values = runs.map((result) => result[key]).filter((value) => value !== undefined);
  if (values.length === 0) return "";
  return `${median(values).toFixed(3)} (${Math.min(...values).toFixed(3)} to ${Math.max(...values).toFixed(3)})`;
};
console.log(
  `${o.batch} x ${length} ${o.with.join(" ")}; ${cpus()[0].model}, ${cpus().length} processors; medians of ${o.rounds} (range)`,
);
console.log("| | tree | to the first step or text, s | to the end, s | of the processors, s |\n|---|---|---|---|---|");
for (const [row, columns] of timed) {
  for (const [tree, runs] of Object.entries(columns)) {
    console.log(
      `| ${row} | ${tree === trees[0] ? "this" : tree} | ${s(runs, "first")} | ${s(runs, "end")} | ${s(runs, "processor")} |`,
    );
  }
}
