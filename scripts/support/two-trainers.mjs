// two-trainers.mjs BASE OTHER_BASE TEXTS CACHE together|threads: two trainers of the library at once, in one thread or in a worker
// thread each; prints {first, second}, each the adapter in base64 or {code, message}. The first one has BASE and CACHE.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Model, Trainer } from "../../dist/index.js";

const OPTIONS = {
  ...{
    max_seq_length: 64,
    lora_r: 4,
    per_device_train_batch_size: 4,
    learning_rate: 1e-2,
    max_steps: 60,
    eval_steps: 20,
  },
};

async function train([base, texts, cache]) {
  try {
    const model = await Model.open(base, { threads: 2, share_weights: true });
    const trainer = await Trainer.create(model, { ...OPTIONS, train_file: [texts], cache_dir: cache });
    for await (const _ of trainer.run());
    const { tensors } = await trainer.adapter();
    await model.close();
    return Buffer.concat([...tensors.values()].map(({ data }) => Buffer.from(data.buffer))).toString("base64");
  } catch ({ code, message }) {
    return { code, message };
  }
}

const inThread = (work) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: work });
    worker.once("message", resolve);
    worker.once("error", reject);
  });

if (isMainThread) {
  const [base, other, texts, cache, way] = process.argv.slice(2);
  const start = way === "threads" ? inThread : train;
  const [first, second] = await Promise.all([start([base, texts, cache]), start([other, texts, `${cache}-other`])]);
  console.log(JSON.stringify({ first, second }));
} else {
  parentPort.postMessage(await train(workerData));
}
