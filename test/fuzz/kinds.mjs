// The files that are damaged, and how a user's run would read each. A new kind is one more row.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { readAdapter } from "../../dist/checkpoint/index.js";
import { commands, loadOptions } from "../../dist/config/index.js";
import { readTexts, Tokenizer } from "../../dist/data/index.js";
import { listLinears, openModel, resolveTargets } from "../../dist/model/index.js";
import { Engine, planMemory } from "../../dist/native/index.js";
import { findCheckpoint, restore } from "../../dist/setup/run/resume.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const GOLDEN = here("../goldens/gqa-untied");
const DATA = here("../goldens-data");
const TINY = here("../../examples/tiny-base");
/** The adapter that scripts/fuzz-corpus.mjs trained. */
const ADAPTER = here("seeds/adapter");
const CHECKPOINT = here("seeds/checkpoint-1");
/** Engines beyond this are planned, not made. */
const MOST_BYTES = 256 * 2 ** 20;

const TEXTS = ["one two three", "", 'say "hi", then\ngo', "café 中 😀", "x".repeat(200)];
const lines = TEXTS.map((text) => JSON.stringify({ text, id: 1 })).join("\n");
const csv = ["text,id", ...TEXTS.map((text, i) => `"${text.replaceAll('"', '""')}",${i}`)].join("\n");

async function readData(file) {
  const rows = await readTexts([file], "text");
  for (let i = 0; i < rows.length; i++) {
    if (typeof rows.text(i) !== "string" || !rows.where(i).includes(file)) throw new TypeError(`row ${i} is no text`);
  }
}

/** A data file with some content, under a name. */
const data = (name, content, kind) => ({
  kind,
  seed: () => Buffer.from(content),
  place: (folder, bytes) => write(join(folder, name), bytes),
  read: readData,
});

function write(file, bytes) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  return file;
}

/** A folder with one damaged file. */
const inFolder = (source, name, kind, read) => ({
  kind,
  seed: () => readFileSync(join(source, name)),
  place(folder, bytes) {
    const copy = join(folder, "folder");
    rmSync(copy, { recursive: true, force: true });
    cpSync(source, copy, { recursive: true });
    write(join(copy, name), bytes);
    return copy;
  },
  read,
});

/** Opens a model and makes a step on it. */
async function readModel(folder) {
  const model = openModel(folder);
  listLinears(model);
  const targets = resolveTargets(model, "q_proj,down_proj").modules;
  const spec = { rank: 2, alpha: 4, dropout: 0, useRslora: false, targets, seed: 1 };
  const options = { precision: "fp32", threads: 2, maxTokens: 16, maxSequence: 16, training: true };
  if (planMemory(model, spec, options).totalBytes > MOST_BYTES) return;
  await using_(await Engine.create(model, spec, options), async (engine) => {
    const inputIds = Int32Array.from({ length: 8 }, (_, i) => i % model.config.vocabSize);
    await engine.forwardBackward({ sequences: [{ inputIds }] }, 1 / 7, 0);
    const { windowLoss: loss } = await engine.readings();
    if (typeof loss !== "number") throw new TypeError("the loss is no number");
    await engine.optimizerStep({ learningRate: 1e-3, weightDecay: 0, maxGradNorm: 1 });
  });
}

async function using_(engine, work) {
  try {
    await work(engine);
  } finally {
    await engine.close();
  }
}

async function readTokenizer(folder) {
  const tokenizer = await Tokenizer.open(folder);
  const [ids] = await tokenizer.encode(["one two </s> café"], { maxLength: 16 });
  tokenizer.decode(ids, { skipSpecialTokens: true });
}

async function readYaml(file) {
  await loadOptions(commands.train, { values: new Map([["config", [file]]]), strays: [] }, {});
}

/** A base that is one file, and its tokenizer. */
async function readGguf(file) {
  await readModel(file);
  await readTokenizer(file);
}

let tiny;
async function readAdapterFolder(folder) {
  tiny ??= openModel(TINY);
  readAdapter(folder, tiny);
}

async function readCheckpoint(folder) {
  tiny ??= openModel(TINY);
  const resumption = await findCheckpoint(folder, join(folder, "../none"), () => {});
  const { spec } = readAdapter(folder, tiny);
  const options = { precision: "fp32", threads: 1, maxTokens: 8, maxSequence: 8, training: true };
  await using_(await Engine.create(tiny, spec, options), (engine) => restore(resumption, engine, tiny));
}

export function kinds() {
  const binary = readdirSync(DATA).filter((name) => /\.(parquet|arrows?|ipc|feather)$/.test(name));
  return {
    "texts.jsonl": data("texts.jsonl", lines, "text"),
    "texts.json": data("texts.json", `[${lines.replaceAll("\n", ",\n")}]`, "json"),
    "texts.csv": data("texts.csv", csv, "text"),
    "texts.tsv": data("texts.tsv", csv.replaceAll(",", "\t"), "text"),
    "texts.jsonl.gz": data("texts.jsonl.gz", gzipSync(lines), "bytes"),
    ...Object.fromEntries(binary.map((name) => [name, data(name, readFileSync(join(DATA, name)), "bytes")])),
    "model.safetensors": inFolder(GOLDEN, "model.safetensors", "safetensors", readModel),
    "config.json": inFolder(GOLDEN, "config.json", "json", readModel),
    "tokenizer.json": inFolder(TINY, "tokenizer.json", "json", readTokenizer),
    "tokenizer_config.json": inFolder(TINY, "tokenizer_config.json", "json", readTokenizer),
    "base.gguf": {
      kind: "bytes",
      seed: () => readFileSync(here("seeds/base.gguf")),
      place: (folder, bytes) => write(join(folder, "base.gguf"), bytes),
      read: readGguf,
    },
    "run.yaml": {
      ...data(
        "run.yaml",
        "base_model: m\ntrain_file:\n  - a.jsonl\n  - 'b c.csv'\nlora_r: 8 # rank\nlearning_rate: 2e-4\nshuffle: false\n",
        "text",
      ),
      read: readYaml,
    },
    "adapter_model.safetensors": inFolder(ADAPTER, "adapter_model.safetensors", "safetensors", readAdapterFolder),
    "adapter_config.json": inFolder(ADAPTER, "adapter_config.json", "json", readAdapterFolder),
    ...Object.fromEntries(
      ["adapter_model.safetensors", "optimizer.safetensors"].map((name) => [
        `checkpoint/${name}`,
        inFolder(CHECKPOINT, name, "safetensors", readCheckpoint),
      ]),
    ),
    ...Object.fromEntries(
      ["manifest.json", "lowrank_state.json", "trainer_state.json", "adapter_config.json"].map((name) => [
        `checkpoint/${name}`,
        inFolder(CHECKPOINT, name, "json", readCheckpoint),
      ]),
    ),
  };
}
