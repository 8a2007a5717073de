// One training by the library, for check-runtimes.mjs: base, texts, output folder, cache folder, options as JSON.
import { Model, Trainer } from "../../dist/index.js";

const [base, train_file, output_dir, cache_dir, options] = process.argv.slice(2);
const model = await Model.open(base, { threads: 2 });
const trainer = await Trainer.create(model, {
  train_file: [train_file],
  output_dir,
  cache_dir,
  ...JSON.parse(options),
});
for await (const _ of trainer.run());
await model.close();
