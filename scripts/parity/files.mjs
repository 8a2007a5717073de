// Files beside the peer's: our adapter in peft, our merged folder in transformers, and peft's adapter here.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { flags, lowrank, peerJobs, run } from "./processes.mjs";

const PEER_TRAIN = fileURLToPath(new URL("../../../shared/peer/peft_train.py", import.meta.url));
const PROMPTS = ["The people of the United States", "Question: What is the capital of France?\nAnswer:"];
const NEW_TOKENS = 24;
/** Bound of the logits, as a share of the largest. */
const BOUND = 1e-5;
const IDS = Array.from({ length: 64 }, (_, i) => 100 + ((i * 7919) % 40000));

/** Logits that our engine computes in fp32. */
async function engineLogits(folder, adapterFolder) {
  const [{ Engine }, { openModel }, { readAdapter }] = await Promise.all(
    ["engine.js", "model/index.js", "checkpoint/adapter.js"].map((path) => import(`../../dist/${path}`)),
  );
  const model = openModel(folder);
  const adapter = adapterFolder ? readAdapter(adapterFolder, model) : null;
  const options = { precision: "fp32", threads: 2, maxTokens: IDS.length, maxSequence: IDS.length, training: false };
  const engine = await Engine.create(model, adapter?.spec ?? null, options);
  if (adapter) await engine.setAdapter(adapter.tensors);
  const ids = IDS.map((id) => id % model.config.vocabSize);
  const logits = await engine.logits({ sequences: [{ inputIds: Int32Array.from(ids) }] });
  await engine.close();
  return { ids, logits };
}

function readLogits(file) {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** Largest difference as a share of the largest logit; infinite where the sizes differ. */
function share(a, b) {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < b.length; i++) {
    const d = Math.abs(a[i] - b[i]);
    if (!(d <= difference)) difference = d;
    scale = Math.max(scale, Math.abs(b[i]));
  }
  return difference / scale;
}

/** Trains one adapter with each trainer. @returns their folders */
async function trainBoth({ python, base, data, folder }) {
  const options = {
    base_model: base,
    train_file: join(data, "sotu-train.jsonl"),
    max_steps: 6,
    learning_rate: 2e-3,
    max_seq_length: 96,
    per_device_train_batch_size: 2,
  };
  const peft = join(folder, "peft");
  const ours = join(folder, "ours");
  await run(python, [PEER_TRAIN, ...flags({ ...options, output_dir: peft })]);
  await lowrank(["train", ...flags({ ...options, output_dir: ours, precision: "fp32" }), "--merge"]);
  return { peft, ours, merged: `${ours}_merged` };
}

/** @returns the bounds that are broken, as sentences */
export async function checkFiles(work) {
  const { python, base, folder } = work;
  const failures = [];
  const check = (what, value) => {
    console.log(`${what}: ${value.toExponential(2)} of the largest logit`);
    if (!(value <= BOUND)) failures.push(`files: ${what} differ by ${value}, allowed ${BOUND}`);
  };
  console.log("\n== files");
  const { peft, ours, merged } = await trainBoth(work);
  const adapted = await engineLogits(base, ours);
  const mergedHere = await engineLogits(merged, null);
  const greedy = [peft, ours].flatMap((adapter) => PROMPTS.map((prompt) => ({ model: base, adapter, prompt })));
  const logitsFile = (name) => join(folder, `${name}.f32`);
  const [, , ...texts] = await peerJobs(python, [
    { model: base, adapter: ours, ids: adapted.ids, logits_file: logitsFile("adapter") },
    { model: merged, ids: adapted.ids, logits_file: logitsFile("merged") },
    ...greedy.map((job) => ({ ...job, new_tokens: NEW_TOKENS })),
  ]);
  const inPeft = readLogits(logitsFile("adapter"));
  const inTransformers = readLogits(logitsFile("merged"));
  check("our adapter, in peft and here", share(adapted.logits, inPeft));
  check("our merged folder, in transformers and here", share(mergedHere.logits, inTransformers));
  check("our adapter in peft, our merged folder in transformers", share(inTransformers, inPeft));

  for (const [i, { adapter, prompt }] of greedy.entries()) {
    const args = { base_model: base, adapter, prompt, max_new_tokens: NEW_TOKENS, temperature: 0, precision: "fp32" };
    const text = (await lowrank(["generate", ...flags(args)])).trim();
    const expected = texts[i].text.trim();
    const same = text.endsWith(expected);
    console.log(
      `greedy text, adapter of ${adapter === peft ? "peft" : "lowrank"}: ${same ? "the same" : "differs"}: ${JSON.stringify(expected)}`,
    );
    if (!same)
      failures.push(
        `files: greedy text after ${JSON.stringify(prompt)} is ${JSON.stringify(text)}, peft's ${JSON.stringify(expected)}`,
      );
  }
  return failures;
}
