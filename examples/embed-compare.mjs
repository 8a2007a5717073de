// Trains with two ranks at once, in one process and over one mapped model, and says which learned more.
//
//   node examples/embed-compare.mjs [MODEL] [TRAIN] [VALIDATION]
import { Model, Trainer } from "lowrank";

const [
  folder = "examples/tiny-base",
  train = "examples/data/train.jsonl",
  validation = "examples/data/validation.jsonl",
] = process.argv.slice(2);
const model = await Model.open(folder, { threads: 1 });

/** @param {number} lora_r */
async function lossOf(lora_r) {
  const trainer = await Trainer.create(model, {
    train_file: [train],
    validation_file: [validation],
    lora_r,
    lora_alpha: 2 * lora_r,
    learning_rate: 5e-3,
    max_seq_length: 64,
    max_steps: 20,
  });
  let loss = Number.NaN;
  for await (const event of trainer.run()) if (event.type === "eval") loss = event.metrics.eval_loss;
  const { trainable } = trainer.parameters;
  console.log(`r ${lora_r}: ${trainable.toLocaleString("en-US")} parameters, validation loss ${loss.toFixed(4)}`);
  await trainer.close();
  return loss;
}

const ranks = [2, 16];
try {
  const losses = await Promise.all(ranks.map(lossOf));
  console.log(`best: r ${ranks[losses.indexOf(Math.min(...losses))]}`);
} finally {
  // Closes its trainers, too.
  await model.close();
}
