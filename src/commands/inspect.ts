import { bytes, table } from "../base/text.js";
import { isAdapterFolder } from "../checkpoint/index.js";
import { type CommandOptions, defaultsOf, trainRows, without } from "../config/index.js";
import { adapterOrModelFiles, isHollow } from "../hub/index.js";
import { candidateTargets, defaultTargets, modelDtype } from "../model/index.js";
import { cpuInfo } from "../native/index.js";
import { chooseDevice, choosePrecision, threadCount } from "../setup/adapter.js";
import { openBase } from "../setup/base.js";
import { headersDo, type Located } from "../setup/hub.js";
import { limitsOn } from "../setup/memory/limits.js";
import { parameterCounts, trainableLine } from "../setup/memory/plan.js";
import { memoryTable, tightest } from "../setup/memory/room.js";
import { planRun } from "../setup/run/prepare.js";
import { warnOfTokenizer } from "../setup/texts.js";
import { locatedShown } from "./downloading.js";
import { inspectAdapter } from "./inspect-adapter.js";
import { warn } from "./warn.js";

/** Defaults of the planned run. */
const DEFAULTS = defaultsOf(without(trainRows, "train_file"));

/** Keys of config.json that are not the model's own names in snake case. */
const KEYS: Record<string, string> = {
  layers: "num_hidden_layers",
  heads: "num_attention_heads",
  kvHeads: "num_key_value_heads",
  maxPositions: "max_position_embeddings",
};
/** How config.json calls a number of the model. */
const keyOf = (name: string) => KEYS[name] ?? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function shownModel(
  named: string,
  { origin, base_model: folder }: Pick<Located<object>, "origin" | "base_model">,
): string {
  if (origin === undefined) return folder;
  return isHollow(folder) ? named : `${named} in ${folder}`;
}

/** `lowrank inspect`: a model's architecture and size, and the memory for training it. */
export async function run(named: CommandOptions<"inspect">): Promise<void> {
  const o = await locatedShown(named, adapterOrModelFiles, { headersDo });
  if (isAdapterFolder(o.base_model)) return inspectAdapter(o.base_model, o.json);
  const model = openBase(o, warn);
  await warnOfTokenizer(model, warn);
  const device = chooseDevice(o.device);
  const limits = limitsOn(device, o.memory_limit);
  const precision = choosePrecision(o.precision, model);
  const { adapter, plan } = planRun({ ...DEFAULTS, ...o }, new Set(), {
    ...{ model, precision, threads: threadCount(o.threads, warn), device, tokenizer: o.base_model },
    ...{ sharesWeights: o.share_weights, samplesOnly: true },
  });
  const { memory } = plan;
  const counts = parameterCounts(model, adapter.spec);
  const dtype = modelDtype(model);
  const targets = candidateTargets(model);
  const available = tightest(memory, limits);
  const { isa } = cpuInfo();
  if (o.json) {
    const { config } = model;
    const parameters = { base: counts.all - counts.adapter, trainable: counts.trainable };
    const found = {
      folder: isHollow(model.folder) ? null : model.folder,
      config,
      dtype,
      parameters,
      target_modules: targets,
      precision,
      memory,
    };
    process.stdout.write(`${JSON.stringify({ ...found, available_bytes: available.bytes, isa })}\n`);
    return;
  }
  const architecture = Object.entries(model.config)
    .filter(([, value]) => value !== null)
    .map(([name, value]): [string, string] => [
      keyOf(name),
      typeof value === "object" ? JSON.stringify(value) : String(value),
    ]);
  const training =
    `Training with --precision ${precision} --lora_r ${o.lora_r} --max_seq_length ${o.max_seq_length} ` +
    `--per_device_train_batch_size ${o.per_device_train_batch_size}${o.gradient_checkpointing ? " --gradient_checkpointing" : ""}`;
  const text = [
    `Model: ${shownModel(named.base_model, o)}`,
    table([...architecture, ["dtype", dtype], ["tensors", String(model.tensors.length)]]),
    `Modules for --target_modules: ${targets.join(", ")} (or all-linear); default ${defaultTargets(model).join(",")}`,
    "",
    training,
    trainableLine(counts),
    memoryTable(memory),
    `${bytes(available.bytes)} are ${available.of}; instruction set ${isa}`,
  ];
  process.stdout.write(`${text.join("\n")}\n`);
}
