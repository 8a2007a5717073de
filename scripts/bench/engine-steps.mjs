// Child process of bench-train, bench-scale and bench-ranks: times whole optimizer steps of the engine and prints one JSON line. A process of its own,
// so that its peak of resident memory is the engine's and nobody else's.

import { openModel, resolveTargets } from "../../dist/model/index.js";
import { adapterTensors, cpuInfo, Engine } from "../../dist/native/index.js";
import { quantizedSource } from "../../dist/setup/base.js";
import { modelFlop } from "../../dist/trainer/model-flop.js";

const { folder, quantize, ...options } = JSON.parse(process.argv[2]);
const { precision, batch, seq, rank, steps, warmup, threads, checkpointing, profile = false } = options;
const { targets = "q_proj,k_proj,v_proj,o_proj", variant = "lora" } = options;

function randomBatch(vocab) {
  const token = () => Math.floor(Math.random() * vocab);
  return { sequences: Array.from({ length: batch }, () => ({ inputIds: Int32Array.from({ length: seq }, token) })) };
}

const asIs = { use_4bit: false, use_8bit: false, double_quant: false };
const model = quantizedSource(openModel(folder), { ...asIs, ...quantize }, console.error);
const adapter = {
  ...{ rank, alpha: 32, dropout: 0, seed: 0, targets: resolveTargets(model, targets).modules },
  ...{ useRslora: variant === "rslora", useDora: variant === "dora", bias: variant === "bias" },
};
const engine = await Engine.create(model, adapter, {
  precision,
  threads,
  maxTokens: batch * seq,
  maxSequence: seq,
  training: true,
  profile,
  checkpointedBlocks: checkpointing ? model.config.layers : 0,
  copyWeights: true, // as the program does where there is memory for it
});
const data = randomBatch(model.config.vocabSize);
const supervised = batch * (seq - 1);
const times = [];
let loss = 0;
for (let step = 0; step < warmup + steps; step++) {
  const start = performance.now();
  await engine.forwardBackward(data, 1 / supervised, step);
  await engine.optimizerStep({ learningRate: 2e-4, weightDecay: 0, maxGradNorm: 1, tokens: supervised });
  ({ loss } = await engine.readings());
  if (profile && step < warmup) await engine.profile();
  times.push((performance.now() - start) / 1000);
}
/** Microseconds that attention took for each token of the timed steps. */
async function attention() {
  const { names, events } = await engine.profile();
  let seconds = 0;
  for (let i = 0; i < events.length; i += 4) if (names[events[i]].startsWith("attention")) seconds += events[i + 2];
  return (1e6 * seconds) / (steps * batch * seq);
}
const attentionTime = profile ? { attention_us_per_token: await attention() } : {};
const { maxRSS } = process.resourceUsage(); // of training, not of the measurement after it
const peak = await engine.matmulPeak();
await engine.close();
const timed = times.slice(warmup).sort((a, b) => a - b);
const middle = timed.length >> 1;
const seconds = timed.length % 2 ? timed[middle] : (timed[middle - 1] + timed[middle]) / 2;
const flop = modelFlop(model, adapter)({ microBatches: [{ batch: data }], supervisedTokens: supervised });
const sizes = [...adapterTensors(model, adapter).values()].map((shape) => shape.reduce((a, b) => a * b, 1));
const parameters = sizes.reduce((a, b) => a + b, 0);
const result = {
  mfu: flop / seconds / peak,
  flop_per_s: flop / seconds,
  tokens_per_s: (batch * seq) / seconds,
  step_s: seconds,
  first_step_s: times[0],
  adapter_bytes: parameters * 4,
  peak_rss_mib: Math.round(maxRSS / 1024),
  ...attentionTime,
  loss,
  isa: cpuInfo().isa,
};
console.log(JSON.stringify(result));
