// The real peft and transformers read the command's files. Runs where LOWRANK_PEER_PYTHON names a Python that has
// them; scripts/parity.mjs is the long form, on a real model.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readAdapter } from "../../src/checkpoint/adapter.js";
import { openModel } from "../../src/model/index.js";
import { Engine } from "../../src/native/index.js";
import { largestDifference } from "../support/golden.js";
import { peerPython } from "../support/python.js";

const root = new URL("../..", import.meta.url).pathname;
const cli = join(root, "dist/cli/main.js");
const base = join(root, "examples/tiny-base");
const ids = Array.from({ length: 48 }, (_, i) => 2 + ((i * 7919) % 2000));
const prompt = "Soup of leeks with";
const NEW_TOKENS = 30;

const { python, reason } = peerPython("torch transformers peft");
if (reason) console.log(`checkpoint/peft.test.ts skipped: ${reason}`);
const quantizedReason = reason ?? peerPython("accelerate bitsandbytes").reason;
if (quantizedReason && !reason) console.log(`quantised folders of checkpoint/peft.test.ts skipped: ${quantizedReason}`);

async function engineLogits(folder: string, adapterFolder: string | null): Promise<Float32Array> {
  const model = openModel(folder);
  const adapter = adapterFolder === null ? null : readAdapter(adapterFolder, model);
  const options = { precision: "fp32", threads: 2, maxTokens: 64, maxSequence: 64, training: false } as const;
  await using engine = await Engine.create(model, adapter?.spec ?? null, options);
  if (adapter) await engine.setAdapter(adapter.tensors);
  return engine.logits({ sequences: [{ inputIds: Int32Array.from(ids) }] });
}

function lowrank(...args: string[]): string {
  return execFileSync(process.execPath, [cli, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

describe.skipIf(reason !== undefined)("what the command writes, in peft and transformers", () => {
  const work = mkdtempSync(join(tmpdir(), "lowrank-peft-"));
  const adapter = join(work, "adapter");
  const logits = {
    adapter: join(work, "adapter.f32"),
    merged: join(work, "merged.f32"),
    decoded: join(work, "decoded.f32"),
  };
  // bitsandbytes decodes rows of 352 elements wrongly on a CPU: down_proj stays as it is.
  const quantized = { fp4: ["--quant_type", "fp4"], nf4: [], int8: ["--use_8bit"] };
  const types = Object.keys(quantized) as (keyof typeof quantized)[];
  const quantizedTypes = quantizedReason ? [] : types;
  let greedyText = "";

  beforeAll(() => {
    const data = join(root, "examples/data");
    const files = ["--train_file", join(data, "train.jsonl"), "--validation_file", join(data, "validation.jsonl")];
    const training = ["--max_steps", "8", "--learning_rate", "1e-2", "--precision", "fp32", "--max_seq_length", "128"];
    const lora = ["--target_modules", "q_proj,down_proj", "--use_rslora"];
    lowrank("train", "--base_model", base, ...files, "--output_dir", adapter, ...training, ...lora, "--merge");
    const decoded = join(work, "decoded");
    lowrank("merge", "--adapter", adapter, "--use_4bit", "--merge_onto", "trained", "--output_dir", decoded);
    for (const type of quantizedTypes) {
      const options = [...quantized[type], "--quantize_skip", "down_proj"];
      lowrank("quantize", "--base_model", base, "--output_dir", join(work, type), ...options);
    }
    const jobs = [
      ...quantizedTypes.map((type) => ({ model: join(work, type), ids, logits_file: join(work, `${type}.f32`) })),
      { model: base, adapter, ids, logits_file: logits.adapter },
      { model: `${adapter}_merged`, ids, logits_file: logits.merged },
      { model: decoded, ids, logits_file: logits.decoded },
      { model: base, adapter, prompt, new_tokens: NEW_TOKENS },
    ];
    const peer = join(root, "scripts/parity/peer.py");
    const out = execFileSync(python, [peer], {
      encoding: "utf8",
      input: JSON.stringify(jobs),
      stdio: ["pipe", "pipe", "pipe"],
    });
    greedyText = JSON.parse(out.trim().split("\n").at(-1)!).text;
  }, 300_000);

  afterAll(() => rmSync(work, { recursive: true }));

  const read = (file: string) => new Float32Array(Uint8Array.from(readFileSync(file)).buffer);

  test("the adapter gives the same logits in peft", async () => {
    const { difference, scale } = largestDifference(await engineLogits(base, adapter), read(logits.adapter));
    expect(difference / scale).toBeLessThan(1e-5);
    const without = largestDifference(await engineLogits(base, null), read(logits.adapter));
    expect(without.difference / without.scale).toBeGreaterThan(1e-2);
  });

  test("the merged folder gives the same logits in transformers, and nearly the adapter's", async () => {
    const merged = read(logits.merged);
    const { difference, scale } = largestDifference(await engineLogits(`${adapter}_merged`, null), merged);
    expect(difference / scale).toBeLessThan(1e-5);
    // The base is stored in bf16, and so are the merged weights.
    const unmerged = largestDifference(merged, read(logits.adapter));
    expect(unmerged.difference / unmerged.scale).toBeLessThan(3e-2);
  });

  test("the folder that is merged onto decoded weights gives the same logits in transformers", async () => {
    const decoded = read(logits.decoded);
    const { difference, scale } = largestDifference(await engineLogits(join(work, "decoded"), null), decoded);
    expect(difference / scale).toBeLessThan(1e-5);
    const stored = largestDifference(decoded, read(logits.merged));
    expect(stored.difference / stored.scale).toBeGreaterThan(1e-2);
  });

  test.skipIf(quantizedReason !== undefined).each(types)(
    "a folder quantised to %s is one to transformers",
    async (type) => {
      // It computes in bf16.
      const theirs = read(join(work, `${type}.f32`));
      const { difference, scale } = largestDifference(await engineLogits(join(work, type), null), theirs);
      expect(difference / scale).toBeLessThan(3e-2);
      const plain = largestDifference(await engineLogits(base, null), theirs);
      if (type !== "int8") expect(plain.difference).toBeGreaterThan(3 * difference);
    },
  );

  test("greedy text is the same", () => {
    const args = [
      "--prompt",
      prompt,
      "--max_new_tokens",
      String(NEW_TOKENS),
      "--temperature",
      "0",
      "--precision",
      "fp32",
    ];
    const text = lowrank("generate", "--base_model", base, "--adapter", adapter, ...args);
    expect(text.trim().endsWith(greedyText.trim())).toBe(true);
    expect(greedyText.trim().length).toBeGreaterThan(10);
  });
});
