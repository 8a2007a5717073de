// One base model, several adapters: each request is answered with the adapter that it asks for.
//
//   node examples/embed-serve.mjs [MODEL] [ADAPTER...]
import { loadAdapter, Model } from "lowrank";

const [folder = "examples/tiny-base", ...adapterFolders] = process.argv.slice(2);
const model = await Model.open(folder);
const adapters = await Promise.all(adapterFolders.map((path) => loadAdapter(model, path)));

/**
 * @param {string} prompt
 * @param {import("lowrank").Adapter} [adapter]
 */
async function answer(prompt, adapter) {
  let text = "";
  for await (const piece of model.generate(prompt, { temperature: 0, max_new_tokens: 20, adapter })) text += piece;
  return text.trim();
}

try {
  console.log(`the base: ${await answer("Soup number 7.")}`);
  // At the same time: the weights are mapped once, whatever is made from them.
  const answers = await Promise.all(adapters.map((adapter) => answer("Soup number 7.", adapter)));
  for (const [i, text] of answers.entries()) console.log(`${adapterFolders[i]}: ${text}`);
} finally {
  await model.close();
}
