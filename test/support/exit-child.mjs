// Child process of library-exit.test.ts: brings a trainer into a state and then ends in some way.
import { setTimeout as wait } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Model, Trainer } from "../../dist/index.js";

const [base, state, way, place] = isMainThread ? process.argv.slice(2) : workerData;
const texts = Array.from({ length: 200 }, (_, i) => `text number ${i} of some words that are learned`);

async function work() {
  const model = await Model.open(base, { threads: 2 });
  if (state === "opened") return;
  const options = { train: texts, lora_r: 4, max_seq_length: 64, max_steps: 100000, per_device_train_batch_size: 8 };
  const making = Trainer.create(model, { ...options, gradient_accumulation_steps: 4 });
  if (state === "opening") return;
  const trainer = await making;
  if (state === "idle") return;
  if (state === "closed") {
    await trainer.close();
    return;
  }
  if (state === "closing") {
    void trainer.close();
    return;
  }
  if (state === "working") {
    void trainer.evaluate();
    return;
  }
  if (state === "writing") {
    const text = trainer.generate("text number", { max_new_tokens: 1000 });
    await text.next();
    void text.next();
    return;
  }
  const run = trainer.run();
  await run.next();
  if (state === "paused") return;
  void run.next().catch(() => {});
  await wait(20);
}

async function end() {
  if (way === "exit") process.exit(7);
  if (way === "throw")
    setImmediate(() => {
      throw new Error("thrown on purpose");
    });
  if (way === "kill") process.kill(process.pid, "SIGTERM");
  // "nothing": the process ends by itself when nothing is left to do.
}

if (isMainThread && place === "thread") {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: [base, state, way === "terminate" ? "wait" : way],
  });
  worker.on("error", (error) => {
    console.error(`thread: ${error.message}`);
    process.exitCode = 5;
  });
  worker.on("exit", (code) => {
    console.log(`thread ended with ${code}`);
  });
  worker.on("message", () => {
    if (way === "terminate") worker.terminate();
  });
} else {
  await work();
  if (!isMainThread) parentPort.postMessage("ready");
  if (way === "wait") setInterval(() => {}, 1000);
  else await end();
}
