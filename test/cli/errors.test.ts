// Bad input through the command line: one clear message, exit code 1, nothing written and nothing lost.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cliFile, lowrank, someTexts, tinyBase, validationFile, workFolder } from "../support/tiny.js";

const work = workFolder("errors");
let texts = "";
let outputs = 0;

beforeAll(() => {
  if (!existsSync(cliFile)) throw new Error(`${cliFile} is not there: npm run build`);
  texts = someTexts(work.path("texts.jsonl"), 8);
});
afterAll(work.remove);

const SHORT = { max_seq_length: "32", max_steps: "4", per_device_train_batch_size: "2", precision: "fp32" };

interface Refused {
  output: string;
  message: string;
  /** The output before it. */
  warnings: string;
  stdout: string;
}

const asFlags = (options: Record<string, string>) =>
  Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);

/** Trains with these options, which must fail. @returns standard error, and the folder it was to write */
async function refused(options: Record<string, string>, flags: string[] = []): Promise<Refused> {
  const output = options.output_dir ?? work.path(`output-${outputs++}`);
  const inputs = { base_model: tinyBase, train_file: texts, validation_file: validationFile };
  const all = { ...SHORT, ...inputs, ...options, output_dir: output };
  const args = asFlags(all);
  const { code, stdout, stderr } = await lowrank(["train", ...args, ...flags]);
  expect(code, stderr).toBe(1);
  expect(stderr.match(/^error /gm), stderr).toHaveLength(1);
  expect(stderr).not.toMatch(/\n\s+at /);
  const begin = stderr.indexOf("error ");
  return { output, message: stderr.slice(begin), warnings: stderr.slice(0, begin), stdout };
}

/** Like `refused`, but nothing may have been written. */
async function refusedBefore(options: Record<string, string>, flags: string[] = []): Promise<string> {
  const { output, message } = await refused(options, flags);
  expect(existsSync(output)).toBe(false);
  return message;
}

function file(name: string, content: string): string {
  writeFileSync(work.path(name), content);
  return work.path(name);
}

/** A copy of the tiny base with some of it changed. */
function brokenBase(name: string, change: (folder: string) => void): string {
  const folder = work.path(name);
  cpSync(tinyBase, folder, { recursive: true });
  change(folder);
  return folder;
}

/** Rewrites the header of a safetensors file within its length. */
function changeHeader(
  folder: string,
  change: (header: Record<string, { shape: number[]; data_offsets: number[] }>) => void,
) {
  const path = join(folder, "model.safetensors");
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + length));
  change(header);
  bytes.write(JSON.stringify(header).padEnd(length), 8, length);
  writeFileSync(path, bytes);
}

describe("options", () => {
  test("an unknown flag names the nearest, and everything wrong is in one message", async () => {
    const message = await refusedBefore({ "lora-rr": "8", learning_rate: "fast" });
    expect(message).toContain("--lora-rr: unknown option (did you mean --lora_r?)");
    expect(message).toContain('--learning_rate: expected a number of at least 0, found "fast"');
  });

  test("reporting to W&B without a key says where to get one, and how to do without", async () => {
    const message = await refusedBefore({}, ["--use_wandb"]);
    expect(message).toContain("copy it from https://wandb.ai/authorize into WANDB_API_KEY");
    expect(message).toContain("WANDB_MODE=offline");
  });

  test("an unknown command names the nearest", async () => {
    const { code, stderr } = await lowrank(["trian"]);
    expect(code).toBe(1);
    expect(stderr).toContain('(did you mean "train"?)');
  });
});

describe("data", () => {
  test("a missing file", async () => {
    expect(await refusedBefore({ train_file: work.path("none.jsonl") })).toMatch(/E_FILE_MISSING.*none\.jsonl/);
  });

  test("an absent text column lists the columns", async () => {
    const train_file = file("columns.jsonl", '{"body":"a b c","title":"x"}\n');
    const message = await refusedBefore({ train_file });
    expect(message).toMatch(/columns\.jsonl.*"text".*body, title/s);
    expect(message).toContain("--text_column");
  });

  test("an empty file", async () => {
    expect(await refusedBefore({ train_file: file("empty.jsonl", "") })).toMatch(/E_DATA_EMPTY.*empty\.jsonl/);
  });

  test("a broken JSON line has its number", async () => {
    const train_file = file("broken.jsonl", '{"text":"a"}\n{"text":"b"}\n{"text": "c\n');
    expect(await refusedBefore({ train_file })).toMatch(/broken\.jsonl, line 3/);
  });

  test("texts with nothing to learn from", async () => {
    const train_file = file("masked.jsonl", '{"text":""}\n{"text":""}\n');
    expect(await refusedBefore({ train_file })).toMatch(/E_ALL_MASKED.*masked\.jsonl, line 1/s);
  });
});

