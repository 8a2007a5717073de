// Fine-tunes a model inside a program: texts from memory, events as they come, text between steps, the adapter at the end.
//
//   node examples/embed-train.mjs [MODEL] [OUTPUT]
import { Model, Trainer } from "lowrank";

const [folder = "examples/tiny-base", output = "lora_model"] = process.argv.slice(2);
const recipes = Array.from(
  { length: 64 },
  (_, i) => `Soup number ${i + 1}. Take a pound of leeks, cut them thin and boil them in milk. Serve it hot.`,
);

const model = await Model.open(folder, { threads: 2 });
try {
  const trainer = await Trainer.create(model, {
    train: recipes,
    lora_r: 8,
    learning_rate: 1e-2,
    max_seq_length: 64,
    per_device_train_batch_size: 8,
    max_steps: 30,
    logging_steps: 10,
  });
  for await (const event of trainer.run({ signal: AbortSignal.timeout(60_000) })) {
    if (event.type === "warning") console.warn(event.message);
    if (event.type === "eval") console.log(`validation loss ${event.metrics.eval_loss.toFixed(3)}`);
    if (event.type !== "step" || !event.metrics) continue;
    let text = "";
    // The run waits while an event is handled, and the model is free for other things.
    for await (const piece of trainer.generate("Soup number 7.", { temperature: 0, max_new_tokens: 24 })) text += piece;
    console.log(`step ${event.step}: loss ${event.metrics.loss.toFixed(3)}, writes "${text.trim()}"`);
  }
  await trainer.save(output);
  console.log(`saved ${output}`);
} finally {
  // Closes its trainers, too.
  await model.close();
}
