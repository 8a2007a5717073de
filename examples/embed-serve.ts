// One base model, several adapters: each request is answered with the adapter that it asks for.
import { loadAdapter, Model } from "lowrank";

const [folder = "examples/tiny-base", ...adapterFolders] = process.argv.slice(2);
await using model = await Model.open(folder);
const adapters = await Promise.all(adapterFolders.map((path) => loadAdapter(model, path)));

async function answer(prompt: string, adapter?: (typeof adapters)[number]): Promise<string> {
  let text = "";
  const options = { temperature: 0, max_new_tokens: 20, ...(adapter ? { adapter } : {}) };
  for await (const piece of model.generate(prompt, options)) text += piece;
  return text.trim();
}

console.log(`the base: ${await answer("Soup number 7.")}`);
// At the same time: the weights are mapped once, whatever is made from them.
const answers = await Promise.all(adapters.map((adapter) => answer("Soup number 7.", adapter)));
for (const [i, text] of answers.entries()) console.log(`${adapterFolders[i]}: ${text}`);
