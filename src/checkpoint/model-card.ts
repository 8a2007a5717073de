import { basename, dirname, resolve } from "node:path";
import { packageVersion } from "../base/version.js";
import type { ResolvedTargets } from "../model/index.js";
import type { AdapterSpec, ModelOrigin } from "../native/index.js";

/** Facts that a card tells of the run that made the adapter. */
export interface CardRun {
  /** Values by the names of the options. A value that is null or undefined is not told. */
  settings: Record<string, unknown>;
  /** Name on the hub of the data set that was trained on. */
  dataset?: string | undefined;
  training: TextCounts;
  validation: TextCounts;
  /** Lines of metrics in their order. */
  history: object[];
}

export interface TextCounts {
  texts: number;
  tokens: number;
}

export interface Card {
  spec: AdapterSpec;
  targets: ResolvedTargets;
  /** Absolute path of the base's folder or file. */
  base: string;
  /** The repository of the hub that the base is of. */
  origin?: ModelOrigin | undefined;
  run?: CardRun | undefined;
  /** Of a classifier: the number of its labels. */
  labels?: number | undefined;
}

/** Settings that the table of settings leaves out: hashes of files, and settings of the first table. */
const NOT_TOLD = new Set([
  ...[
    "base_model",
    "tokenizer_name",
    "train_file",
    "validation_file",
    "chat_template",
    "target_modules",
    "quantize_skip",
    "label_column",
    "task",
  ],
  ...["lora_r", "lora_alpha", "lora_dropout", "use_rslora"],
  ...[
    "use_dora",
    "lora_bias",
    "modules_to_save",
    "trainable_token_indices",
    "use_lora_fa",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
  ],
]);

/** The hub's name of a folder that huggingface_hub has downloaded. */
export function hubName(base: string): string | undefined {
  const [, owner, name] = /\/models--([^/]+?)--([^/]+)\/snapshots\/[^/]+\/?$/.exec(base) ?? [];
  return owner === undefined ? undefined : `${owner}/${name}`;
}

const table = (rows: [string, string][]) =>
  ["| | |", "|---|---|", ...rows.map(([name, value]) => `| ${name} | ${value.replaceAll("|", "\\|")} |`)].join("\n");

/** Stands in a card for the place of its adapter. */
export const ADAPTER_PLACE = "FOLDER OF THIS CARD";

/** The code in Python, with the base where PEFT would not find it. */
function snippet(base: string, origin: ModelOrigin | undefined, labels: number | undefined): string {
  const adapter = JSON.stringify(ADAPTER_PLACE);
  if (labels !== undefined) {
    return `from peft import AutoPeftModelForSequenceClassification

model = AutoPeftModelForSequenceClassification.from_pretrained(${adapter}, num_labels=${labels})`;
  }
  if (!base.toLowerCase().endsWith(".gguf")) {
    return `from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained(${adapter})`;
  }
  const [folder, file, revision] = [origin?.name ?? dirname(base), basename(base), origin?.revision].map((part) =>
    JSON.stringify(part),
  );
  const at = revision === undefined ? "" : `, revision=${revision}`;
  return `from peft import PeftModel
from transformers import AutoModelForCausalLM  # needs the gguf package for this base

base = AutoModelForCausalLM.from_pretrained(${folder}, gguf_file=${file}${at})
model = PeftModel.from_pretrained(base, ${adapter})`;
}

const count = (n: number) => n.toLocaleString("en-US");

function evaluations(history: object[]): [string, string][] {
  const found = history.filter((line): line is { step: number; eval_loss: number } => "eval_loss" in line);
  const line = ({ step, eval_loss }: { step: number; eval_loss: number }) => `${eval_loss.toFixed(4)} at step ${step}`;
  const [first, last] = [found[0], found.at(-1)];
  if (!first || !last) return [];
  return first === last
    ? [["evaluation loss", line(first)]]
    : [
        ["first evaluation loss", line(first)],
        ["last evaluation loss", line(last)],
      ];
}

function trained({ settings, dataset, training, validation, history }: CardRun): string {
  const texts = (counts: TextCounts) => `${count(counts.texts)} texts, ${count(counts.tokens)} tokens`;
  const told = Object.entries(settings).filter(
    ([name, value]) => !NOT_TOLD.has(name) && value !== null && value !== undefined,
  );
  const named: [string, string][] = dataset === undefined ? [] : [["data set", `\`${dataset}\``]];
  return `
## Training

${table([...named, ["training texts", texts(training)], ["validation texts", texts(validation)], ...evaluations(history)])}

${table(told.map(([name, value]) => [name, String(value)]))}
`;
}

/** README.md beside an adapter: the hub shows it. It tells how to use the folder. */
export function modelCard({ spec, targets, base, origin, run, labels }: Card): string {
  const scale = spec.useRslora ? "alpha / sqrt(r)" : "alpha / r";
  const name = origin?.name ?? hubName(base);
  // The hub refuses a base_model that is no name of its own.
  const metadata = [
    ...(name === undefined ? [] : [`base_model: ${name}`]),
    ...(run?.dataset === undefined ? [] : ["datasets:", `- ${run.dataset}`]),
    "library_name: peft",
    `pipeline_tag: text-${labels === undefined ? "generation" : "classification"}`,
    ...["tags:", "- lora", "- lowrank"],
  ];
  const facts: [string, string][] = [
    ["base model", `\`${name ?? base}\``],
    ...(origin?.revision === undefined ? [] : [["revision", `\`${origin.revision}\``] satisfies [string, string]]),
    ["r", String(spec.rank)],
    ["alpha", `${spec.alpha} (scale ${scale})`],
    ["dropout", String(spec.dropout)],
    ...(spec.whole?.length ? [["trained whole", spec.whole.join(", ")] satisfies [string, string]] : []),
    ...(spec.tokens ?? []).map(
      ({ module, ids }) => ["trained tokens", `${module}: ${ids.join(", ")}`] satisfies [string, string],
    ),
    ...(spec.useDora ? [["DoRA", "magnitudes train, too"] satisfies [string, string]] : []),
    ...(spec.bias ? [["bias", "of each B"] satisfies [string, string]] : []),
    ["target modules", typeof targets.peft === "string" ? `\`${targets.peft}\`` : targets.peft.join(", ")],
    ...Object.entries(targets.rules ?? {}).map(
      ([key, value]) => [key, `\`${JSON.stringify(value)}\``] satisfies [string, string],
    ),
    ["versions", `lowrank ${packageVersion()}, Node.js ${process.versions.node}`],
  ];
  return `---
${metadata.join("\n")}
---

# LoRA adapter for ${name ?? basename(resolve(base))}

Trained with lowrank, stored as PEFT stores it.

${table(facts)}
${run ? trained(run) : ""}
## Use

In Python:

\`\`\`python
${snippet(base, origin, labels)}
\`\`\`

With lowrank, which takes the base that adapter_config.json names:

\`\`\`sh
${labels === undefined ? "lowrank generate --adapter FOLDER --prompt TEXT" : "lowrank classify FOLDER --text TEXT"}
\`\`\`
`;
}
