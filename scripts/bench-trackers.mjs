#!/usr/bin/env node
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as immediate, setTimeout as wait } from "node:timers/promises";
import { readArguments } from "./support/arguments.mjs";

const LIMIT_MS = 5;
const { steps } = readArguments({
  about: `The time that a step's report to Weights & Biases and MLflow together holds the training loop up, while both servers hang, answer
with errors or drop every connection. The row "no tracker" shows the machine's own delays. Exit code 1 where the longest is ${LIMIT_MS} ms or more. Needs an otherwise idle machine.`,
  options: { steps: { kind: "number", least: 1, default: 1000, help: "steps that are reported to each server" } },
});
const { Mlflow, mlflowSettings, Trackers, Wandb, wandbSettings } = await import("../dist/tracking/trackers/index.js");

const SERVERS = {
  "no tracker": undefined,
  hangs: () => {},
  "answers 500": (request, response) => request.resume().on("end", () => response.writeHead(500).end()),
  "drops connections": (request) => request.socket.destroy(),
};

/** Milliseconds of each step's report, in order of size. */
async function delays(listener) {
  const work = mkdtempSync(join(tmpdir(), "lowrank-bench-trackers-"));
  const server = createServer(listener ?? SERVERS.hangs).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `http://127.0.0.1:${server.address().port}`;
  const options = { wandb_project: undefined, wandb_entity: undefined, run_name: undefined };
  const wandb = wandbSettings(options, { WANDB_BASE_URL: address, WANDB_API_KEY: "0".repeat(40) });
  const mlflow = mlflowSettings(options, { MLFLOW_TRACKING_URI: address });
  const trackers = new Trackers(
    listener ? [new Wandb(wandb, join(work, "wandb"), {}), new Mlflow(mlflow, join(work, "mlflow"), {})] : [],
  );
  const found = [];
  try {
    trackers.start({ history: [] });
    for (let step = 1; step <= steps; step++) {
      const metrics = {
        step,
        epoch: step / 10,
        loss: 1 / step,
        grad_norm: 0.5,
        learning_rate: 1e-3,
        tokens_per_s: 1,
        mfu: 0.1,
      };
      const begun = performance.now();
      trackers.event({ type: "step", step, loss: metrics.loss, tokens_per_s: 1, metrics });
      await immediate(); // whatever the report put off until the loop is idle
      found.push(performance.now() - begun);
      await wait(20); // a short training step
    }
    await trackers.end(0);
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(work, { recursive: true, force: true });
  }
  return found.sort((a, b) => a - b);
}

console.log(`${steps} steps reported to each server; ${cpus()[0]?.model.trim()}, ${cpus().length} processors`);
console.log("| both servers | median ms | p99 ms | longest ms |\n|---|---|---|---|");
let longest = 0;
for (const [name, listener] of Object.entries(SERVERS)) {
  const sorted = await delays(listener);
  const shown = [0.5, 0.99, 1].map((share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
  longest = Math.max(longest, shown[2]);
  console.log(`| ${name} | ${shown.map((ms) => ms.toFixed(2)).join(" | ")} |`);
}
process.exit(longest < LIMIT_MS ? 0 : 1);
