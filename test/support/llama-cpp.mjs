// Log-probabilities after some tokens by llama.cpp: node llama-cpp.mjs REQUEST, with node-llama-cpp beside LOWRANK_LLAMA_CPP's package.json.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { folder, model: modelPath, adapter, ids } = JSON.parse(process.argv[2]);
const from = createRequire(join(folder, "package.json"));
const { getLlama } = await import(pathToFileURL(from.resolve("node-llama-cpp")));
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error" });
const model = await llama.loadModel({ modelPath });
const exact = { flashAttention: false, experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" };
const lora = adapter === undefined ? {} : { lora: { adapters: [{ filePath: adapter, scale: 1 }] } };
const context = await model.createContext({ contextSize: 64, threads: 2, ...exact, ...lora });
const sequence = context.getSequence();
const last = [ids.at(-1), { generateNext: { probabilities: true } }];
const found = await sequence.controlledEvaluate([...ids.slice(0, -1), last]);
const { probabilities } = found[ids.length - 1].next;
console.log(JSON.stringify([...probabilities].map(([id, p]) => [id, Math.log(p)])));
await llama.dispose();
