// Child process of bench-generate: tokens a second of llama.cpp on a prompt and on the tokens after it, as one JSON line.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { folder, model: modelPath, prompt, tokens, threads } = JSON.parse(process.argv[2]);
const from = createRequire(join(folder, "package.json"));
const { getLlama } = await import(pathToFileURL(from.resolve("node-llama-cpp")));
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: threads });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({
  contextSize: prompt.length + tokens + 8,
  batchSize: prompt.length,
  threads,
});
const sequence = context.getSequence();

async function run() {
  await sequence.clearHistory();
  const start = performance.now();
  await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(0, -1));
  const read = performance.now();
  let written = 0;
  for await (const _ of sequence.evaluate(prompt.slice(-1), { temperature: 0, yieldEogToken: true }))
    if (++written === tokens) break;
  const end = performance.now();
  return {
    prompt: (1000 * (prompt.length - 1)) / (read - start),
    generation: (1000 * tokens) / (end - read),
  };
}
await run(); // touches the weights for the first time
console.log(JSON.stringify(await run()));
await llama.dispose();
