// The command as people write it, verbatim in a shell: a gated model by its name, files of the working folder, W&B.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { readSafetensorsHeader } from "../../src/model/index.js";
import { temporaryFolders, writeIn } from "../support/folders.js";
import { HubServer } from "../support/hub-server.js";
import { llama2Files } from "../support/llama2.js";
import { jsonLines, root } from "../support/tiny.js";
import { WandbServer } from "../support/tracker-server.js";

const LINE = `lowrank train --base_model "meta-llama/Llama-2-7b-hf" --train_file "training_data.json" --validation_file "validation_data.json" --output_dir "./lora_llama2" --lora_r 16 --lora_alpha 32 --lora_dropout 0.05 --learning_rate 2e-4 --num_train_epochs 3 --per_device_train_batch_size 4 --gradient_accumulation_steps 4 --use_8bit --use_wandb`;
const KEY = "0123456789abcdef0123456789abcdef01234567";
const TOKEN = "hf_secretSecretSecret";
const STEPS = 9;

const newFolder = temporaryFolders();
const hub = HubServer.forTests();
const wandb = new WandbServer();

/** Instructions with outputs, as one JSON list. */
const rows = (count: number) =>
  JSON.stringify(
    Array.from({ length: count }, (_, i) => ({
      instruction: `Give the number after ${i}.`,
      input: "",
      output: `It is ${i + 1} — the one that follows ${i}.`,
    })),
    null,
    2,
  );

test("the line runs, online and then offline from the cache", async () => {
  const model = await llama2Files(newFolder());
  hub.repositories.set("meta-llama/Llama-2-7b-hf", {
    commit: `${"0123456789abcdef".repeat(2)}01234567`,
    private: true,
    files: model,
  });
  const bin = newFolder();
  symlinkSync(join(root, "scripts/support/lowrank.mjs"), join(bin, "lowrank"));
  const env = {
    ...{ PATH: `${bin}:${process.env.PATH}`, HOME: newFolder(), XDG_CACHE_HOME: newFolder() },
    ...{ HF_ENDPOINT: hub.endpoint, HF_TOKEN: TOKEN, WANDB_BASE_URL: wandb.url, WANDB_API_KEY: KEY },
  };
  const losses = [];
  for (const offline of ["0", "1"]) {
    hub.seen.length = 0;
    wandb.runs.clear();
    const cwd = newFolder();
    writeIn(cwd, "training_data.json", rows(48));
    writeIn(cwd, "validation_data.json", rows(8));
    const { stdout, stderr } = await promisify(execFile)("sh", ["-c", LINE], {
      cwd,
      env: { ...env, HF_HUB_OFFLINE: offline },
    });
    expect(stderr).toMatch(/^precision bf16, chosen for weights in int8; \d+ threads$/m);
    const output = join(cwd, "lora_llama2");
    const metrics = jsonLines<Record<string, number>>(join(output, "metrics.jsonl"));
    losses.push(metrics.flatMap(({ loss, eval_loss }) => [loss ?? eval_loss]));
    expect(metrics.at(-1)).toMatchObject({ step: STEPS, epoch: 3 });
    // The adapter, and what it says of its base.
    const config = JSON.parse(readFileSync(join(output, "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({ base_model_name_or_path: "meta-llama/Llama-2-7b-hf", r: 16, lora_alpha: 32 });
    expect(readSafetensorsHeader(join(output, "adapter_model.safetensors")).tensors).toHaveLength(8);
    // W&B shows the run's settings, each line of metrics and its end.
    const [run, ...others] = [...wandb.runs.values()];
    expect([others, run!.exitcode]).toEqual([[], 0]);
    expect(run!.config).toMatchObject({
      lora_r: { value: 16 },
      learning_rate: { value: 2e-4 },
      use_8bit: { value: true },
    });
    const shown = run!.history.map((line) => JSON.parse(line));
    const steps = metrics.filter(({ loss }) => loss !== undefined);
    expect(shown.filter((line) => "train/loss" in line).map((line) => line["train/loss"])).toEqual(
      steps.map(({ loss }) => loss),
    );
    // No secret is said or kept.
    const files = readdirSync(output, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const texts = files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), "latin1"));
    for (const secret of [KEY, TOKEN])
      expect([stdout, stderr, ...texts].filter((text) => text.includes(secret))).toEqual([]);
    if (offline === "1") expect(hub.seen).toEqual([]);
    else {
      const wanted =
        /^(config|generation_config|tokenizer.*|special_tokens_map)\.json$|^tokenizer\.model$|\.safetensors/;
      const asked = new Set(hub.seen.map(({ path }) => basename(path)).filter((name) => name in model));
      expect([...asked].sort()).toEqual(
        Object.keys(model)
          .filter((name) => wanted.test(name))
          .sort(),
      );
    }
  }
  expect(losses[1]).toEqual(losses[0]);
});