describe("base model", () => {
  const refusedBase = (name: string, change: (folder: string) => void) =>
    refusedBefore({ base_model: brokenBase(name, change) });

  test("a missing folder", async () => {
    expect(await refusedBefore({ base_model: work.path("no-model") })).toMatch(/E_FILE_MISSING.*no-model/);
  });

  test("a cut safetensors file", async () => {
    const message = await refusedBase("cut", (folder) => {
      const path = join(folder, "model.safetensors");
      writeFileSync(path, readFileSync(path).subarray(0, 1_000_000));
    });
    expect(message).toMatch(/cut\/model\.safetensors/);
  });

  test("a hostile safetensors header", async () => {
    const huge = await refusedBase("huge-header", (folder) => {
      const path = join(folder, "model.safetensors");
      const bytes = readFileSync(path);
      bytes.writeBigUInt64LE(2n ** 60n, 0);
      writeFileSync(path, bytes);
    });
    expect(huge).toMatch(/huge-header\/model\.safetensors/);
    const outside = await refusedBase("outside", (folder) =>
      changeHeader(folder, (header) => {
        header["model.norm.weight"]!.data_offsets = [0, 9e12];
      }),
    );
    expect(outside).toContain("model.norm.weight");
  });

  test("a tensor of the wrong shape", async () => {
    const name = "model.layers.0.self_attn.q_proj.weight";
    const message = await refusedBase("shape", (folder) =>
      changeHeader(folder, (header) => {
        header[name]!.shape = [64, 256];
      }),
    );
    expect(message).toContain(name);
    expect(message).toMatch(/128/);
  });

  test("an unsupported architecture lists the supported", async () => {
    const message = await refusedBase("mamba", (folder) => {
      const path = join(folder, "config.json");
      writeFileSync(path, readFileSync(path, "utf8").replace('"llama"', '"mamba"'));
    });
    expect(message).toMatch(/mamba.*llama/s);
  });

  test("a target module that matches nothing lists the candidates", async () => {
    const message = await refusedBefore({ target_modules: "q_prj" });
    expect(message).toMatch(/q_prj/);
    for (const name of ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
      expect(message).toContain(name);
  });
});

describe("output folder", () => {
  test("not empty: nothing in it is touched; --overwrite_output_dir replaces what is ours only", async () => {
    const output_dir = work.path("full");
    mkdirSync(join(output_dir, "checkpoint-9"), { recursive: true });
    writeFileSync(join(output_dir, "notes.txt"), "mine");
    writeFileSync(join(output_dir, "metrics.jsonl"), "old");
    const { message } = await refused({ output_dir });
    expect(message).toContain("E_OUTPUT_EXISTS");
    expect(message).toContain("--overwrite_output_dir");
    expect(readdirSync(output_dir).sort()).toEqual(["checkpoint-9", "metrics.jsonl", "notes.txt"]);
    expect(readFileSync(join(output_dir, "metrics.jsonl"), "utf8")).toBe("old");

    // An error of the inputs, too, leaves an earlier run as it was.
    await refused({ output_dir, train_file: work.path("none.jsonl") }, ["--overwrite_output_dir"]);
    expect(readdirSync(output_dir)).toContain("checkpoint-9");

    const args = asFlags({ ...SHORT, base_model: tinyBase, train_file: texts, output_dir });
    const { code, stderr } = await lowrank(["train", ...args, "--overwrite-output-dir"]);
    expect(code, stderr).toBe(0);
    const now = readdirSync(output_dir);
    expect(now).toContain("notes.txt");
    expect(now).toContain("adapter_model.safetensors");
    expect(now).not.toContain("checkpoint-9");
    expect(readFileSync(join(output_dir, "metrics.jsonl"), "utf8")).not.toContain("old");
  });

  test("a folder that the run reads is not written into", async () => {
    const base_model = brokenBase("own-output", () => {});
    const { message } = await refused({ base_model, output_dir: base_model }, ["--overwrite_output_dir"]);
    expect(message).toContain("which this run reads");
  });

  test("no space left: the messages name what is needed and free, and the last checkpoint stays", async ({ skip }) => {
    const disk = work.path("disk");
    mkdirSync(disk);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", disk]);
    skip(mounted.status !== 0, "a small tmpfs cannot be mounted here");
    try {
      const output_dir = join(disk, "out");
      const { message, warnings } = await refused({ output_dir, save_steps: "1" });
      expect(message).toMatch(/E_WRITE.*no space left/s);
      expect(message).toMatch(/\/out\/checkpoint-\d+ cannot be written.*It needs .*, and .* are free there/s);
      expect(warnings).toContain(`warning: The disk of ${output_dir} has too little room`);
      expect(message).toContain(`--resume goes on from ${output_dir}/checkpoint-`);
      expect(readdirSync(output_dir)).toContain("checkpoint-1");
      const { code, stderr } = await lowrank([
        "generate",
        "--base_model",
        tinyBase,
        "--adapter",
        join(output_dir, "checkpoint-1"),
        "--prompt",
        "A",
      ]);
      expect(code, stderr).toBe(0);
    } finally {
      spawnSync("umount", [disk]);
    }
  });
});

describe("the run", () => {
  test("not enough memory prints the plan and what would fit", async () => {
    const message = await refusedBefore({ max_seq_length: "1000000", lora_r: "4096" });
    expect(message).toContain("E_MEMORY");
    expect(message).toContain("Memory plan:");
    expect(message).toMatch(/activations +[\d.]+ [GT]iB/);
    expect(message).toMatch(/What would fit:\n.*--max_seq_length \d+/s);
  });

  test("a loss that is no number", async () => {
    const { message, output } = await refused({ learning_rate: "1e30", save_steps: "1", warmup_steps: "1" });
    expect(message).toMatch(/E_NAN: Step 2: the .* is (NaN|-?Infinity), at learning rate 1e\+30/);
    expect(message).toContain(join(output, "checkpoint-"));
    expect(readdirSync(output).filter((name) => name.startsWith("checkpoint-"))).toEqual(["checkpoint-1"]);
    expect(readFileSync(join(output, "train.log"), "utf8")).toContain("error Step");
  });
});
