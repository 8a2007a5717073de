// Which files of a repository a run needs.
import { LowrankError } from "../base/errors.js";

/**
 * @param names of all files that there are
 * @param read the content of one that is there already; undefined before it is
 * @returns names of the files that are needed, as far as is known; those that must be there even where they are not
 * @throws LowrankError E_HUB_FORMAT where the repository has nothing that could be used
 */
export type Wanted = (names: string[], read: (name: string) => string | undefined) => string[];

const SINGLE = "model.safetensors";
const INDEX = `${SINGLE}.index.json`;
const ADAPTER = ["adapter_config.json", "adapter_model.safetensors"];

const TOKENIZER = [
  ...["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"],
  ...["chat_template.jinja", "vocab.json", "merges.txt", "tokenizer.model"],
];

const unusable = (message: string) => new LowrankError("E_HUB_FORMAT", message);

function shardsOf(index: string): string[] {
  try {
    const { weight_map: map } = JSON.parse(index) as { weight_map: Record<string, unknown> };
    const shards = [...new Set(Object.values(map))];
    if (shards.every((name) => typeof name === "string" && /^[^/\\]+\.safetensors$/.test(name)))
      return shards as string[];
  } catch {}
  throw unusable(`its ${INDEX} names no files of weights: use another revision`);
}

/** The shards that an index is likely to name, while it is not there: a whole set of them, under the usual names. */
function likelyShards(names: string[]): string[] {
  const shards = names.filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name));
  const counts = new Set(shards.map((name) => Number(name.slice(15, 20))));
  return counts.size === 1 && counts.has(shards.length) ? shards : [];
}

function noWeights(names: string[]): LowrankError {
  const has = (pattern: RegExp) => names.find((name) => pattern.test(name));
  const ggufs = names.filter((name) => name.endsWith(".gguf"));
  if (ggufs.length > 0) {
    return unusable(
      `it has several GGUF files (${ggufs.slice(0, 3).join(", ")}, ...): download one and name that file`,
    );
  }
  const pickle = has(/\.(bin|pt|pth)$/);
  if (pickle !== undefined) {
    const script = `AutoModelForCausalLM.from_pretrained(NAME, dtype="auto").save_pretrained(FOLDER)`;
    return unusable(
      `its weights are pickles (${pickle}), which run code when they are read. Use a revision with safetensors (refs/pr/N, where the hub's converter made one), or save it as safetensors in Python with ${script} and name that folder`,
    );
  }
  return unusable(`it has no ${SINGLE} and no ${INDEX}: use a repository with weights`);
}

function weightsOf(names: string[], read: (name: string) => string | undefined): string[] {
  if (names.includes(SINGLE)) return [SINGLE];
  if (names.includes(INDEX)) {
    const index = read(INDEX);
    return [INDEX, ...(index === undefined ? likelyShards(names) : shardsOf(index))];
  }
  throw noWeights(names);
}

const present = (names: string[], some: string[]) => some.filter((name) => names.includes(name));

/** A base model: configuration, weights as safetensors, tokenizer. */
export const modelFiles: Wanted = (names, read) => {
  const ggufs = names.filter((name) => /^[^/]+\.gguf$/.test(name));
  const isPlain = names.includes(SINGLE) || names.includes(INDEX);
  if (!isPlain && ggufs.length === 1) return ggufs;
  if (names.includes("adapter_config.json") && !names.includes("config.json")) {
    throw unusable("it is an adapter: name it with --adapter or --init_adapter, and its base with --base_model");
  }
  const weights = weightsOf(names, read);
  return ["config.json", ...present(names, ["generation_config.json", ...TOKENIZER]), ...weights];
};

export const tokenizerFiles: Wanted = (names) => ["tokenizer.json", ...present(names, TOKENIZER.slice(1))];

/** A PEFT adapter. */
export const adapterFiles: Wanted = (names) => {
  if (names.includes("adapter_model.bin") && !names.includes("adapter_model.safetensors")) {
    throw unusable(
      "its weights are a pickle (adapter_model.bin), which runs code when it is read. Save it as safetensors in Python with PeftModel.save_pretrained and name that folder",
    );
  }
  return ADAPTER;
};
