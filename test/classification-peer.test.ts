// A real BERT on real labels beside PyTorch + PEFT: the same initial adapter and order of rows. Runs where LOWRANK_PEER_PYTHON names a Python
// with torch, transformers and peft; scripts/parity-classify.mjs is the long form.
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Tokenizer } from "../src/data/index.js";
import { openClassifier } from "../src/setup/classify.js";
import { evaluating, openForInference } from "../src/setup/inference.js";
import { peerPython } from "./support/python.js";
import { jsonLines, lowrank, tinyBase, workFolder } from "./support/tiny.js";

const shared = new URL("../../shared/", import.meta.url).pathname;
const minilm = join(shared, "models/minilm-l6-v2");
const data = join(shared, "data");
const peer = new URL("../scripts/parity/classify_peer.py", import.meta.url).pathname;
const { python, reason: lacking } = peerPython("torch transformers peft");

const inputs = [minilm, join(data, "sotu-era-train.csv")];
const reason = lacking ?? inputs.find((path) => !existsSync(path))?.concat(" is not there");
if (reason) console.log(`classification-peer.test.ts skipped: ${reason}`);
const work = workFolder("classification-peer");
afterAll(() => work.remove());

/** The first rows of a file. */
function rows(name: string, count: number): string {
  const file = work.path(`${count}-${name}`);
  const lines = readFileSync(join(data, name), "utf8").split("\n");
  writeFileSync(file, `${lines.slice(0, count + 1).join("\n")}\n`);
  return file;
}

/** MiniLM with a configuration without dropout, as the peer trains. */
function bert(): string {
  const folder = work.path("bert");
  mkdirSync(folder);
  for (const name of ["model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
    symlinkSync(join(minilm, name), join(folder, name));
  const config = JSON.parse(readFileSync(join(minilm, "config.json"), "utf8"));
  const without = { ...config, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
  writeFileSync(join(folder, "config.json"), JSON.stringify(without));
  return folder;
}

function runPeer(options: Record<string, string | number>): Record<string, number>[] {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { status, stdout, stderr } = spawnSync(python, [peer, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
}

/** Our logits of some texts. */
async function logitsOf(adapter: string, base: string, file: string, maxLength: number): Promise<Float32Array> {
  const opening = {
    ...({ base_model: base, adapter, precision: "fp32", threads: 2, device: "cpu" } as const),
    ...{ use_4bit: false, use_8bit: false, double_quant: true, quantize_skip: undefined },
  };
  const opened = openClassifier(opening, () => {});
  await using engine = await openForInference(opened, evaluating(4, maxLength, true));
  const tokenizer = await Tokenizer.open(base);
  const texts = readFileSync(file, "utf8").trim().split("\n").slice(1);
  const rows = texts.map((line) => ({ text: line.replace(/^"|"?,[^,]*$/g, "").replaceAll('""', '"') }));
  const tokens = await tokenizer.encodeTyped(rows, { maxLength, side: "left" });
  const { logits } = await engine.classify({
    sequences: tokens.map(({ ids, types }) => ({ inputIds: ids, tokenTypes: types })),
  });
  return logits;
}

/** For each adapter, the logits of some texts that AutoPeftModelForSequenceClassification gives. */
function peerLogits(adapters: string[], file: string, maxLength: number): Float32Array[] {
  const files = adapters.map((_, i) => work.path(`logits-${i}.f32`));
  const [adapter, logits_file] = [adapters.join(","), files.join(",")];
  runPeer({ adapter, logits_file, validation_file: file, max_seq_length: maxLength, truncation_side: "left" });
  return files.map((name) => new Float32Array(new Uint8Array(readFileSync(name)).buffer));
}

interface Run {
  base: string;
  targets: string;
}

/** Both trainers on the same rows. */
async function compare(name: string, { base, targets }: Run): Promise<void> {
  const [train, held] = [rows("sotu-era-train.csv", 24), rows("sotu-era-valid.csv", 12)];
  const options = {
    ...{ train_file: train, validation_file: held, target_modules: targets, lora_r: 4, lora_alpha: 32 },
    ...{ max_seq_length: 48, truncation_side: "left", per_device_train_batch_size: 4, learning_rate: 1e-3 },
    ...{ weight_decay: 0.01, max_steps: 6 },
  };
  const folder = work.path(`${name}-peer`);
  const theirs = runPeer({ base_model: base, output_dir: folder, ...options });
  const output = work.path(`${name}-ours`);
  const flags = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const done = await lowrank([
    ...["train", "--task", "seq-cls", "--base_model", base, "--output_dir", output, ...flags],
    ...["--init_adapter", join(folder, "initial"), "--lora_dropout", "0", "--gradient_accumulation_steps", "1"],
    ...["--precision", "fp32", "--no-shuffle", "--logging_steps", "1", "--warmup_steps", "0"],
    ...["--cache_dir", work.path("cache")],
  ]);
  expect([done.code, done.stderr]).toEqual([0, expect.anything()]);
  const ours = jsonLines<Record<string, number>>(join(output, "metrics.jsonl")).filter(
    ({ loss }) => loss !== undefined,
  );
  const steps = theirs.filter(({ step }) => step !== undefined);
  expect(ours.map(({ step }) => step)).toEqual(steps.map(({ step }) => step));
  for (const [i, { loss, grad_norm, learning_rate }] of steps.entries()) {
    expect(Math.abs(ours[i]!.loss! - loss!), `loss of step ${i + 1}`).toBeLessThan(1e-4);
    expect(Math.abs(ours[i]!.grad_norm! / grad_norm! - 1), `grad_norm of step ${i + 1}`).toBeLessThan(1e-3);
    expect(Math.abs(ours[i]!.learning_rate! - learning_rate!)).toBeLessThan(1e-10);
  }
  const counts = theirs.find(({ trainable }) => trainable !== undefined)!;
  const count = (n: number) => n.toLocaleString("en-US");
  const line = `trainable params: ${count(counts.trainable!)} || all params: ${count(counts.all!)}`;
  expect(`${done.stdout}${done.stderr}`).toContain(line);
  const adapters = [output, join(folder, "final")];
  for (const [i, wanted] of peerLogits(adapters, held, 48).entries()) {
    const found = await logitsOf(adapters[i]!, base, held, 48);
    expect(found.length).toBe(wanted.length);
    expect(Math.max(...found.map((logit, at) => Math.abs(logit - wanted[at]!)))).toBeLessThan(1e-5);
  }
}

test.skipIf(reason !== undefined)(
  "MiniLM: losses of the steps, the parameters, and its adapter in PEFT",
  async () => {
    await compare("bert", { base: bert(), targets: "query,value" });
  },
  300_000,
);

test.skipIf(reason !== undefined)(
  "a decoder: the same",
  async () => {
    const base = work.path("llama");
    cpSync(tinyBase, base, { recursive: true });
    copyFileSync(join(tinyBase, "config.json"), join(base, "config.json"));
    await compare("llama", { base, targets: "q_proj,v_proj" });
  },
  300_000,
);
