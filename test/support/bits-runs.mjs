// Child process of bits.test.ts: trains each run of the table and prints, as JSON, the sha256 of its adapter file, its last losses and its
// generated text.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Model, Trainer } from "../../dist/index.js";

const [base, gguf, folder, threads, only] = process.argv.slice(2);

const WORDS =
  "the quick brown fox jumps over a lazy dog and then some more words that are learned by nobody at all".split(" ");
/** Texts of 5 to 44 words, the same in each process. */
const texts = Array.from({ length: 24 }, (_, i) =>
  Array.from({ length: 5 + ((i * 17) % 40) }, (_, j) => WORDS[(i * 7 + j * j * 3 + j) % WORDS.length]).join(" "),
);

const STEPS = 4;
const COMMON = {
  train: texts.slice(4),
  validation: texts.slice(0, 4),
  max_steps: STEPS,
  per_device_train_batch_size: 3,
  gradient_accumulation_steps: 2,
  max_seq_length: 48,
  lora_r: 4,
  lora_dropout: 0,
  target_modules: "all-linear",
  learning_rate: 0.01,
  seed: 11,
  num_samples: 0,
  logging_steps: 1,
};

/** Name -> options of the base, and of the run. */
const RUNS = {
  fp32: [{ precision: "fp32" }, {}],
  bf16: [{ precision: "bf16" }, {}],
  fp16: [{ precision: "fp16" }, {}],
  nf4: [{ precision: "bf16", use_4bit: true }, {}],
  "fp4, one quantisation": [{ precision: "fp32", use_4bit: true, quant_type: "fp4", double_quant: false }, {}],
  int8: [{ precision: "bf16", use_8bit: true }, {}],
  "LLM.int8": [{ precision: "bf16", use_8bit: true, quant_type: "llm_int8" }, {}],
  "8-bit backward": [{ precision: "bf16", use_8bit: true, quant_type: "llm_int8", int8_backward: "nearest" }, {}],
  "8-bit backward by chance": [
    { precision: "fp32", use_8bit: true, int8_backward: "stochastic" },
    { gradient_checkpointing: true, lora_dropout: 0.1 },
  ],
  "GGUF, fp32": [{ precision: "fp32", gguf: true }, {}],
  "GGUF, bf16": [{ precision: "bf16", gguf: true }, { gradient_checkpointing: true }],
  dropout: [{ precision: "fp32" }, { lora_dropout: 0.1 }],
  "dropout, bf16": [{ precision: "bf16" }, { lora_dropout: 0.1, per_device_train_batch_size: 20, max_steps: 2 }],
  packing: [{ precision: "bf16" }, { packing: true }],
  padding: [{ precision: "fp32" }, { pad_to_max_length: true, group_by_length: true }],
  checkpointing: [{ precision: "bf16" }, { gradient_checkpointing: true, lora_dropout: 0.1 }],
  "8-bit AdamW": [{ precision: "bf16" }, { optim: "adamw_8bit", lora_r: 32 }],
  "8-bit AdamW, resumed": [{ precision: "bf16" }, { optim: "adamw_8bit", lora_r: 32, resumedAfter: 2 }],
  "dropout, resumed": [{ precision: "fp32" }, { lora_dropout: 0.1, resumedAfter: 2 }],
  "fp16, resumed": [{ precision: "fp16" }, { resumedAfter: 2 }],
  "two modules, rsLoRA, weight decay": [
    { precision: "fp32" },
    {
      target_modules: "q_proj,down_proj",
      use_rslora: true,
      weight_decay: 0.1,
      lr_scheduler_type: "cosine",
      max_grad_norm: 0.1,
    },
  ],
};

async function trained(model, options) {
  const trainer = await Trainer.create(model, options);
  const seen = { losses: [], eval: undefined, text: "" };
  for await (const event of trainer.run()) {
    if (event.type === "step") seen.losses.push(event.loss);
    if (event.type === "eval") seen.eval = event.metrics.eval_loss;
  }
  for await (const piece of trainer.generate("the quick", { max_new_tokens: 8, temperature: 1, seed: 5 }))
    seen.text += piece;
  await trainer.close();
  return seen;
}

/** Some of them are named where the others would take long. */
const chosen = Object.entries(RUNS).filter(([name]) => !only || only.split("|").includes(name));
const table = {};
for (const [name, [{ gguf: isGguf = false, ...ofModel }, { resumedAfter, ...ofRun }]] of chosen) {
  const model = await Model.open(isGguf ? gguf : base, { ...ofModel, threads: Number(threads), tokenizer: base });
  const output_dir = join(folder, name);
  const options = { ...COMMON, ...ofRun, output_dir, cache_dir: join(folder, "cache") };
  const saving = { lr_scheduler_type: "constant", save_strategy: "steps", save_steps: resumedAfter };
  if (resumedAfter) await trained(model, { ...options, ...saving, max_steps: resumedAfter });
  const {
    losses,
    eval: loss,
    text,
  } = await trained(model, resumedAfter ? { ...options, ...saving, resume: true } : options);
  const file = readFileSync(join(output_dir, "adapter_model.safetensors"));
  table[name] = { sha256: createHash("sha256").update(file).digest("hex"), loss: losses.at(-1), eval_loss: loss, text };
  await model.close();
}
console.log(JSON.stringify(table, null, 2));
