// Child process of bench-train, bench-scale, bench-ranks and bench-distributed: times whole optimizer steps of the engine and prints one JSON line. A process of its own,
// so that its peak of resident memory is the engine's and nobody else's.

import { readFileSync } from "node:fs";
import { openModel, resolveTargets } from "../../dist/model/index.js";
import { ALONE, adapterTensors, cpuInfo, Engine, ranksOf } from "../../dist/native/index.js";
import { quantizedSource } from "../../dist/setup/base.js";
import { modelFlop } from "../../dist/trainer/model-flop.js";

const { folder, quantize, ...options } = JSON.parse(process.argv[2]);
const { precision, batch, seq, rank, steps, warmup, threads, checkpointing, profile = false } = options;
const { targets = "q_proj,k_proj,v_proj,o_proj", variant = "lora" } = options;
// Micro-batches of a step, and whether this process is one of several ranks, of which each makes as many.
const { accumulation = 1, group = false } = options;

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
  ...(group ? { group: "mpi" } : {}),
  // As the program does where there is memory for it; ranks of one machine share them.
  copyWeights: !group,
  rereadWeights: group,
});
const data = randomBatch(model.config.vocabSize);
const ranks = group ? await ranksOf(engine) : ALONE;
const supervised = batch * (seq - 1) * accumulation * ranks.size;
const times = [];
let loss = 0;
let waitedBefore = 0;
for (let step = 0; step < warmup + steps; step++) {
  const start = performance.now();
  if (step === warmup) waitedBefore = await ranks.waited();
  for (let i = 0; i < accumulation; i++)
    await engine.forwardBackward(data, 1 / supervised, step * accumulation + i, { isLast: i + 1 === accumulation });
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
const waited = (await ranks.waited()) - waitedBefore;
/** Resident memory of this process, in which pages of several processes count in parts. */
const pss = Number(/^Pss:\s+(\d+)/m.exec(readFileSync("/proc/self/smaps_rollup", "utf8"))?.[1] ?? 0);
if (group) await engine.finishGroup();
const { maxRSS } = process.resourceUsage(); // of training, not of the measurement after it
// Of a process that has the machine for itself.
const peak = group ? Number.NaN : await engine.matmulPeak();
await engine.close();
const timed = times.slice(warmup).sort((a, b) => a - b);
const middle = timed.length >> 1;
const seconds = timed.length % 2 ? timed[middle] : (timed[middle - 1] + timed[middle]) / 2;
const flop = modelFlop(
  model,
  adapter,
)({ microBatches: Array(accumulation).fill({ batch: data }), supervisedTokens: supervised });
const sizes = [...adapterTensors(model, adapter).values()].map(({ shape }) => shape.reduce((a, b) => a * b, 1));
const parameters = sizes.reduce((a, b) => a + b, 0);
const result = {
  mfu: flop / seconds / peak,
  flop_per_s: flop / seconds,
  tokens_per_s: (batch * seq * accumulation * ranks.size) / seconds,
  waiting_share: waited / times.slice(warmup).reduce((a, b) => a + b, 0),
  pss_mib: Math.round(pss / 1024),
  step_s: seconds,
  first_step_s: times[0],
  adapter_bytes: parameters * 4,
  peak_rss_mib: Math.round(maxRSS / 1024),
  ...attentionTime,
  loss,
  isa: cpuInfo().isa,
};
console.log(JSON.stringify(result));
